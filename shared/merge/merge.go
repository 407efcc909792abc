// Package merge provides one ordered stream out of many ordered ranges, read lazily: a range is read only as far as
// the stream needs it. Streams can be intersected by skipping ahead. It knows nothing of what the rows are; a range
// is whatever can be asked for the rows from a key on.
package merge

import (
	"container/heap"
	"context"
	"errors"
	"sync"
)

// Row is a value under its key. Within one range keys are unique.
type Row[T any] struct {
	Key   string
	Value T
}

// Range reads rows in the stream's order, beginning with the key from, included ("" is the range's own start). It
// returns at most limit rows, and whether there may be more after them. A page may be short or empty although
// there is more.
type Range[T any] func(ctx context.Context, from string, limit int) (rows []Row[T], more bool, err error)

// Order is the direction that all ranges of a stream are read in.
type Order bool

// The orders.
const (
	Ascending  Order = false
	Descending Order = true
)

// before reports whether key a comes before key b.
func (o Order) before(a, b string) bool {
	if o == Descending {
		a, b = b, a
	}
	return a < b
}

// Stream is an ordered sequence of rows.
type Stream[T any] interface {
	// Peek returns the first row without taking it, or ok false at the end.
	Peek(ctx context.Context) (row Row[T], ok bool, err error)
	// Drop takes the row that Peek has returned.
	Drop()
	// Skip takes every row before key. Keys given to it do not go back.
	Skip(key string)
}

// Next takes the first row of a stream and returns it, or ok false at the end.
func Next[T any](ctx context.Context, s Stream[T]) (row Row[T], ok bool, err error) {
	row, ok, err = s.Peek(ctx)
	if ok {
		s.Drop()
	}
	return row, ok, err
}

// Merged returns the stream of all rows of the ranges. A key that stands in several ranges comes once for each.
// want is about how many rows will be taken: it sizes the first reads, of which each range gets one, all at once.
func Merged[T any](order Order, want int, ranges ...Range[T]) Stream[T] {
	share := want
	if len(ranges) > 1 {
		// Rows fall on the ranges unevenly: ask each for its share and half as much again before reading it twice.
		share = want*3/(2*len(ranges)) + 1
	}
	m := &merged[T]{order: order}
	for _, r := range ranges {
		m.unread = append(m.unread, &cursor[T]{order: order, read: r, limit: max(share, 1), most: max(want, readAhead)})
	}
	return m
}

// Intersected returns the rows of the first stream whose keys stand in all the others too. Each stream is made to
// skip to where the others are, so that a rare one is not paid for with the reading of a frequent one.
func Intersected[T any](streams ...Stream[T]) Stream[T] {
	if len(streams) == 1 {
		return streams[0]
	}
	return intersected[T](streams)
}

// afterSkip is how many rows are asked for where a skip has led over most of what was read: often the next skip
// leads away again. Reading on from there doubles it, and so do skips from each row to the next one.
const afterSkip = 8

// readAhead is how many rows reading on may grow to when fewer were wanted. Who reads on has found the rows in this
// range and not in the others, or leaves out most of what it reads: neither may cost a long series of small reads.
const readAhead = 64

// cursor is the stream over one range.
type cursor[T any] struct {
	order Order
	read  Range[T]
	limit int      // rows to ask for next
	most  int      // rows to ask for at the most
	rows  []Row[T] // read and not taken
	from  string   // where the next read begins
	seen  bool     // the row at from has been read before
	skip  string   // rows before it are not wanted
	page  int      // rows that the last read returned
	waste int      // of these, those that a skip has led over: read for nothing
	done  bool     // there is nothing after rows
}

func (c *cursor[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		for passed := 0; len(c.rows) > 0 && c.order.before(c.rows[0].Key, c.skip) && c.skip != ""; passed++ {
			c.rows = c.rows[1:]
			if passed > 0 { // the first one is where the stream has been, and was of use
				c.waste++
			}
		}
		if len(c.rows) > 0 {
			return c.rows[0], true, nil
		}
		if c.done {
			return row, false, nil
		}
		if err := c.fill(ctx); err != nil {
			return row, false, err
		}
	}
}

