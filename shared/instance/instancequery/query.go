package instancequery

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// Kind names an order that the store keeps instances in.
type Kind int

// The kinds. Each but ByOwner is ordered by ChangedKey; ByOwner by id, which is by creation.
const (
	ByOwner       Kind = iota // of one party
	ByStep                    // of one application and step
	ByUnconfirmed             // the same, but only what waits for the owner's confirmation
	ByLabel                   // of one application, step and label
)

// KeyRange is a stretch of one index partition.
type KeyRange struct {
	Kind            Kind
	InstanceOwnerID string // ByOwner
	AppID, Step     string // the others
	Label           string // ByLabel
	Shard           int    // the others
	From, To        string // keys, both included; "": open
	Order           merge.Order
}

// Row is an instance under its key, or, when the store's item cannot be read, why.
type Row struct {
	Instance *instance.Instance
	Err      error
}

// Index is the store as a query sees it.
type Index interface {
	// Read returns at most limit rows of a span in its order, and whether there may be more.
	Read(ctx context.Context, span KeyRange, limit int) (rows []merge.Row[Row], more bool, err error)
}

// ChangedKey returns the key of an instance in the orders by change. Keys sort as the times do, then by id.
func ChangedKey(changed time.Time, id string) string {
	return changed.UTC().Format("2006-01-02T15:04:05.000000Z") + "#" + id
}

// lastKey sorts after every id, so that an end in time includes all instances of its microsecond.
const lastKey = "~"

// Page is a part of an answer.
type Page struct {
	Instances  []*instance.Instance // never nil
	Next       string               // the cursor of the page that follows; "" when there is none
	Resume     string               // on the last page in ascending order: the cursor that what changes later comes after
	Examined   int                  // rows read to find them
	Unreadable []error              // rows that could not be read, and were left out
}

// Limits of one request: enough for any page whose filter the indexes serve, and an end to those that look for a
// needle.
const (
	maxExamined = 20_000
	// maxPageBytes keeps an answer of large documents below what Lambda can return, 6 MB.
	maxPageBytes = 3_500_000
	// maxRanges is how many index partitions a query may look into: each is a read, whether it has rows or not.
	maxRanges = 5_000
	// maxConcurrentReads is how many reads are under way at a time. Each takes a connection, and to open a thousand takes longer than to
	// wait for one of those that are open.
	maxConcurrentReads = 64
)

// Query is one request for a page. Call SetPage for any page but the first.
type Query struct {
	Filter Filter
	Values url.Values                 // the parameters it was read from: what a cursor is bound to
	Scope  string                     // who asks, and where: what a cursor is bound to besides
	Apps   []*application.Application // that the filter may find instances of; not needed with an InstanceOwnerID
	Size   int                        // instances a page

	cursor    string // of the page before; "": from the start
	skip      int    // instances to leave out before the page
	last      bool   // the page is the last one
	semaphore chan struct{}
}

const (
	// LastPage is the page that is read from the other end.
	LastPage = "last"
	// MaxSkipped is how many instances a page that is asked for by its number may have before it: they are all read.
	MaxSkipped = 10_000
)

// SetPage says which page is wanted: a cursor from a page's Next or Resume, a number from 0, LastPage, or "" for the
// first one.
func (q *Query) SetPage(page string) error {
	if page == LastPage {
		q.last = true
		return nil
	}
	number, err := strconv.Atoi(page)
	if err != nil {
		q.cursor = page
		return nil
	}
	if number < 0 || strconv.Itoa(number) != page || number > MaxSkipped/q.Size {
		return fault.InvalidParameter(ParamPage, "a number from 0 to %d at this size, or better: follow _links.next, at any depth", MaxSkipped/q.Size)
	}
	q.skip = number * q.Size
	return nil
}

// orderedByChange reports whether the order is by change rather than by creation.
func (q *Query) orderedByChange() bool { return q.Filter.InstanceOwnerID == "" }

// Run answers a query. now is the time of the request.
func Run(ctx context.Context, index Index, q Query, now time.Time) (Page, error) {
	asked := q.Filter.Order
	if q.last {
		q.Filter.Order = !asked
	}
	page, at, more, err := q.run(ctx, index)
	if err != nil {
		return page, err
	}
	if q.last {
		more = false
		slices.Reverse(page.Instances)
		if at = (position{}); len(page.Instances) > 0 {
			at.key = q.keyOf(page.Instances[len(page.Instances)-1])
		}
	}
	unsettled := now.Add(-indexLag)
	switch {
	case more:
		if at.unsettledSince.IsZero() && at.key > q.floor(unsettled) {
			at.unsettledSince = unsettled
		}
		page.Next, err = encodeCursor(at, scope(q.Scope, q.Values))
	case asked == merge.Ascending:
		page.Resume, err = encodeCursor(position{key: q.resumeAt(at, unsettled)}, scope(q.Scope, q.Values))
	}
	return page, err
}

