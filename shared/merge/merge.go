// Package merge reads rows from many ordered ranges as one ordered stream.
//
// A query that filters by label reads one range for each label, application, step and shard. The
// hundred rows of its page may come from a single range or from all. A row may be in the range of
// one label only. The cost of reading all ranges completely would grow with the store.
//
// A Union is a k-way merge: a heap of ranges, each read lazily in pages. The page size of a range
// follows its share of the rows so far. An Intersection is a zig-zag join of unions: it seeks to
// the furthest of their first keys, because no earlier key is in all of them. From there it reads
// only the union with the fewest rows. A row itself shows whether it is in the other unions, so the
// Intersection reads them again only if too few rows are.
//
// For example, label A is frequent and label B is rare:
//
//	key       10  20  30  40  50  60  70  80  90 …
//	label A    x   x   x   x   x   x   x   x   x
//	label B                x               x
//
// The Intersection reads the first rows of both unions concurrently: 10 to 40 of A, 40 and 80 of B.
// No key before 40 is in both. Up to 40, the last key read of both, A has four rows and B has one.
// So the Intersection returns the rows of B from 40 on: 40, 80 and so on. Each row carries all
// labels of its instance, so the caller drops those without label A. If more than half of the rows
// lack label A, the Intersection reads A again, and switches to A if A is now the rarer label.
//
// A page of 100 instances with two frequent labels costs 21 read units for 247 rows. The cost is
// the same with 10,000 stored instances and with 1,000,000. `make bench WHAT=query` measures it.
//
// The first row of every range must be known before the first row of the union is. With thousands
// of ranges and large values, these rows alone need more memory than a function has. A Budget
// bounds the values that unions hold. Above it, a Union reads only keys, and discards the values
// that come last in its order. It reads a discarded value again if the row becomes the first one.
// Most pages end before that.
//
// A caller that reads a stream in pages can carry a Bound of every range from one page to the next.
// The union then reads only the ranges that the page reaches, instead of the first row of each.
//
// The package is independent of the values of the rows. A Range is any function that returns the
// rows from a key on.
package merge

import (
	"context"
	"strings"
)

// Row is a value with its key. Keys are unique within a range.
type Row[T any] struct {
	Key     string
	Value   T
	Size    int  // bytes that Value holds
	KeyOnly bool // Value was not read, or was discarded
}

// Range reads rows in the stream's order, beginning with the key from (inclusive; "" is the start
// of the range). It returns at most limit rows, and whether there may be more after them. The rows
// may be fewer than limit, or none, even if there are more. If keysOnly is set, the rows need no
// values.
type Range[T any] func(ctx context.Context, from string, limit int, keysOnly bool) (rows []Row[T], more bool, err error)

// Order is the direction in which all ranges of a stream are read.
type Order bool

// The orders.
const (
	Ascending  Order = false
	Descending Order = true
)

// compare compares the keys a and b in the order.
func (o Order) compare(a, b string) int {
	if o == Descending {
		a, b = b, a
	}
	return strings.Compare(a, b)
}

// before reports whether key a comes before key b.
func (o Order) before(a, b string) bool {
	if o == Descending {
		a, b = b, a
	}
	return a < b
}
