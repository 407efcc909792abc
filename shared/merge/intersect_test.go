package merge

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// common returns a function that reports whether a value is in all ranges.
func common(ranges ...*fakeRange) func(int) bool {
	times := map[int]int{}
	for _, r := range ranges {
		for _, row := range r.rows {
			times[row.Value]++
		}
	}
	return func(n int) bool { return times[n] == len(ranges) }
}

// sift consumes rows until want of them match. It returns the matching values and the number of
// other rows.
func sift(t *testing.T, s stream, matches func(int) bool, want int) (found []int, others int) {
	t.Helper()
	for len(found) < want {
		row, ok, err := next(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if matches(row.Value) {
			found = append(found, row.Value)
		} else {
			others++
		}
	}
	return found, others
}

// TestIntersectionHasAllCommonRows compares intersections of random unions, with random seeks, with
// a model.
func TestIntersectionHasAllCommonRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		var unions []*Union[int]
		occurrences := map[string]int{}
		count := rapid.IntRange(1, 4).Draw(t, "unions")
		budget := drawBudget(t)
		for range count {
			ranges, model := drawRanges(t, order, 0, 4)
			unions = append(unions, NewUnion(order, rapid.IntRange(0, 50).Draw(t, "want"), ranges...))
			unions[len(unions)-1].SetBudget(budget)
			for _, k := range keysOf(model) {
				occurrences[k]++
			}
		}
		var wanted []string
		for k, n := range occurrences {
			if n == count {
				wanted = append(wanted, k)
			}
		}
		matches := func(value int) bool { return occurrences[key(value%1000)] == count }
		s := NewIntersection(order, rapid.IntRange(0, 50).Draw(t, "want"), matches, unions...)
		var got []string
		at := ""
		for failures := 0; failures < 500; {
			if rapid.IntRange(0, 8).Draw(t, "seek") == 0 {
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
				t.Fatalf("%s after %v and a seek to %s", row.Key, got, at)
			}
			s.Next()
			got, at = append(got, row.Key), row.Key
		}
		for _, k := range wanted {
			if !slices.Contains(got, k) {
				t.Fatalf("%s is in all unions and not in %v", k, got)
			}
		}
	})
}

// keysOf returns the distinct keys of rows, sorted.
func keysOf(rows []Row[int]) (keys []string) {
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestIntersectionCost asserts that the intersection of two unions costs little more than reading
// the sparser one, in either order of the unions.
func TestIntersectionCost(t *testing.T) {
	const rows, want = 100_000, 101
	upper := func(step, from, end int) (keys []int) {
		for _, k := range every(step, end-from) {
			keys = append(keys, k+from)
		}
		return keys
	}
	for name, test := range map[string]struct {
		a, b  []int
		rows  int // maximum number of rows read of both
		reads int // maximum number of reads of both
	}{
		"the same rows":          {every(1, rows), every(1, rows), 2 * want, 4},
		"half of them":           {every(1, rows), every(2, rows), 2 * want, 4},
		"rare among frequent":    {every(1, rows), every(700, rows), 3 * want, 5},
		"one in five":            {every(2, rows), every(5, rows), 4 * want, 6},
		"no common rows":         {every(1, rows), nil, want, 2},
		"one, at the end":        {every(1, rows), []int{rows - 1}, 2 * want, 4},
		"one after the other":    {every(1, rows/2), upper(1, rows/2, rows), 4 * want, 6},
		"dense after a long gap": {every(1, rows), append([]int{3}, upper(1, rows-500, rows)...), 6 * want, 10},
	} {
		for _, order := range []Order{Ascending, Descending} {
			for _, reversed := range []bool{false, true} {
				a, b := newFakeRange(order, test.a...), newFakeRange(order, test.b...)
				matches := common(a, b)
				all := 0
				for _, row := range b.rows {
					if matches(row.Value) {
						all++
					}
				}
				unions := []*Union[int]{NewUnion(order, want/2, a.read), NewUnion(order, want/2, b.read)}
				if reversed {
					slices.Reverse(unions)
				}
				found, others := sift(t, NewIntersection(order, want, matches, unions...), matches, want)
				if len(found) != min(all, want) {
					t.Errorf("%s: %d found, want %d", name, len(found), min(all, want))
				}
				if a.returned+b.returned > test.rows || a.reads+b.reads > test.reads {
					t.Errorf("%s, descending %v, reversed %v: %d and %d rows in %d and %d reads, want at most %d in %d; %d rows match and %d do not",
						name, order, reversed, a.returned, b.returned, a.reads, b.reads, test.rows, test.reads, len(found), others)
				}
			}
		}
	}
}

// TestIntersectionSwitchesUnions has two ranges with few common rows. Where one is dense, the other
// is sparse. Reading their intersection must cost a fraction of reading either.
func TestIntersectionSwitchesUnions(t *testing.T) {
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
		rangeA, rangeB := newFakeRange(order, a...), newFakeRange(order, b...)
		matches := common(rangeA, rangeB)
		intersection := NewIntersection(order, 101, matches, NewUnion(order, 51, rangeA.read), NewUnion(order, 51, rangeB.read))
		found, _ := sift(t, intersection, matches, stretches*length)
		if len(found) != stretches*10 {
			t.Errorf("%d found, want %d", len(found), stretches*10)
		}
		if rows := rangeA.returned + rangeB.returned; rows > (len(a)+len(b))/3 {
			t.Errorf("%d and %d rows read of %d and %d", rangeA.returned, rangeB.returned, len(a), len(b))
		}
	}
}

// TestReadsGrowWithTheShareOfMatches wants one row in ten: the reads must grow accordingly instead
// of continuing page by page.
func TestReadsGrowWithTheShareOfMatches(t *testing.T) {
	r := newFakeRange(Ascending, every(1, 100_000)...)
	matches := func(n int) bool { return n%10 == 0 }
	found, _ := sift(t, NewIntersection(Ascending, 101, matches, NewUnion(Ascending, 101, r.read)), matches, 101)
	if len(found) != 101 || r.reads > 4 || r.returned > 1500 {
		t.Errorf("%d found in %d reads of %d rows: limits %v", len(found), r.reads, r.returned, r.limits)
	}
}
