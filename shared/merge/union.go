package merge

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// readAhead is the minimum number of further rows to plan for when the consumer consumes more
	// rows than it announced. Such a consumer drops most rows, and small reads would become a long
	// series.
	readAhead = 64
	// maxAhead is the maximum number of further rows to plan for. They may not be needed.
	maxAhead = 1000
	// maxReloads is the maximum number of ranges that a union reads again concurrently for
	// discarded values.
	maxReloads = 16
)

// Union is the stream of all rows of some ranges, in order: a k-way merge.
type Union[T any] struct {
	order    Order
	budget   *Budget
	want     int          // number of rows that will be consumed
	consumed int          // number of rows that Next consumed
	all      []*reader[T] // in the order of the ranges
	heads    []*reader[T] // heap by first row; each has at least one row
	pending  []*reader[T] // the other readers, except those at their end
	opened   int          // number of ranges that were read or are pending, if SetBounds was called
}

// NewUnion returns the union of ranges. A key that occurs in several ranges occurs in the union
// once for each. want is the approximate number of rows that will be consumed; it determines the
// size of reads. The union makes the first reads of all ranges concurrently, and also the later
// reads that it can foresee.
func NewUnion[T any](order Order, want int, ranges ...Range[T]) *Union[T] {
	share := want
	if len(ranges) > 1 {
		share = withMargin(want)/len(ranges) + 2
	}
	u := &Union[T]{order: order, want: want}
	for _, read := range ranges {
		u.all = append(u.all, &reader[T]{order: order, read: read, limit: max(share, 1), maxLimit: max(want, readAhead)})
	}
	u.pending = slices.Clone(u.all)
	return u
}

// SetBudget makes the union share a budget. Call it before the first Peek.
func (u *Union[T]) SetBudget(b *Budget) {
	u.budget = b
	b.unions++
	for _, r := range u.all {
		r.budget = b
	}
}

// withMargin returns rows plus a fifth, in case a range has more of the next rows than expected.
// Reading a few unneeded rows is cheaper than waiting for a second read.
func withMargin(rows int) int { return (rows*6 + 4) / 5 }

// Peek returns the first row without consuming it, or ok false at the end. It may be called again
// after an error.
func (u *Union[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		if err := u.fillHeads(ctx); err != nil {
			return row, false, err
		}
		if len(u.heads) == 0 {
			return row, false, nil
		}
		if first := u.heads[0].rows[0]; !first.KeyOnly {
			return first, true, nil
		}
		u.reload()
	}
}

// Next consumes the row that Peek returned.
func (u *Union[T]) Next() {
	u.consumed++
	first := u.heads[0]
	first.Next()
	if len(first.rows) > 0 {
		heap.Fix(u, 0)
	} else {
		heap.Pop(u)
		u.pending = append(u.pending, first)
	}
}

// Seek skips the rows before key. No key may be before that of an earlier call.
func (u *Union[T]) Seek(key string) {
	u.pending, u.heads = append(u.pending, u.heads...), nil
	for _, r := range u.pending {
		r.Seek(key)
	}
}

// fillHeads finds the first row of every pending reader. It makes the necessary reads concurrently,
// together with those that would be necessary soon.
func (u *Union[T]) fillHeads(ctx context.Context) error {
	if len(u.pending) == 0 {
		return nil
	}
	ahead := u.planReads()
	has := make([]bool, len(u.pending))
	errs := make([]error, len(u.pending)+len(ahead))
	var reads sync.WaitGroup
	for n, r := range u.pending {
		reads.Go(func() { _, has[n], errs[n] = r.Peek(ctx) })
	}
	for n, r := range ahead {
		reads.Go(func() { errs[len(u.pending)+n] = r.readPage(ctx) })
	}
	reads.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for n, r := range u.pending {
		if has[n] {
			heap.Push(u, r)
		}
	}
	u.pending = u.pending[:0]
	if u.budget.exhausted() {
		u.discard()
	}
	return nil
}

// discard discards the values of the last rows in the union's order, until the union holds no more
// than its share of the budget. It keeps the value of the first head, also if other heads have the
// same key. There must be no pending readers.
func (u *Union[T]) discard() {
	type position struct {
		r *reader[T]
		n int // index of the row
	}
	var rows []position
	for _, r := range u.heads {
		for n := range r.rows {
			rows = append(rows, position{r, n})
		}
	}
	slices.SortStableFunc(rows, func(a, b position) int {
		return u.order.compare(a.r.rows[a.n].Key, b.r.rows[b.n].Key)
	})
	left, end := u.budget.share(), 0
	for ; end < len(rows); end++ {
		if left -= rows[end].r.rows[rows[end].n].Size; left < 0 && end > 0 {
			break
		}
	}
	for _, row := range rows[end:] {
		if row.n < len(row.r.rows) { // else an earlier row of the same range was discarded
			row.r.discard(row.n)
		}
	}
}

