package merge

import (
	"context"
	"errors"
	"sync"
)

// Intersection returns, in key order and without duplicate keys, a superset of the rows that occur
// in all of some unions: a zig-zag join.
type Intersection[T any] struct {
	order   Order
	want    int
	matches func(T) bool
	unions  []*Union[T]

	started  bool
	current  int    // index of the union that is read
	seek     string // Peek skips rows before this key
	peeked   Row[T] // the row that the last Peek returned
	last     string // key of the last consumed row
	consumed int    // number of rows that Next consumed
	matched  int    // number of these rows that match

	// The intersection chooses again which union to read after switchAfter reads in which less than
	// half of the rows matched.
	switchAfter, poorReads    int
	consumedThen, matchedThen int // consumed and matched at the last read
}

// NewIntersection returns the intersection of unions, which must have the same order. matches
// reports from the value alone whether the caller wants a row: the intersection reads the union
// with the fewest rows, and the others only to choose between them or to skip ahead. want is the
// approximate number of matching rows that will be consumed. want and the share of rows that
// matched determine the size of reads.
func NewIntersection[T any](order Order, want int, matches func(T) bool, unions ...*Union[T]) *Intersection[T] {
	return &Intersection[T]{order: order, want: want, matches: matches, unions: unions, switchAfter: 1}
}

// Peek returns the first row without consuming it, or ok false at the end. It may be called again
// after an error.
func (s *Intersection[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		if end, err := s.prepare(ctx); err != nil || end {
			return row, false, err
		}
		row, ok, err = s.unions[s.current].Peek(ctx)
		if !ok || err != nil || s.last == "" || row.Key != s.last {
			s.peeked = row
			return row, ok, err
		}
		s.unions[s.current].Next() // a duplicate that was consumed from another union or range
	}
}

// Next consumes the row that Peek returned.
func (s *Intersection[T]) Next() {
	s.unions[s.current].Next()
	s.last, s.seek = s.peeked.Key, s.peeked.Key
	s.consumed++
	if s.matches(s.peeked.Value) {
		s.matched++
	}
}

// Seek skips the rows before key. No key may be before that of an earlier call.
func (s *Intersection[T]) Seek(key string) {
	s.seek = key
	for _, union := range s.unions {
		union.Seek(key)
	}
}

// prepare runs before each row: it chooses the union to read and sizes the next read. It reports
// the end if one of the unions has no more rows.
func (s *Intersection[T]) prepare(ctx context.Context) (end bool, err error) {
	if !s.started {
		if len(s.unions) > 1 {
			end, err = s.choose(ctx)
		}
		s.started = err == nil
		return end, err
	}
	union := s.unions[s.current]
	if !union.needsRead() {
		return false, nil
	}
	consumed, matched := s.consumed-s.consumedThen, s.matched-s.matchedThen
	if len(s.unions) > 1 && 2*matched < consumed {
		s.poorReads++
	}
	if s.poorReads >= s.switchAfter {
		before := s.current
		if end, err = s.choose(ctx); end || err != nil {
			return end, err
		}
		s.poorReads, s.switchAfter = 0, 2*s.switchAfter
		if s.current != before {
			s.switchAfter = 1
		}
	}
	s.consumedThen, s.matchedThen = s.consumed, s.matched
	if missing := s.want - s.matched; missing > 0 && s.consumed > 0 {
		union.setWant(min(missing*(s.consumed+1)/(s.matched+1), 4*s.consumed, maxAhead))
	}
	return false, nil
}

// choose reads the first row of every union concurrently and seeks to the furthest of their keys.
// It makes the union with the fewest rows from there the current one. It reports the end if a union
// has no more rows.
func (s *Intersection[T]) choose(ctx context.Context) (end bool, err error) {
	rows := make([]Row[T], len(s.unions))
	has := make([]bool, len(s.unions))
	errs := make([]error, len(s.unions))
	var reads sync.WaitGroup
	for n, union := range s.unions {
		if s.seek != "" && n != s.current {
			union.Seek(s.seek)
		}
		reads.Go(func() { rows[n], has[n], errs[n] = union.Peek(ctx) })
	}
	reads.Wait()
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	for n := range s.unions {
		if !has[n] {
			return true, nil
		}
		if s.seek == "" || s.order.before(s.seek, rows[n].Key) {
			s.seek = rows[n].Key
		}
	}
	s.current = s.sparsest()
	s.unions[s.current].Seek(s.seek)
	return false, nil
}

// sparsest returns the index of the union with the fewest rows, counted up to the key to which all
// unions have been read.
func (s *Intersection[T]) sparsest() (index int) {
	end, all := "", true
	for _, union := range s.unions {
		if key, whole := union.readUpTo(); !whole && (all || s.order.before(key, end)) {
			end, all = key, false
		}
	}
	least := -1
	for n, union := range s.unions {
		if count := union.buffered(end, all); least < 0 || count < least {
			index, least = n, count
		}
	}
	return index
}
