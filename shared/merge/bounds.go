package merge

import (
	"container/heap"
	"slices"
)

// Bound says where the remaining rows of a range begin. The zero value says nothing.
type Bound struct {
	Key   string // no remaining row is before Key; "" if that is unknown
	Ended bool   // no row remains
}

// minOpened is the minimum number of ranges that a union opens together.
const minOpened = 8

// SetBounds makes the union skip ranges that end before its first row, and open a range with a
// Bound.Key only when the merge may reach that key. There must be one bound for each range of
// NewUnion. expected is the number of ranges that probably have one of the wanted rows. The union
// opens so many in its first reads, the nearest first. Call SetBounds before the first Peek.
func (u *Union[T]) SetBounds(bounds []Bound, expected int) {
	expected = max(expected, minOpened)
	limit := max(withMargin(u.want)/expected+4, 1)
	u.pending = nil
	for n, r := range u.all {
		r.limit = max(r.limit, min(limit, r.maxLimit))
		switch {
		case bounds[n].Ended:
			r.done = true
		case bounds[n].Key != "":
			r.rows, r.from = []Row[T]{{Key: bounds[n].Key, KeyOnly: true}}, bounds[n].Key
			r.unopened = true
			u.heads = append(u.heads, r)
		default:
			u.pending = append(u.pending, r)
		}
	}
	heap.Init(u)
	u.opened = len(u.pending)
	for len(u.heads) > 0 && u.opened < expected {
		u.open(heap.Pop(u).(*reader[T]))
	}
}

// open makes the union read a range that it knows only by its bound.
func (u *Union[T]) open(r *reader[T]) {
	r.rows, r.fromRead = nil, false
	u.pending = append(u.pending, r)
	u.opened++
}

// openNearest opens the ranges whose bounds the merge may reach before all wanted rows are
// consumed. It opens no more ranges than are open already, because the known rows may be far from
// the next ones, and no more than there are missing rows. But it opens all ranges with the
// nearest bound, because the merge must read them to pass it. In ascending order the ranges
// without further rows have the same bound. The heads must be sorted, and the first one must not
// be open.
func (u *Union[T]) openNearest() {
	var known []string // keys of the rows that were read
	for _, r := range u.heads {
		for _, row := range r.rows {
			if !row.KeyOnly {
				known = append(known, row.Key)
			}
		}
	}
	slices.SortFunc(known, u.order.compare)
	missing := max(u.want-u.consumed, 1)
	most := max(min(u.opened, missing), minOpened)
	nearest, open := u.heads[0].rows[0].Key, 0
	u.heads = slices.DeleteFunc(u.heads, func(r *reader[T]) bool {
		key := r.rows[0].Key
		near := open < most && (len(known) < missing || u.order.before(key, known[missing-1]))
		if !r.unopened || key != nearest && !near {
			return false
		}
		open++
		u.open(r)
		return true
	})
}

// bound returns the bound of the rows after the key after.
func (r *reader[T]) bound(after string) Bound {
	for _, row := range r.rows {
		if r.order.before(after, row.Key) {
			return Bound{Key: row.Key}
		}
	}
	switch {
	case r.done:
		return Bound{Ended: true}
	case r.order.before(after, r.from):
		return Bound{Key: r.from}
	}
	return Bound{}
}

// Bounds returns, for all ranges of all unions in their order, the bound of the rows after the key
// after. It makes no reads. Rows before a key of Seek may be omitted. after must be the key of a
// consumed row.
func (s *Intersection[T]) Bounds(after string) (bounds []Bound) {
	for _, union := range s.unions {
		for _, r := range union.all {
			bounds = append(bounds, r.bound(after))
		}
	}
	return bounds
}

// Contributors returns the number of ranges with a consumed row.
func (s *Intersection[T]) Contributors() (n int) {
	for _, union := range s.unions {
		for _, r := range union.all {
			if r.consumed > 0 {
				n++
			}
		}
	}
	return n
}