// run reads the page, and returns the position to go on from, and whether there is more. The position is that of a row of the
// caller's, though the partition of a party has others' too: a cursor can be decoded by anybody.
func (q *Query) run(ctx context.Context, index Index) (page Page, resume position, more bool, err error) {
	page = Page{Instances: []*instance.Instance{}}
	var at position // of the last row looked at
	if q.cursor != "" {
		if at, err = decodeCursor(q.cursor, scope(q.Scope, q.Values), q.orderedByChange()); err != nil {
			return page, at, false, err
		}
	}
	if q.ranges() > maxRanges {
		return page, at, false, fault.New(fault.Invalid, "query-too-wide",
			"The query would look into more than %d index partitions. Name an appId, or the workflow.currentStep, to look into fewer.", maxRanges)
	}
	q.semaphore = make(chan struct{}, maxConcurrentReads)
	stream := q.stream(index, at.key)
	resume = at
	size := 0
	for {
		row, ok, err := stream.Peek(ctx)
		if err != nil || !ok {
			return page, resume, false, err
		}
		if row.Key == at.key { // where the page before ended, or the same instance in a second range
			stream.Next()
			continue
		}
		found := row.Value.Err == nil && q.Filter.Matches(row.Value.Instance)
		if found && (len(page.Instances) == q.Size || size > maxPageBytes) {
			return page, resume, true, nil
		}
		if page.Examined == maxExamined { // the page that follows has to begin after what was looked at, whosever it is
			resume.key = q.coarsen(at.key, resume.key)
			return page, resume, true, nil
		}
		stream.Next()
		at.key = row.Key
		if q.mayReveal(row.Value) {
			resume.key = row.Key
		}
		page.Examined++
		switch {
		case row.Value.Err != nil:
			page.Unreadable = append(page.Unreadable, row.Value.Err)
		case found && q.skip > 0:
			q.skip--
		case found:
			page.Instances = append(page.Instances, row.Value.Instance)
			size += responseSize(row.Value.Instance)
		}
	}
}

// hasForeignRows reports whether the ranges have rows of organisations that the caller is not told of: a party's has those of all. All
// other indexes have rows of the applications asked for only.
func (q *Query) hasForeignRows() bool { return !q.orderedByChange() && q.Filter.Org != "" }

// mayReveal reports whether a cursor may name the row.
func (q *Query) mayReveal(row Row) bool {
	return !q.hasForeignRows() || row.Err == nil && strings.HasPrefix(row.Instance.AppID, q.Filter.Org+"/")
}

// coarsen returns the key, or where it may not be told, one close before it that names no instance but the millisecond in which
// one was made. It is the key itself if that would lead no further than the key from.
func (q *Query) coarsen(key, from string) string {
	if key == from || !q.hasForeignRows() {
		return key
	}
	rest := uuid.Nil()
	if q.Filter.Order == merge.Descending {
		rest = uuid.Max()
	}
	const milliseconds = len("01234567-89ab")
	blurred := key[:milliseconds] + rest.String()[milliseconds:]
	ahead := blurred > from
	if q.Filter.Order == merge.Descending {
		ahead = from == "" || blurred < from
	}
	if !ahead {
		return key
	}
	return blurred
}

// indexLag is how long ago a change must have been made to be certain to be seen: a function stamps it with the time
// and may then take as long as it lives, 25 seconds, to write it, and the index a moment to follow.
const indexLag = 30 * time.Second

// resumeAt returns the key after which whatever turns up from now on will come: that of the last row, but none that
// the index could still show something before, or could when the crawl passed it.
func (q *Query) resumeAt(at position, unsettled time.Time) string {
	key := q.floor(unsettled)
	if at.key != "" {
		key = min(key, at.key)
	}
	if !at.unsettledSince.IsZero() {
		key = min(key, q.floor(at.unsettledSince))
	}
	return key
}

// floor returns a key that sorts before those of all changes, or creations, at t or later.
func (q *Query) floor(t time.Time) string {
	if q.orderedByChange() {
		return ChangedKey(t, uuid.Nil().String())
	}
	return floorID(t)
}

// floorID returns an id that sorts before all that are made at t or later: a UUID version 7 begins with the time.
func floorID(t time.Time) string {
	var id uuid.UUID
	milliseconds := t.UnixMilli()
	for n := range 6 {
		id[n] = byte(milliseconds >> (40 - 8*n))
	}
	return id.String()
}

func (q *Query) keyOf(i *instance.Instance) string {
	if q.orderedByChange() {
		return ChangedKey(i.LastChangedDateTime, i.ID)
	}
	return i.ID
}

