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

// fakeRange uses all the freedom that the contract of Range allows: short and empty pages before
// the end, more at the end, and failing reads. Each range has its own source of randomness because
// ranges are read concurrently.
type fakeRange struct {
	order Order
	rows  []Row[int] // in order
	rand  *rand.Rand // nil: full pages and exact reports
	fails bool       // some reads fail

	reads    int
	keyReads int   // reads without values
	returned int   // number of rows of all reads
	limits   []int // of each read
}

var errRead = errors.New("read failed")

func (r *fakeRange) read(ctx context.Context, from string, limit int, keysOnly bool) ([]Row[int], bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	r.reads++
	r.limits = append(r.limits, limit)
	if limit < 1 {
		return nil, false, fmt.Errorf("limit %d", limit)
	}
	if r.fails && r.rand.IntN(4) == 0 {
		return nil, false, errRead
	}
	first := 0
	if from != "" {
		first, _ = slices.BinarySearchFunc(r.rows, from, func(row Row[int], key string) int {
			if r.order == Descending {
				return strings.Compare(key, row.Key)
			}
			return strings.Compare(row.Key, key)
		})
	}
	rest := r.rows[first:]
	n := min(limit, len(rest))
	more := len(rest) > n
	if r.rand != nil {
		switch r.rand.IntN(4) {
		case 0:
			n, more = r.rand.IntN(n+1), true
		case 1:
			more = true // as DynamoDB does if the last row reaches the limit
		}
	}
	r.returned += n
	rows := slices.Clone(rest[:n])
	if keysOnly {
		r.keyReads++
		for n := range rows {
			rows[n] = Row[int]{Key: rows[n].Key, KeyOnly: true}
		}
	}
	return rows, more, nil
}

// key returns a key for n; keys sort like their numbers.
func key(n int) string { return fmt.Sprintf("%06d", n) }

func newFakeRange(order Order, keys ...int) *fakeRange {
	r := &fakeRange{order: order}
	for _, n := range keys {
		r.rows = append(r.rows, Row[int]{Key: key(n), Value: n})
	}
	r.sort()
	return r
}

func (r *fakeRange) sort() {
	slices.SortFunc(r.rows, func(a, b Row[int]) int {
		if r.order == Descending {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
}

func drawOrder(t *rapid.T) Order { return Order(rapid.Bool().Draw(t, "descending")) }

// rowSize is the size of each row of drawRanges.
const rowSize = 10

// drawBudget returns a budget between less than a row and all rows, or none.
func drawBudget(t *rapid.T) *Budget {
	if max := rapid.IntRange(-20, 300).Draw(t, "budget"); max > 0 {
		return NewBudget(max, 2)
	}
	return NewBudget(1<<30, 2)
}

// drawRanges returns ranges with keys from a small set, so that they overlap, and the model: all
// their rows in order. Rows with the same key differ in their values.
func drawRanges(t *rapid.T, order Order, atLeast, atMost int) (ranges []Range[int], model []Row[int]) {
	all := &fakeRange{order: order}
	for number := range rapid.IntRange(atLeast, atMost).Draw(t, "ranges") {
		r := &fakeRange{order: order, fails: rapid.Bool().Draw(t, "fails"), rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 0, 40, rapid.ID[int]).Draw(t, "keys") {
			r.rows = append(r.rows, Row[int]{Key: key(n), Value: 1000*number + n, Size: rowSize})
		}
		r.sort()
		ranges, all.rows = append(ranges, r.read), append(all.rows, r.rows...)
	}
	all.sort()
	return ranges, all.rows
}

// stream is a Union or an Intersection.
type stream interface {
	Peek(ctx context.Context) (row Row[int], ok bool, err error)
	Next()
	Seek(key string)
}

// next consumes the first row of a stream and returns it, or ok false at the end.
func next(ctx context.Context, s stream) (row Row[int], ok bool, err error) {
	row, ok, err = s.Peek(ctx)
	if ok {
		s.Next()
	}
	return row, ok, err
}

// walk reads a stream to its end with random calls and compares each result with the model.
func walk(t *rapid.T, order Order, s stream, model []Row[int]) {
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
				t.Fatal("a row and an error")
			}
			if failures > 500 {
				t.Fatal("no progress although some reads succeed")
			}
		}
	}
	consumed := map[Row[int]]bool{}
	for {
		if rapid.IntRange(0, 5).Draw(t, "seek") == 0 {
			// A seek must not be to an earlier key.
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
			t.Fatalf("ok %v (row %v), but the model has %d rows left", ok, row, len(model))
		}
		if !ok {
			break
		}
		if row.KeyOnly || row.Key != model[0].Key || row.Key != key(row.Value%1000) || consumed[row] {
			t.Fatalf("got %v (consumed before: %v), want the key %s", row, consumed[row], model[0].Key)
		}
		if again, ok := peek(); !ok || again != row {
			t.Fatalf("the second Peek returns %v, the first %v", again, row)
		}
		s.Next()
		consumed[row] = true
		model = model[1:]
	}
	if _, ok := peek(); ok {
		t.Fatal("a row after the end")
	}
}

func TestUnionReturnsAllRowsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		ranges, model := drawRanges(t, order, 0, 6)
		union := NewUnion(order, rapid.IntRange(0, 50).Draw(t, "want"), ranges...)
		union.SetBudget(drawBudget(t))
		walk(t, order, union, model)
		if held := union.budget.held.Load(); held != 0 {
			t.Fatalf("at the end the union holds %d bytes", held)
		}
	})
}

// TestBudget merges many ranges of large rows, in two unions that share a budget. What they hold
// must be bounded, whatever the number of ranges, and the page must not need many more reads.
func TestBudget(t *testing.T) {
	const size, budget, want = 1000, 100_000, 50
	for _, order := range []Order{Ascending, Descending} {
		for _, count := range []int{20, 500, 5000} {
			var all []*fakeRange
			var unions []*Union[int]
			shared := NewBudget(budget, 16)
			most := int64(0)
			var mu sync.Mutex
			for half := range 2 {
				var ranges []Range[int]
				for n := range count / 2 {
					r := newFakeRange(order, n+half*count/2, n+half*count/2+count, n+half*count/2+2*count)
					for at := range r.rows {
						r.rows[at].Size = size
					}
					all = append(all, r)
					ranges = append(ranges, func(ctx context.Context, from string, limit int, keysOnly bool) ([]Row[int], bool, error) {
						mu.Lock()
						most = max(most, shared.held.Load())
						mu.Unlock()
						return r.read(ctx, from, limit, keysOnly)
					})
				}
				union := NewUnion(order, want, ranges...)
				union.SetBudget(shared)
				unions = append(unions, union)
			}
			for half, union := range unions {
				if order == Descending {
					half = 1 - half
				}
				for n, value := range take(t, union, want) {
					if order == Ascending && value != n%(count/2)+half*count/2+n/(count/2)*count {
						t.Fatalf("%d ranges: row %d is %d", count, n, value)
					}
				}
			}
			reads := 0
			for _, r := range all {
				reads += r.reads
			}
			// Each of the 16 concurrent reads returns at most 52 rows.
			if most > budget+16*52*size || shared.held.Load() > most {
				t.Errorf("%d ranges: the unions hold %d bytes, budget %d", count, most, budget)
			}
			if reads > 2*count+2*want {
				t.Errorf("%d ranges: %d reads", count, reads)
			}
		}
	}
}

// TestRowsThatChangeDuringTheRead adds rows ahead of the union and removes rows anywhere between
// reads. The union must return every row that stays once, in order.
func TestRowsThatChangeDuringTheRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		s := newFakeRange(order, rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 0, 40, rapid.ID[int]).Draw(t, "keys")...)
		remaining := map[string]bool{}
		for _, r := range s.rows {
			remaining[r.Key] = true
		}
		for n := range s.rows {
			s.rows[n].Size = rowSize
		}
		union := NewUnion(order, rapid.IntRange(1, 5).Draw(t, "want"), s.read)
		union.SetBudget(drawBudget(t))
		var got []string
		for {
			row, ok, err := next(context.Background(), union)
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
				delete(remaining, key(n))
			case 1:
				if at := (Row[int]{Key: key(n), Value: n, Size: rowSize}); order.before(row.Key, at.Key) && !slices.Contains(s.rows, at) {
					s.rows = append(s.rows, at)
					s.sort()
				}
			}
		}
		for n := 1; n < len(got); n++ {
			if !order.before(got[n-1], got[n]) {
				t.Fatalf("out of order or repeated: %v", got)
			}
		}
		for k := range remaining {
			if !slices.Contains(got, k) {
				t.Fatalf("%s existed throughout and is not in %v", k, got)
			}
		}
	})
}

func TestUnionReturnsErrorsAndContinues(t *testing.T) {
	good, bad := newFakeRange(Ascending, 1, 2, 3), newFakeRange(Ascending, 2)
	failing := true
	s := NewUnion(Ascending, 10, good.read, func(ctx context.Context, from string, limit int, keysOnly bool) ([]Row[int], bool, error) {
		if failing {
			return nil, false, errRead
		}
		return bad.read(ctx, from, limit, keysOnly)
	})
	for range 3 {
		if _, ok, err := next(t.Context(), s); ok || !errors.Is(err, errRead) {
			t.Fatalf("ok %v, error %v, want the error of the range", ok, err)
		}
	}
	failing = false
	if got := take(t, s, 10); !slices.Equal(got, []int{1, 2, 2, 3}) {
		t.Errorf("after the error: %v", got)
	}
	if good.reads != 1 {
		t.Errorf("the range without an error was read %d times, want 1", good.reads)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := NewUnion(Ascending, 1, good.read).Peek(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancellation: %v", err)
	}
}

func TestFirstReadsAreConcurrent(t *testing.T) {
	const ranges = 20
	var all sync.WaitGroup
	all.Add(ranges)
	concurrent := func(context.Context, string, int, bool) ([]Row[int], bool, error) {
		all.Done()
		all.Wait() // a deadlock if the reads are sequential
		return nil, false, nil
	}
	if _, ok, err := NewUnion(Ascending, 10, slices.Repeat([]Range[int]{concurrent}, ranges)...).Peek(t.Context()); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// take consumes up to n rows and returns their values.
func take(t *testing.T, s stream, n int) (values []int) {
	t.Helper()
	for range n {
		row, ok, err := next(t.Context(), s)
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
