package merge

import (
	"container/heap"
	"context"
	"errors"
	"sync"
)

const (
	// readAhead is how many rows are read on at least when more are taken than were wanted: whoever does so leaves out
	// most of what it reads, which must not cost a long series of small reads.
	readAhead = 64
	// maxAhead is how many it is at the most: what was read ahead may turn out not to be needed.
	maxAhead = 1000
)

// Union returns the stream of all rows of the ranges. A key that stands in several ranges comes once for each.
// want is about how many rows will be taken: it sizes the reads. The first read of each range is made at once with
// those of the others, and so are, as far as can be foreseen, the reads that follow.
func Union[T any](order Order, want int, ranges ...Range[T]) Stream[T] {
	share := want
	if len(ranges) > 1 {
		share = withMargin(want)/len(ranges) + 2
	}
	m := &union[T]{order: order, want: want}
	for _, r := range ranges {
		m.unread = append(m.unread, &cursor[T]{order: order, read: r, limit: max(share, 1), most: max(want, readAhead)})
	}
	return m
}

// withMargin is a number of rows and a fifth more, for a range that has more of the rows to come than was expected: it is
// cheaper to read some in vain than to wait for a second read.
func withMargin(rows int) int { return (rows*6 + 4) / 5 }

// union is the stream over several: a heap of those whose first row is known.
type union[T any] struct {
	order  Order
	want   int          // rows that will be taken
	taken  int          // rows that were dropped
	heads  []*cursor[T] // each has a row
	unread []*cursor[T] // the others, but for those at their end
}

func (m *union[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	if err := m.settle(ctx); err != nil {
		return row, false, err
	}
	if len(m.heads) == 0 {
		return row, false, nil
	}
	return m.heads[0].rows[0], true, nil
}

func (m *union[T]) Next() {
	m.taken++
	first := m.heads[0]
	first.Next()
	if len(first.rows) > 0 {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
		m.unread = append(m.unread, first)
	}
}

func (m *union[T]) Seek(key string) {
	m.unread, m.heads = append(m.unread, m.heads...), nil
	for _, c := range m.unread {
		c.Seek(key)
	}
}

// settle finds the first row of every cursor. Those that must be read for it are read all at once, and with them
// those that would have to be read soon.
func (m *union[T]) settle(ctx context.Context) error {
	if len(m.unread) == 0 {
		return nil
	}
	ahead := m.plan()
	has := make([]bool, len(m.unread))
	errs := make([]error, len(m.unread)+len(ahead))
	var reads sync.WaitGroup
	for n, c := range m.unread {
		reads.Go(func() { _, has[n], errs[n] = c.Peek(ctx) })
	}
	for n, c := range ahead {
		reads.Go(func() { errs[len(m.unread)+n] = c.fill(ctx) })
	}
	reads.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for n, c := range m.unread {
		if has[n] {
			heap.Push(m, c)
		}
	}
	m.unread = m.unread[:0]
	return nil
}

// plan sizes the reads that come next, by how many of the rows so far each range had. It returns the heads that will
// run out of rows before all that are wanted are taken, to be read along.
func (m *union[T]) plan() (ahead []*cursor[T]) {
	needsRead := false
	for _, c := range m.unread {
		needsRead = needsRead || len(c.rows) == 0 && !c.done
		if c.seekedPast() {
			return nil // what lies there is not known
		}
	}
	if !needsRead || m.taken == 0 {
		return nil
	}
	if m.taken >= m.want {
		m.want = m.taken + min(max(m.taken/2, readAhead), maxAhead)
	}
	expected := func(c *cursor[T]) int {
		rows := (m.want-m.taken)*c.taken/m.taken + 1
		if c.taken < m.taken {
			rows = withMargin(rows) + 1
		}
		return rows
	}
	for _, c := range m.unread {
		c.limit = max(expected(c)-len(c.rows), 1)
	}
	for _, c := range m.heads {
		if missing := expected(c) - len(c.rows); missing > 0 && !c.done {
			c.limit = missing
			ahead = append(ahead, c)
		}
	}
	return ahead
}

// Len is part of heap.Interface.
func (m *union[T]) Len() int { return len(m.heads) }

// Less is part of heap.Interface: the head with the first key is on top.
func (m *union[T]) Less(a, b int) bool {
	return m.order.before(m.heads[a].rows[0].Key, m.heads[b].rows[0].Key)
}

// Swap is part of heap.Interface.
func (m *union[T]) Swap(a, b int) { m.heads[a], m.heads[b] = m.heads[b], m.heads[a] }

// Push is part of heap.Interface.
func (m *union[T]) Push(x any) { m.heads = append(m.heads, x.(*cursor[T])) }

// Pop is part of heap.Interface.
func (m *union[T]) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}