// reload makes the nearest heads pending of which only the key is known.
func (u *Union[T]) reload() {
	slices.SortFunc(u.heads, u.compare)
	if u.heads[0].unopened {
		u.openNearest()
		return
	}
	heads := u.heads[:0] // a sorted slice is a heap
	for _, r := range u.heads {
		if r.rows[0].KeyOnly && !r.unopened && len(u.pending) < maxReloads {
			r.reload()
			u.pending = append(u.pending, r)
		} else {
			heads = append(heads, r)
		}
	}
	u.heads = heads
}

// planReads sets the limits of the next reads from each range's share of the consumed rows. It
// returns the heads that will run out of rows before all wanted rows are consumed; they should be
// read concurrently with the pending readers.
func (u *Union[T]) planReads() (ahead []*reader[T]) {
	for _, r := range u.pending {
		if r.seekedPast() {
			return nil // the shares after the seek are unknown
		}
	}
	if !u.needsRead() || u.consumed == 0 || u.budget.exhausted() {
		return nil
	}
	if u.consumed >= u.want {
		u.want = u.consumed + min(max(u.consumed/2, readAhead), maxAhead)
	}
	expected := func(r *reader[T]) int {
		rows := (u.want-u.consumed)*r.consumed/u.consumed + 1
		if r.consumed < u.consumed {
			rows = withMargin(rows) + 1
		}
		return rows
	}
	for _, r := range u.pending {
		r.limit = max(expected(r)-len(r.rows), 1)
	}
	for _, r := range u.heads {
		if r.rows[len(r.rows)-1].KeyOnly {
			continue // its rows were too many bytes
		}
		if missing := expected(r) - len(r.rows); missing > 0 && !r.done {
			r.limit = missing
			ahead = append(ahead, r)
		}
	}
	return ahead
}

// needsRead reports whether the union must read to return its next row.
func (u *Union[T]) needsRead() bool {
	for _, r := range u.pending {
		if r.needsRead() {
			return true
		}
	}
	return false
}

// readUpTo returns the key up to which every range has been read, or all true if every range has
// been read to its end.
func (u *Union[T]) readUpTo() (key string, all bool) {
	all = true
	for r := range u.readers {
		if !r.done && (all || u.order.before(r.from, key)) {
			key, all = r.from, false
		}
	}
	return key, all
}

// buffered returns the number of rows up to key that have been read and not consumed. If all is
// true, it counts the rows after key too.
func (u *Union[T]) buffered(key string, all bool) (rows int) {
	for r := range u.readers {
		if r.unopened {
			continue
		}
		for _, row := range r.rows {
			if all || !u.order.before(key, row.Key) {
				rows++
			}
		}
	}
	return rows
}

// setWant sets the number of further rows that will be consumed.
func (u *Union[T]) setWant(rows int) { u.want = u.consumed + rows }

// readers iterates over the readers that are not at their end.
func (u *Union[T]) readers(yield func(*reader[T]) bool) {
	for _, readers := range [][]*reader[T]{u.heads, u.pending} {
		for _, r := range readers {
			if !yield(r) {
				return
			}
		}
	}
}

// Len implements heap.Interface.
func (u *Union[T]) Len() int { return len(u.heads) }

// Less implements heap.Interface.
func (u *Union[T]) Less(a, b int) bool { return u.compare(u.heads[a], u.heads[b]) < 0 }

// compare compares two heads. The head with the first key is on top of the heap. Of equal keys, one
// with its value is, so that the union can return its row without reading the others.
func (u *Union[T]) compare(a, b *reader[T]) int {
	byKey := u.order.compare(a.rows[0].Key, b.rows[0].Key)
	switch {
	case byKey != 0 || a.rows[0].KeyOnly == b.rows[0].KeyOnly:
		return byKey
	case a.rows[0].KeyOnly:
		return 1
	}
	return -1
}

// Swap implements heap.Interface.
func (u *Union[T]) Swap(a, b int) { u.heads[a], u.heads[b] = u.heads[b], u.heads[a] }

// Push implements heap.Interface.
func (u *Union[T]) Push(x any) { u.heads = append(u.heads, x.(*reader[T])) }

// Pop implements heap.Interface.
func (u *Union[T]) Pop() any {
	last := u.heads[len(u.heads)-1]
	u.heads = u.heads[:len(u.heads)-1]
	return last
}
