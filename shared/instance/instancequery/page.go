package instancequery

import (
	"context"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// Cursor privacy. The partition of a party has the instances of all organisations, and an
// application owner may query it by instanceOwnerId. It also has the instances that do not exist
// for the party's users yet. The filter drops both, but a cursor names the row where the next page
// begins, and every client can decode a cursor. A cursor that named a foreign row would reveal that
// the party has such an instance, with its id and creation time. Therefore a cursor names only rows
// that mayReveal allows: those that the caller may read. The next page begins after the last such
// row and reads the foreign rows after it again. That could loop: a page ends when it has examined
// maxExamined rows or maxExaminedBytes, and all of them may be foreign. Only then must the cursor
// name a later key, and coarsen reduces this key to its millisecond of creation.

// readPage reads the page. It returns the position after which the next page begins, and whether a
// next page exists. A client may see the returned position. readPage returns Invalid if the cursor
// is not valid for the query or the query has more than maxRanges ranges.
func (q *Query) readPage(ctx context.Context, index Index, now time.Time) (page Page, resume position, more bool, err error) {
	page = Page{Instances: []*instance.Instance{}}
	var at position // of the last row examined
	if q.cursor != "" {
		if at, err = decodeCursor(q.scope(), q.cursor, q.orderedByChange()); err != nil {
			return page, at, false, err
		}
	}
	if q.countRanges() > maxRanges {
		return page, at, false, fault.New(fault.Invalid, "query-too-wide",
			"The query would read more than %d index partitions. Add appId or workflow.currentStep to read fewer.", maxRanges)
	}
	stream := q.stream(index, at)
	resume = at
	size, examinedBytes := 0, 0
	for {
		row, ok, err := stream.Peek(ctx)
		if err != nil || !ok {
			return page, resume, false, err
		}
		if row.Key == at.key { // the last row of the previous page, or the same instance in a second range
			stream.Next()
			continue
		}
		i, unreadable := row.Value()
		found := q.matches(row.Value)
		if found && (len(page.Instances) == q.Size || size > maxPageBytes) {
			resume.bounds = q.packBounds(stream, resume.key, now)
			return page, resume, true, nil
		}
		if page.Examined == maxExamined || examinedBytes > maxExaminedBytes { // the next page must begin after the examined rows, foreign ones too
			resume.key = q.coarsen(at.key, resume.key)
			resume.bounds = q.packBounds(stream, resume.key, now)
			return page, resume, true, nil
		}
		stream.Next()
		at.key = row.Key
		if q.mayReveal(i) {
			resume.key = row.Key
		}
		page.Examined++
		examinedBytes += row.Size
		switch {
		case unreadable != nil:
			page.Unreadable = append(page.Unreadable, unreadable)
		case found && q.skip > 0:
			q.skip--
		case found:
			page.Instances = append(page.Instances, i)
			size += responseSize(i)
		}
	}
}

// matches reports whether the row has an instance that the filter matches.
func (q *Query) matches(row Row) bool {
	i, err := row()
	return err == nil && q.Filter.Matches(i)
}

// hasForeignRows reports whether the query may read instances that the caller may not see, of
// another organisation or not visible yet. Only the partition of a party has such rows; all other
// partitions belong to one of the query's applications.
func (q *Query) hasForeignRows() bool {
	return !q.orderedByChange() && (q.Filter.Org != "" || !q.Filter.VisibleAt.IsZero())
}

// mayReveal reports whether a cursor may name the row of i, which is nil if the row is unreadable.
func (q *Query) mayReveal(i *instance.Instance) bool {
	if !q.hasForeignRows() {
		return true
	}
	f := &q.Filter
	return i != nil && (f.Org == "" || strings.HasPrefix(i.AppID, f.Org+"/")) && f.isVisible(i)
}

// coarsen returns a key that a cursor may name instead of key: the first id of the same millisecond
// in the query's order. It returns key itself if a cursor may name key. It also returns key if the
// coarse key is not after from, because each page must begin after the previous one.
func (q *Query) coarsen(key, from string) string {
	if key == from || !q.hasForeignRows() {
		return key
	}
	random := uuid.Nil()
	if q.Filter.Order == merge.Descending {
		random = uuid.Max()
	}
	const milliseconds = len("01234567-89ab")
	coarse := key[:milliseconds] + random.String()[milliseconds:]
	advances := coarse > from
	if q.Filter.Order == merge.Descending {
		advances = from == "" || coarse < from
	}
	if !advances {
		return key
	}
	return coarse
}

// indexLag is the maximum time between the timestamp of a change and its appearance in the index.
// A function takes the timestamp and may write up to its timeout later, 25 seconds; the index
// follows within 5 seconds. This leaves 30 seconds for the difference between the clock of the
// function that writes and the clock of the one that reads.
const indexLag = event.ClockSkew

// resumeKey returns the key from which a poller must resume to receive all later changes. It is the
// key of the last row, or an earlier key if rows may still appear before the last row, or could
// appear behind the crawl.
func (q *Query) resumeKey(at position, unsettledSince time.Time) string {
	key := q.firstKeyAt(unsettledSince)
	if at.key != "" {
		key = min(key, at.key)
	}
	if !at.unsettledSince.IsZero() {
		key = min(key, q.firstKeyAt(at.unsettledSince))
	}
	return key
}

// firstKeyAt returns a key that sorts before the keys of all instances changed (or created, in the
// order by creation) at t or later.
func (q *Query) firstKeyAt(t time.Time) string {
	if q.orderedByChange() {
		return ChangedKey(t, uuid.Nil().String())
	}
	return firstIDAt(t)
}

// firstIDAt returns an id that sorts before all ids created at t or later: a UUID version 7 begins
// with the milliseconds since 1970.
func firstIDAt(t time.Time) string {
	var id uuid.UUID
	milliseconds := t.UnixMilli()
	for n := range 6 {
		id[n] = byte(milliseconds >> (40 - 8*n))
	}
	return id.String()
}
