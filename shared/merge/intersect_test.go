package merge

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// common returns what stands in all the shelves, by the numbers of the keys.
func common(shelves ...*shelf) func(int) bool {
	times := map[int]int{}
	for _, s := range shelves {
		for _, row := range s.rows {
			times[row.Value]++
		}
	}
	return func(n int) bool { return times[n] == len(shelves) }
}

// sift takes rows until want of those that are looked for have come, and returns these and how many others came.
func sift(t *testing.T, s Stream[int], in func(int) bool, want int) (found []int, others int) {
	t.Helper()
	for len(found) < want {
		row, ok, err := Next(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if in(row.Value) {
			found = append(found, row.Value)
		} else {
			others++
		}
	}
	return found, others
}

// TestSparsestHasWhatStandsInAll compares random streams over ranges with whims, skipped at random, with a model.
func TestSparsestHasWhatStandsInAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		var streams []Stream[int]
		stands := map[string]int{}
		count := rapid.IntRange(1, 4).Draw(t, "streams")
		for range count {
			ranges, model := drawRanges(t, order, 0, 4)
			streams = append(streams, Union(order, rapid.IntRange(0, 50).Draw(t, "want"), ranges...))
			for _, k := range keysOf(model) {
				stands[k]++
			}
		}
		var wanted []string
		for k, n := range stands {
			if n == count {
				wanted = append(wanted, k)
			}
		}
		in := func(value int) bool { return stands[key(value%1000)] == count }
		s := Intersect(order, rapid.IntRange(0, 50).Draw(t, "want"), in, streams...)
		var got []string
		at := ""
		for failures := 0; failures < 500; {
			if rapid.IntRange(0, 8).Draw(t, "skip") == 0 {
				to := key(rapid.IntRange(0, 62).Draw(t, "to"))
				if at == "" || order.before(at, to) {
					s.Seek(to)
					at = to
					wanted = slices.DeleteFunc(wanted, func(k string) bool { return order.before(k, to) && !slices.Contains(got, k) })
				}
			}
			row, ok, err := s.Peek(context.Background())
			if errors.Is(err, errRead) {
				failures++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if at != "" && order.before(row.Key, at) || len(got) > 0 && !order.before(got[len(got)-1], row.Key) {
				t.Fatalf("%s after %v, skipped to %s", row.Key, got, at)
			}
			s.Next()
			got, at = append(got, row.Key), row.Key
		}
		for _, k := range wanted {
			if !slices.Contains(got, k) {
				t.Fatalf("%s stands in all and is not among %v", k, got)
			}
		}
	})
}

// keysOf returns the keys of rows, each once.
func keysOf(rows []Row[int]) (keys []string) {
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestSparsestCosts: what two streams have in common costs little more than reading the one with fewer rows where the
// reading is, in whichever order they are named.
func TestSparsestCosts(t *testing.T) {
	const rows, want = 100_000, 101
	upper := func(step, from, end int) (keys []int) {
		for _, k := range every(step, end-from) {
			keys = append(keys, k+from)
		}
		return keys
	}
	for name, test := range map[string]struct {
		a, b  []int
		given int // rows of both at the most
		reads int // of both
	}{
		"the same rows":          {every(1, rows), every(1, rows), 2 * want, 4},
		"half of them":           {every(1, rows), every(2, rows), 2 * want, 4},
		"rare among frequent":    {every(1, rows), every(700, rows), 3 * want, 5},
		"one in five":            {every(2, rows), every(5, rows), 4 * want, 6},
		"none":                   {every(1, rows), nil, want, 2},
		"one, at the end":        {every(1, rows), []int{rows - 1}, 2 * want, 4},
		"one after the other":    {every(1, rows/2), upper(1, rows/2, rows), 4 * want, 6},
		"dense after a long gap": {every(1, rows), append([]int{3}, upper(1, rows-500, rows)...), 6 * want, 10},
	} {
		for _, order := range []Order{Ascending, Descending} {
			for _, turned := range []bool{false, true} {
				a, b := newShelf(order, test.a...), newShelf(order, test.b...)
				in := common(a, b)
				all := 0
				for _, row := range b.rows {
					if in(row.Value) {
						all++
					}
				}
				streams := []Stream[int]{Union(order, want/2, a.read), Union(order, want/2, b.read)}
				if turned {
					slices.Reverse(streams)
				}
				found, others := sift(t, Intersect(order, want, in, streams...), in, want)
				if len(found) != min(all, want) {
					t.Errorf("%s: %d found, want %d", name, len(found), min(all, want))
				}
				if a.given+b.given > test.given || a.reads+b.reads > test.reads {
					t.Errorf("%s, descending %v, turned %v: %d and %d rows in %d and %d reads, want %d in %d; %d rows found and %d others",
						name, order, turned, a.given, b.given, a.reads, b.reads, test.given, test.reads, len(found), others)
				}
			}
		}
	}
}

// TestSparsestChangesOver: two streams that have few rows in common, where now one and now the other is the denser
// one, cost a fraction of either.
func TestSparsestChangesOver(t *testing.T) {
	const stretches, length = 20, 5000
	var a, b []int
	for n := range stretches {
		for k := range length {
			if n%2 == 0 || k%500 == 0 {
				a = append(a, n*length+k)
			}
			if n%2 == 1 || k%500 == 0 {
				b = append(b, n*length+k)
			}
		}
	}
	for _, order := range []Order{Ascending, Descending} {
		one, other := newShelf(order, a...), newShelf(order, b...)
		in := common(one, other)
		found, _ := sift(t, Intersect(order, 101, in, Union(order, 51, one.read), Union(order, 51, other.read)), in, stretches*length)
		if len(found) != stretches*10 {
			t.Errorf("%d found, want %d", len(found), stretches*10)
		}
		if given := one.given + other.given; given > (len(a)+len(b))/3 {
			t.Errorf("%d and %d rows read of %d and %d", one.given, other.given, len(a), len(b))
		}
	}
}

// TestReadsAreSizedByWhatIsFound: who looks for one row in ten does not read page by page to the last of them.
func TestReadsAreSizedByWhatIsFound(t *testing.T) {
	s := newShelf(Ascending, every(1, 100_000)...)
	in := func(n int) bool { return n%10 == 0 }
	found, _ := sift(t, Intersect(Ascending, 101, in, Union(Ascending, 101, s.read)), in, 101)
	if len(found) != 101 || s.reads > 4 || s.given > 1500 {
		t.Errorf("%d found in %d reads of %d rows: limits %v", len(found), s.reads, s.given, s.asked)
	}
}
