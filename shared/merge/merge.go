// Package merge provides one ordered stream out of many ordered ranges, read lazily: a range is read only as far as
// the stream needs it. What several streams have in common is found by reading the one that has the fewest rows, and
// skipping ahead. It knows nothing of what the rows are; a range is whatever can be asked for the rows from a key on.
package merge

import "context"

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
	// Next takes the row that Peek has returned.
	Next()
	// Seek takes every row before key. Keys given to it do not go back.
	Seek(key string)
}

// Next takes the first row of a stream and returns it, or ok false at the end.
func Next[T any](ctx context.Context, s Stream[T]) (row Row[T], ok bool, err error) {
	row, ok, err = s.Peek(ctx)
	if ok {
		s.Next()
	}
	return row, ok, err
}
