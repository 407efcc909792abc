package merge

import (
	"context"
	"errors"
	"sync"
)

// Intersect returns rows, in order and each key once, that all the rows standing in every one of the streams are
// among. For those whose rows tell by themselves whether they stand in the others too: it reads the stream that has the
// fewest rows where the reading is, and of the others only enough to know that. Where they have no rows at all it skips
// ahead. in reports whether a row is one of those that are looked for; what it says of the rows so far, and want, about
// how many of them will be taken, size the reads.
func Intersect[T any](order Order, want int, in func(T) bool, streams ...Stream[T]) Stream[T] {
	return &intersection[T]{order: order, want: want, in: in, streams: streams, switchAfter: 1}
}

type intersection[T any] struct {
	order   Order
	want    int
	in      func(T) bool
	streams []Stream[T]

	started bool
	reading int    // which of the streams
	low     string // rows before it are not wanted
	next    Row[T] // what Peek has returned
	at      string // key of the row dropped last
	rows    int    // rows dropped
	found   int    // of these, those that were looked for

	// The other streams are looked at again after patience reads of this one that have found little.
	switchAfter, reads   int
	rowsThen, foundThere int // rows and found as they were at the last read
}

// source is what streams tell of the rows that they have read already. Those of Merged do.
type source interface {
	// needsRead reports whether the next row must be read.
	needsRead() bool
	// readUpTo returns the last key up to which all rows have been read; all, when there are no more to read.
	readUpTo() (key string, all bool)
	// buffered returns how many rows up to key are there; all of them, with all.
	buffered(key string, all bool) int
	// setWant says how many rows will still be taken.
	setWant(rows int)
}

func (s *intersection[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		if end, err := s.prepare(ctx); err != nil || end {
			return row, false, err
		}
		row, ok, err = s.streams[s.reading].Peek(ctx)
		if !ok || err != nil || s.at == "" || row.Key != s.at {
			s.next = row
			return row, ok, err
		}
		s.streams[s.reading].Next() // it was dropped already, in another stream or range
	}
}

func (s *intersection[T]) Next() {
	s.streams[s.reading].Next()
	s.at, s.low = s.next.Key, s.next.Key
	s.rows++
	if s.in(s.next.Value) {
		s.found++
	}
}

func (s *intersection[T]) Seek(key string) {
	s.low = key
	for _, stream := range s.streams {
		stream.Seek(key)
	}
}

// prepare is called before every row. It reports the end when one of the streams has no more rows.
func (s *intersection[T]) prepare(ctx context.Context) (end bool, err error) {
	if !s.started {
		if len(s.streams) > 1 {
			end, err = s.choose(ctx)
		}
		s.started = err == nil
		return end, err
	}
	stream, ok := s.streams[s.reading].(source)
	if !ok || !stream.needsRead() {
		return false, nil
	}
	rows, found := s.rows-s.rowsThen, s.found-s.foundThere
	if len(s.streams) > 1 && 2*found < rows {
		s.reads++
	}
	if s.reads >= s.switchAfter {
		before := s.reading
		if end, err = s.choose(ctx); end || err != nil {
			return end, err
		}
		s.reads, s.switchAfter = 0, 2*s.switchAfter
		if s.reading != before {
			s.switchAfter = 1
		}
	}
	s.rowsThen, s.foundThere = s.rows, s.found
	if missing := s.want - s.found; missing > 0 && s.rows > 0 {
		stream.setWant(min(missing*(s.rows+1)/(s.found+1), 4*s.rows, maxAhead))
	}
	return false, nil
}

// choose finds where every stream is, skips to where the furthest begins, and chooses the one to read from there.
func (s *intersection[T]) choose(ctx context.Context) (end bool, err error) {
	rows := make([]Row[T], len(s.streams))
	has := make([]bool, len(s.streams))
	errs := make([]error, len(s.streams))
	var reads sync.WaitGroup
	for n, stream := range s.streams {
		if s.low != "" && n != s.reading {
			stream.Seek(s.low)
		}
		reads.Go(func() { rows[n], has[n], errs[n] = stream.Peek(ctx) })
	}
	reads.Wait()
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	for n := range s.streams {
		if !has[n] {
			return true, nil
		}
		if s.low == "" || s.order.before(s.low, rows[n].Key) {
			s.low = rows[n].Key
		}
	}
	s.reading = s.fewest()
	s.streams[s.reading].Seek(s.low)
	return false, nil
}

// fewest returns which stream has the fewest rows, as far as all of them have been read.
func (s *intersection[T]) fewest() (which int) {
	end, all := "", true
	for _, stream := range s.streams {
		b, ok := stream.(source)
		if !ok {
			continue
		}
		if key, whole := b.readUpTo(); !whole && (all || s.order.before(key, end)) {
			end, all = key, false
		}
	}
	least := -1
	for n, stream := range s.streams {
		if b, ok := stream.(source); ok {
			if count := b.buffered(end, all); least < 0 || count < least {
				which, least = n, count
			}
		}
	}
	return which
}

func (m *union[T]) cursors(each func(*cursor[T])) {
	for _, c := range m.heads {
		each(c)
	}
	for _, c := range m.unread {
		each(c)
	}
}

func (m *union[T]) needsRead() bool {
	for _, c := range m.unread {
		if len(c.rows) == 0 && !c.done {
			return true
		}
	}
	return false
}

func (m *union[T]) readUpTo() (key string, all bool) {
	all = true
	m.cursors(func(c *cursor[T]) {
		if !c.done && (all || m.order.before(c.from, key)) {
			key, all = c.from, false
		}
	})
	return key, all
}

func (m *union[T]) buffered(key string, all bool) (rows int) {
	m.cursors(func(c *cursor[T]) {
		for _, row := range c.rows {
			if all || !m.order.before(key, row.Key) {
				rows++
			}
		}
	})
	return rows
}

func (m *union[T]) setWant(rows int) { m.want = m.taken + rows }
