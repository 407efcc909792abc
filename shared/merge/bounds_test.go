package merge

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestPagesWithBounds reads a stream in pages, each with the bounds of the page before, some of
// them lowered or lost. Rows appear and disappear between the pages, never before a bound. The
// pages must have exactly the rows that a read without bounds has.
func TestPagesWithBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		var all []*fakeRange
		var ranges []Range[int]
		for number := range rapid.IntRange(1, 30).Draw(t, "ranges") {
			r := &fakeRange{order: order, fails: rapid.IntRange(0, 5).Draw(t, "fails") == 0, rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 60), 0, 6, rapid.ID[int]).Draw(t, "keys") {
				r.rows = append(r.rows, Row[int]{Key: key(n), Value: 1000*number + n, Size: rowSize})
			}
			r.sort()
			all, ranges = append(all, r), append(ranges, r.read)
		}
		var bounds []Bound
		after := ""
		for pages := 0; ; pages++ {
			if pages > 100 {
				t.Fatal("the pages do not end")
			}
			size := rapid.IntRange(1, 8).Draw(t, "size")
			union := NewUnion(order, size, ranges...)
			union.SetBudget(drawBudget(t))
			if bounds != nil {
				union.SetBounds(bounds, rapid.IntRange(0, 40).Draw(t, "expected"))
			}
			s := NewIntersection(order, size, func(int) bool { return true }, union)
			if after != "" {
				s.Seek(after)
			}
			var want []string
			for _, r := range all {
				for _, row := range r.rows {
					if after == "" || order.before(after, row.Key) {
						want = append(want, row.Key)
					}
				}
			}
			slices.SortFunc(want, order.compare)
			want = slices.Compact(want) // an intersection returns each key once
			var got []string
			more := false
			for failures := 0; ; {
				row, ok, err := s.Peek(context.Background())
				if errors.Is(err, errRead) && failures < 500 {
					failures++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if more = ok && len(got) == size; !ok || more {
					break
				}
				s.Next()
				if row.Key != after {
					got = append(got, row.Key)
				}
			}
			if !slices.Equal(got, want[:min(size, len(want))]) {
				t.Fatalf("page %d after %q has %v, want the first %d of %v; bounds %v", pages, after, got, size, want, bounds)
			}
			if !more {
				break
			}
			after = got[len(got)-1]
			bounds = s.Bounds(after)
			for n := range bounds {
				switch {
				case rapid.IntRange(0, 9).Draw(t, "lost") == 0:
					bounds[n] = Bound{}
				case bounds[n].Key != "" && rapid.Bool().Draw(t, "lower"):
					for _, at := range []string{key(rapid.IntRange(1, 60).Draw(t, "at")), after} {
						if !order.before(at, after) && order.before(at, bounds[n].Key) {
							bounds[n].Key = at
							break
						}
					}
				}
				change := rapid.IntRange(1, 60).Draw(t, "change")
				switch r := all[n]; {
				case rapid.IntRange(0, 5).Draw(t, "remove") == 0:
					r.rows = slices.DeleteFunc(r.rows, func(row Row[int]) bool { return row.Key == key(change) })
				case !bounds[n].Ended && !order.before(key(change), bounds[n].Key) && order.before(after, key(change)) &&
					!slices.ContainsFunc(r.rows, func(row Row[int]) bool { return row.Key == key(change) }):
					r.rows = append(r.rows, Row[int]{Key: key(change), Value: 1000*n + change, Size: rowSize})
					r.sort()
				}
			}
		}
	})
}

// TestFollowingPagesCostTheirRows has many ranges, of which few have most of the rows. A following
// page must read little more than the ranges that have its rows, in few rounds.
func TestFollowingPagesCostTheirRows(t *testing.T) {
	const size, count = 100, 1500
	for _, order := range []Order{Ascending, Descending} {
		random := rand.New(rand.NewPCG(1, 2))
		zipf := rand.NewZipf(random, 1.2, 1, count-1)
		var all []*fakeRange
		var ranges []Range[int]
		for range count {
			all = append(all, &fakeRange{order: order})
		}
		for n := range 20_000 {
			r := all[zipf.Uint64()]
			r.rows = append(r.rows, Row[int]{Key: key(n), Value: n})
		}
		var mu sync.Mutex
		reads, read := 0, map[int]bool{}
		for n, r := range all {
			r.sort()
			ranges = append(ranges, func(ctx context.Context, from string, limit int, keysOnly bool) ([]Row[int], bool, error) {
				mu.Lock()
				defer mu.Unlock()
				reads++
				read[n] = true
				return r.read(ctx, from, limit, keysOnly)
			})
		}
		var bounds []Bound
		after, expected := "", 0
		for page := range 50 {
			reads, read = 0, map[int]bool{}
			union := NewUnion(order, size+1, ranges...)
			if bounds != nil {
				union.SetBounds(bounds, expected)
			}
			s := NewIntersection(order, size+1, func(int) bool { return true }, union)
			if after != "" {
				s.Seek(after)
			}
			got := take(t, s, size)
			if _, more, err := s.Peek(t.Context()); len(got) < size || !more || err != nil {
				t.Fatalf("page %d: %d rows, more %v, %v", page, len(got), more, err)
			}
			after, expected = key(got[len(got)-1]), s.Contributors()
			bounds = s.Bounds(after)
			if page > 0 && len(read) > 2*expected+minOpened {
				t.Errorf("page %d read %d ranges in %d reads for the rows of %d ranges", page, len(read), reads, expected)
			}
		}
	}
}