func (c *cursor[T]) Drop() { c.rows = c.rows[1:] }

func (c *cursor[T]) Skip(key string) { c.skip = key }

// fill reads on, from where the last read ended or from where a skip has led.
func (c *cursor[T]) fill(ctx context.Context) error {
	if c.skip != "" && (c.from == "" || c.order.before(c.from, c.skip)) {
		c.from, c.seen = c.skip, false
		if 2*c.waste >= c.page {
			c.limit = afterSkip
		}
	}
	limit := c.limit
	if c.seen {
		limit++ // for the row that comes again
	}
	rows, more, err := c.read(ctx, c.from, limit)
	if err != nil {
		return err
	}
	if c.seen && len(rows) > 0 && rows[0].Key == c.from {
		rows = rows[1:]
	}
	if len(rows) > 0 {
		c.from, c.seen = rows[len(rows)-1].Key, true
	}
	c.rows, c.done = rows, !more
	c.page, c.waste = len(rows), 0
	c.limit = min(2*c.limit, c.most)
	return nil
}

// merged is the stream over several: a heap of those whose first row is known.
type merged[T any] struct {
	order  Order
	heads  []*cursor[T] // each has a row
	unread []*cursor[T] // the others, but for those at their end
}

func (m *merged[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	if err := m.settle(ctx); err != nil {
		return row, false, err
	}
	if len(m.heads) == 0 {
		return row, false, nil
	}
	return m.heads[0].rows[0], true, nil
}

func (m *merged[T]) Drop() {
	first := m.heads[0]
	first.Drop()
	if len(first.rows) > 0 {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
		m.unread = append(m.unread, first)
	}
}

func (m *merged[T]) Skip(key string) {
	m.unread, m.heads = append(m.unread, m.heads...), nil
	for _, c := range m.unread {
		c.Skip(key)
	}
}

// settle finds the first row of every cursor, those that must be read for it all at once.
func (m *merged[T]) settle(ctx context.Context) error {
	has := make([]bool, len(m.unread))
	errs := make([]error, len(m.unread))
	var reads sync.WaitGroup
	for n, c := range m.unread {
		reads.Go(func() { _, has[n], errs[n] = c.Peek(ctx) })
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

// Len is part of heap.Interface.
func (m *merged[T]) Len() int { return len(m.heads) }

// Less is part of heap.Interface: the head with the first key is on top.
func (m *merged[T]) Less(a, b int) bool {
	return m.order.before(m.heads[a].rows[0].Key, m.heads[b].rows[0].Key)
}

// Swap is part of heap.Interface.
func (m *merged[T]) Swap(a, b int) { m.heads[a], m.heads[b] = m.heads[b], m.heads[a] }

// Push is part of heap.Interface.
func (m *merged[T]) Push(x any) { m.heads = append(m.heads, x.(*cursor[T])) }

// Pop is part of heap.Interface.
func (m *merged[T]) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// intersected is the stream of what stands in all of several.
type intersected[T any] []Stream[T]

func (x intersected[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		row, ok, err = x[0].Peek(ctx)
		if err != nil || !ok {
			return row, false, err
		}
		ahead, err := x.ahead(ctx, row.Key)
		switch {
		case err != nil:
			return row, false, err
		case ahead == nil:
			return row, true, nil
		case ahead.end:
			return row, false, nil
		}
		x[0].Skip(ahead.key)
	}
}

// ahead is where a stream is that does not have the key asked for.
type ahead struct {
	key string
	end bool // there is no further row
}

// ahead returns nil when all streams but the first have key, or else where the first of them that has not is.
func (x intersected[T]) ahead(ctx context.Context, key string) (*ahead, error) {
	for _, s := range x[1:] {
		s.Skip(key)
		row, ok, err := s.Peek(ctx)
		if err != nil {
			return nil, err
		}
		if !ok || row.Key != key {
			return &ahead{key: row.Key, end: !ok}, nil
		}
	}
	return nil, nil
}

func (x intersected[T]) Drop() { x[0].Drop() }

func (x intersected[T]) Skip(key string) { x[0].Skip(key) }
