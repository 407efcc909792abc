package instancequery

import (
	"context"
	"iter"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Kind is one of the store's indexes.
type Kind int

// The indexes. ByOwner is ordered by id, which is the order of creation; the others are ordered by
// ChangedKey.
const (
	ByOwner       Kind = iota // the instances of one party
	ByStep                    // the instances of one application in one step
	ByUnconfirmed             // like ByStep, only instances in their owner's work queue
	ByLabel                   // like ByStep, with one label
)

// KeyRange is a range of keys in one partition of an index.
type KeyRange struct {
	Kind            Kind
	InstanceOwnerID string // ByOwner only
	AppID, Step     string // all but ByOwner
	Label           string // ByLabel only
	Shard           int    // all but ByOwner
	From, To        string // inclusive; "" is unbounded
	Order           merge.Order
	KeysOnly        bool // the rows need no values
}

// Row is one row of an index. It holds the stored document, and unpacks it when it is called. It
// returns the instance, or an error if the document cannot be decoded. Further calls return the
// same.
type Row func() (*instance.Instance, error)

// RowOf returns the row of an instance that is not packed.
func RowOf(i *instance.Instance) Row { return func() (*instance.Instance, error) { return i, nil } }

// Index reads rows from the indexes of the store.
type Index interface {
	// Read returns at most limit rows of a range in its order, and whether there may be more.
	Read(ctx context.Context, span KeyRange, limit int) (rows []merge.Row[Row], more bool, err error)
}

// ChangedKey returns the key of an instance in the order of change. Keys sort by time, then by id.
func ChangedKey(changed time.Time, id string) string {
	return rfc3339.Format(changed) + "#" + id
}

// afterIDs sorts after every id. With it, the upper bound of a time range includes all instances
// that changed in its last microsecond.
const afterIDs = "~"

// orderedByChange reports whether the query's order is that of change, not that of creation.
func (q *Query) orderedByChange() bool { return q.Filter.InstanceOwnerID == "" }

// keyOf returns the key of an instance in the query's order.
func (q *Query) keyOf(i *instance.Instance) string {
	if q.orderedByChange() {
		return ChangedKey(i.LastChangedDateTime, i.ID)
	}
	return i.ID
}

// stream returns, in order, a superset of the rows that the filter matches, from the position on.
func (q *Query) stream(index Index, at position) *merge.Intersection[Row] {
	bounds, contributors := q.unpackBounds(at)
	after := at.key
	want := q.skip + q.Size + 1
	if after != "" {
		want++ // the row with the key after is read again
	}
	indexes := q.indexes()
	share := want
	if len(indexes) > 1 {
		share = want/len(indexes) + 1
	}
	budget := merge.NewBudget(maxHeldBytes, maxConcurrentReads)
	var streams []*merge.Union[Row]
	for _, span := range indexes {
		ranges := q.ranges(index, span, after)
		union := merge.NewUnion(q.Filter.Order, share, ranges...)
		union.SetBudget(budget)
		if bounds != nil {
			union.SetBounds(bounds[:len(ranges)], contributors)
			bounds = bounds[len(ranges):]
		}
		streams = append(streams, union)
	}
	return merge.NewIntersection(q.Filter.Order, want, q.matches, streams...)
}

// indexes returns the indexes that the query reads, as key ranges without a partition. Each has all
// rows that the filter matches. Only reading shows which index has the fewest other rows.
func (q *Query) indexes() (indexes []KeyRange) {
	f := &q.Filter
	if f.InstanceOwnerID != "" {
		return []KeyRange{{Kind: ByOwner, InstanceOwnerID: f.InstanceOwnerID, Order: f.Order}}
	}
	byChange := KeyRange{Kind: ByStep, Order: f.Order}
	from := f.LastChanged.From
	if f.Created.From.After(from) {
		from = f.Created.From // no instance changes before its creation
	}
	if !from.IsZero() {
		byChange.From = ChangedKey(from, "")
	}
	if !f.LastChanged.To.IsZero() {
		byChange.To = ChangedKey(f.LastChanged.To, afterIDs)
	}
	for _, label := range f.Labels {
		span := byChange
		span.Kind, span.Label = ByLabel, label
		indexes = append(indexes, span)
	}
	if f.Unconfirmed {
		span := byChange
		span.Kind = ByUnconfirmed
		indexes = append(indexes, span)
	}
	if len(indexes) == 0 {
		indexes = append(indexes, byChange)
	}
	return indexes
}

// ranges returns the ranges of one index, from the key after on: one for each shard of each step,
// or a single range for a party.
func (q *Query) ranges(index Index, span KeyRange, after string) (ranges []merge.Range[Row]) {
	if span.Kind == ByOwner {
		return []merge.Range[Row]{q.reader(index, span, after)}
	}
	for app, step := range q.steps() {
		for shard := range app.IndexShards {
			span.AppID, span.Step, span.Shard = app.ID, step.Name, shard
			ranges = append(ranges, q.reader(index, span, after))
		}
	}
	return ranges
}

// countRanges returns the number of ranges that the query reads in all its indexes.
func (q *Query) countRanges() (n int) {
	if q.Filter.InstanceOwnerID != "" {
		return 1
	}
	for app := range q.steps() {
		n += app.IndexShards
	}
	return n * len(q.indexes())
}

// steps returns each application with each step in which the filter can match an instance.
func (q *Query) steps() iter.Seq2[*application.Application, application.Step] {
	f := &q.Filter
	return func(yield func(*application.Application, application.Step) bool) {
		for _, app := range q.Apps {
			for _, step := range app.Workflow.Steps {
				excluded := f.Step != "" && f.Step != step.Name ||
					f.Unconfirmed && !step.Submits() ||
					f.IsCompleted != nil && *f.IsCompleted != step.Completes ||
					f.IsArchived != nil && *f.IsArchived != step.Archives
				if !excluded && !yield(app, step) {
					return
				}
			}
		}
	}
}

// reader returns a range that reads span from the key after on.
func (q *Query) reader(index Index, span KeyRange, after string) merge.Range[Row] {
	return func(ctx context.Context, from string, limit int, keysOnly bool) ([]merge.Row[Row], bool, error) {
		span := span
		span.KeysOnly = keysOnly
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
		return index.Read(ctx, span, limit)
	}
}
