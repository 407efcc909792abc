package merge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// shelf is a range that behaves as badly as the contract of Range lets it: pages that are short or empty although
// there is more, more where there is none, and reads that fail. It has its own randomness, because ranges are read
// at the same time.
type shelf struct {
	order Order
	rows  []Row[int] // in order
	rand  *rand.Rand // nil: a range without whims
	fails bool       // some reads fail
	reads int
	given int   // rows that were returned
	most  int   // rows of the largest page that was asked for
	asked []int // the limits, one a read
}

var errRead = errors.New("a read failed")

func (s *shelf) read(ctx context.Context, from string, limit int) ([]Row[int], bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	s.reads++
	s.asked = append(s.asked, limit)
	s.most = max(s.most, limit)
	if limit < 1 {
		return nil, false, fmt.Errorf("a limit of %d", limit)
	}
	if s.fails && s.rand.IntN(4) == 0 {
		return nil, false, errRead
	}
	first := 0
	if from != "" {
		first, _ = slices.BinarySearchFunc(s.rows, from, func(r Row[int], key string) int {
			if s.order == Descending {
				return strings.Compare(key, r.Key)
			}
			return strings.Compare(r.Key, key)
		})
	}
	rest := s.rows[first:]
	n := min(limit, len(rest))
	more := len(rest) > n
	if s.rand != nil {
		switch s.rand.IntN(4) {
		case 0:
			n, more = s.rand.IntN(n+1), true
		case 1:
			more = true // as DynamoDB says when the limit falls on the last row
		}
	}
	s.given += n
	return slices.Clone(rest[:n]), more, nil
}

// key returns keys whose order as text is that of n.
func key(n int) string { return fmt.Sprintf("%06d", n) }

func newShelf(order Order, keys ...int) *shelf {
	s := &shelf{order: order}
	for _, n := range keys {
		s.rows = append(s.rows, Row[int]{key(n), n})
	}
	s.sort()
	return s
}

func (s *shelf) sort() {
	slices.SortFunc(s.rows, func(a, b Row[int]) int {
		if s.order == Descending {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
}

func drawOrder(t *rapid.T) Order { return Order(rapid.Bool().Draw(t, "descending")) }

// drawRanges returns ranges with keys from a small set, so that they overlap, and the model: all their rows in
// order. Values tell rows with the same key apart.
func drawRanges(t *rapid.T, order Order, atLeast, atMost int) (ranges []Range[int], model []Row[int]) {
	all := &shelf{order: order}
	for r := range rapid.IntRange(atLeast, atMost).Draw(t, "ranges") {
		s := &shelf{order: order, fails: rapid.Bool().Draw(t, "fails"), rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 0, 40, rapid.ID[int]).Draw(t, "keys") {
			s.rows = append(s.rows, Row[int]{key(n), 1000*r + n})
		}
		s.sort()
		ranges, all.rows = append(ranges, s.read), append(all.rows, s.rows...)
	}
	all.sort()
	return ranges, all.rows
}

// walk reads a stream to its end by a random sequence of calls and compares it with the model at every one.
func walk(t *rapid.T, order Order, s Stream[int], model []Row[int]) {
	ctx := context.Background()
	peek := func() (Row[int], bool) {
		for failures := 0; ; failures++ {
			row, ok, err := s.Peek(ctx)
			if err == nil {
				return row, ok
			}
			if !errors.Is(err, errRead) {
				t.Fatalf("error: %v", err)
			}
			if ok {
				t.Fatal("a row together with an error")
			}
			if failures > 500 {
				t.Fatal("no progress although reads succeed at times")
			}
		}
	}
	taken := map[Row[int]]bool{}
	for {
		if rapid.IntRange(0, 5).Draw(t, "skip") == 0 {
			// Somewhere ahead: a skip does not go back.
			to := rapid.IntRange(0, 62).Draw(t, "to")
			if len(model) > 0 && !order.before(key(to), model[0].Key) {
				s.Seek(key(to))
				for len(model) > 0 && order.before(model[0].Key, key(to)) {
					model = model[1:]
				}
			}
		}
		row, ok := peek()
		if ok != (len(model) > 0) {
			t.Fatalf("a row: %v (%v); the model has %d left", ok, row, len(model))
		}
		if !ok {
			break
		}
		if row.Key != model[0].Key || row.Key != key(row.Value%1000) || taken[row] {
			t.Fatalf("got %v (taken before: %v), want the key %s", row, taken[row], model[0].Key)
		}
		if again, ok := peek(); !ok || again != row {
			t.Fatalf("a second Peek gives %v, the first %v", again, row)
		}
		s.Next()
		taken[row] = true
		model = model[1:]
	}
	if _, ok := peek(); ok {
		t.Fatal("a row after the end")
	}
}

func TestMergedIsTheSortedUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		ranges, model := drawRanges(t, order, 0, 6)
		walk(t, order, Union(order, rapid.IntRange(0, 50).Draw(t, "want"), ranges...), model)
	})
}