// responseSize is about how many bytes an instance takes in an answer, its links included; rather too many than too few.
func responseSize(i *instance.Instance) int {
	size := 1200 + textSize(i.PresentationField)
	for _, label := range i.Labels {
		size += textSize(label)
	}
	for n := range i.Data {
		d := &i.Data[n]
		size += 1200 + textSize(d.FileName) + textSize(d.ContentType)
		if owner := d.ApplicationOwner; owner != nil { // a hundred downloads are more than the rest of the element
			size += timeSize * (len(owner.Downloaded) + len(owner.DownloadConfirmed))
		}
	}
	return size
}

// timeSize is the size of a time in a list: "2026-05-01T12:00:00.123456Z",
const timeSize = 30

// textSize is the size of a JSON string, and of the comma after it. Some characters are escaped there.
func textSize(s string) int {
	size := len(s) + 3
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\', '<', '>', '&':
			size += 5
		}
	}
	return size
}

// stream returns the rows that the filter may hold for, from the key after on, in order.
func (q *Query) stream(index Index, after string) merge.Stream[Row] {
	want := q.skip + q.Size + 1
	if after != "" {
		want++ // the row at after comes again
	}
	var streams []merge.Stream[Row]
	if q.Filter.InstanceOwnerID != "" {
		span := KeyRange{Kind: ByOwner, InstanceOwnerID: q.Filter.InstanceOwnerID, Order: q.Filter.Order}
		streams = append(streams, merge.Union(q.Filter.Order, want, q.read(index, span, after)))
	} else {
		// Each of these indexes has all that the filter holds for; which has the least besides is seen as they are read.
		several := len(q.Filter.Labels)
		if q.Filter.Unconfirmed {
			several++
		}
		share := want
		if several > 1 {
			share = want/several + 1
		}
		for _, label := range q.Filter.Labels {
			streams = append(streams, q.merged(index, ByLabel, label, share, after))
		}
		if q.Filter.Unconfirmed {
			streams = append(streams, q.merged(index, ByUnconfirmed, "", share, after))
		}
		if several == 0 {
			streams = append(streams, q.merged(index, ByStep, "", want, after))
		}
	}
	matches := func(row Row) bool { return row.Err == nil && q.Filter.Matches(row.Instance) }
	return merge.Intersect(q.Filter.Order, want, matches, streams...)
}

// merged returns the rows of one kind over all applications, steps and shards that the filter leaves.
func (q *Query) merged(index Index, kind Kind, label string, want int, after string) merge.Stream[Row] {
	span := KeyRange{Kind: kind, Label: label, Order: q.Filter.Order}
	from := q.Filter.LastChanged.From
	if q.Filter.Created.From.After(from) {
		from = q.Filter.Created.From // nothing was changed before it was created
	}
	if !from.IsZero() {
		span.From = ChangedKey(from, "")
	}
	if !q.Filter.LastChanged.To.IsZero() {
		span.To = ChangedKey(q.Filter.LastChanged.To, lastKey)
	}
	var ranges []merge.Range[Row]
	for _, app := range q.Apps {
		for _, step := range app.Workflow.Steps {
			if q.excludes(step) {
				continue
			}
			for shard := range app.IndexShards {
				span.AppID, span.Step, span.Shard = app.ID, step.Name, shard
				ranges = append(ranges, q.read(index, span, after))
			}
		}
	}
	return merge.Union(q.Filter.Order, want, ranges...)
}

// ranges returns how many index partitions merged makes ranges of, for all that stream merges.
func (q *Query) ranges() (n int) {
	if q.Filter.InstanceOwnerID != "" {
		return 1
	}
	for _, app := range q.Apps {
		for _, step := range app.Workflow.Steps {
			if !q.excludes(step) {
				n += app.IndexShards
			}
		}
	}
	indexes := len(q.Filter.Labels)
	if q.Filter.Unconfirmed {
		indexes++
	}
	return n * max(indexes, 1)
}

// excludes reports whether no instance in the step can match.
func (q *Query) excludes(step application.Step) bool {
	f := &q.Filter
	return f.Step != "" && f.Step != step.Name ||
		f.IsCompleted != nil && *f.IsCompleted != step.Completes ||
		f.IsArchived != nil && *f.IsArchived != step.Archives
}

// read returns the range of a span from the key after on.
func (q *Query) read(index Index, span KeyRange, after string) merge.Range[Row] {
	return func(ctx context.Context, from string, limit int) ([]merge.Row[Row], bool, error) {
		span := span
		for _, key := range []string{after, from} {
			switch {
			case key == "":
			case span.Order == merge.Ascending && strings.Compare(key, span.From) > 0:
				span.From = key
			case span.Order == merge.Descending && (span.To == "" || strings.Compare(key, span.To) < 0):
				span.To = key
			}
		}
		if span.To != "" && span.From > span.To {
			return nil, false, nil
		}
		select {
		case q.semaphore <- struct{}{}:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		defer func() { <-q.semaphore }()
		return index.Read(ctx, span, limit)
	}
}