// TestRowsThatComeAndGo has rows appear ahead of the reader and disappear anywhere between reads: what stays is
// found once, in order.
func TestRowsThatComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		s := newShelf(order, rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 0, 40, rapid.ID[int]).Draw(t, "keys")...)
		stays := map[string]bool{}
		for _, r := range s.rows {
			stays[r.Key] = true
		}
		stream := Union(order, rapid.IntRange(1, 5).Draw(t, "want"), s.read)
		var got []string
		for {
			row, ok, err := Next(context.Background(), stream)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, row.Key)
			switch n := rapid.IntRange(0, 60).Draw(t, "row"); rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				s.rows = slices.DeleteFunc(s.rows, func(r Row[int]) bool { return r.Key == key(n) })
				delete(stays, key(n))
			case 1:
				if at := (Row[int]{key(n), n}); order.before(row.Key, at.Key) && !slices.Contains(s.rows, at) {
					s.rows = append(s.rows, at)
					s.sort()
				}
			}
		}
		for n := 1; n < len(got); n++ {
			if !order.before(got[n-1], got[n]) {
				t.Fatalf("out of order or twice: %v", got)
			}
		}
		for k := range stays {
			if !slices.Contains(got, k) {
				t.Fatalf("%s was there all the time and is not among %v", k, got)
			}
		}
	})
}

func TestErrorsSurface(t *testing.T) {
	good, bad := newShelf(Ascending, 1, 2, 3), newShelf(Ascending, 2)
	failing := true
	s := Union(Ascending, 10, good.read, func(ctx context.Context, from string, limit int) ([]Row[int], bool, error) {
		if failing {
			return nil, false, errRead
		}
		return bad.read(ctx, from, limit)
	})
	for range 3 {
		if _, ok, err := Next(t.Context(), s); ok || !errors.Is(err, errRead) {
			t.Fatalf("a row: %v, %v; want the range's error", ok, err)
		}
	}
	failing = false
	if got := take(t, s, 10); !slices.Equal(got, []int{1, 2, 2, 3}) {
		t.Errorf("after the error: %v", got)
	}
	if good.reads != 1 {
		t.Errorf("the range that had answered was read %d times", good.reads)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Union(Ascending, 1, good.read).Peek(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context's end: %v", err)
	}
}

func TestFirstReadsAreMadeAtOnce(t *testing.T) {
	const ranges = 20
	var all sync.WaitGroup
	all.Add(ranges)
	together := func(context.Context, string, int) ([]Row[int], bool, error) {
		all.Done()
		all.Wait() // for ever, if they came one after the other
		return nil, false, nil
	}
	if _, ok, err := Union(Ascending, 10, slices.Repeat([]Range[int]{together}, ranges)...).Peek(t.Context()); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// take drops up to n rows and returns their values.
func take(t *testing.T, s Stream[int], n int) (values []int) {
	t.Helper()
	for range n {
		row, ok, err := Next(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		values = append(values, row.Value)
	}
	return values
}
