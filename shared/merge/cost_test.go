package merge

import (
	"testing"
)

// every returns the keys from 0 to end, step by step.
func every(step, end int) (keys []int) {
	for n := 0; n < end; n += step {
		keys = append(keys, n)
	}
	return keys
}

// TestOnePageOfOneRangeIsOneRead has a page of n rows and a look at whether there is one more, at every length
// around the page's.
func TestOnePageOfOneRangeIsOneRead(t *testing.T) {
	const size = 10
	for _, order := range []Order{Ascending, Descending} {
		for _, there := range []int{0, 1, size - 1, size, size + 1, 1000} {
			s := newShelf(order, every(1, there)...)
			stream := Union(order, size+1, s.read)
			if got := take(t, stream, size); len(got) != min(size, there) {
				t.Fatalf("%d rows of %d", len(got), there)
			}
			_, more, err := stream.Peek(t.Context())
			if err != nil || more != (there > size) {
				t.Errorf("%d rows there: more %v, %v", there, more, err)
			}
			if s.reads != 1 || s.given > size+1 || s.asked[0] != size+1 {
				t.Errorf("%d rows there: %d reads with the limits %v returned %d rows, want one read of at most %d", there, s.reads, s.asked, s.given, size+1)
			}
		}
	}
}

// TestReadingOnCostsLittle: who wants more rows than were announced (a filter leaves most of them out) gets them in
// reads that grow, and that read no row twice but the one they begin at.
func TestReadingOnCostsLittle(t *testing.T) {
	const rows = 2000
	s := newShelf(Ascending, every(1, rows)...)
	if got := take(t, Union(Ascending, 2, s.read), rows+1); len(got) != rows {
		t.Fatalf("%d rows", len(got))
	}
	if s.reads > rows/readAhead+10 {
		t.Errorf("%d reads for %d rows that nobody had announced", s.reads, rows)
	}
	if s.given > rows+s.reads {
		t.Errorf("%d rows read for %d, in %d reads", s.given, rows, s.reads)
	}
}

// TestRowsInOneRangeOfMany: most instances of an organisation are in one step of one application. The page they
// fill must not cost a series of tiny reads because there are many other ranges.
func TestRowsInOneRangeOfMany(t *testing.T) {
	const size, others = 100, 40
	full := newShelf(Ascending, every(1, 10_000)...)
	ranges := []Range[int]{full.read}
	empty := newShelf(Ascending)
	for range others {
		s := *empty
		ranges = append(ranges, s.read)
	}
	if got := take(t, Union(Ascending, size+1, ranges...), size); len(got) != size {
		t.Fatalf("%d rows", len(got))
	}
	if full.reads > 7 {
		t.Errorf("%d reads in series for %d rows: limits %v", full.reads, size, full.asked)
	}
	if full.given > 3*size {
		t.Errorf("%d rows read for %d", full.given, size)
	}
}

// TestEvenRangesAreReadOnce: when rows fall on ranges evenly, a page is one round of reads.
func TestEvenRangesAreReadOnce(t *testing.T) {
	const size, ranges = 100, 8
	var shelves []*shelf
	var reads []Range[int]
	for n := range ranges {
		var keys []int
		for _, k := range every(ranges, 10_000) {
			keys = append(keys, k+n)
		}
		s := newShelf(Ascending, keys...)
		shelves, reads = append(shelves, s), append(reads, s.read)
	}
	if got := take(t, Union(Ascending, size+1, reads...), size); len(got) != size {
		t.Fatalf("%d rows", len(got))
	}
	given := 0
	for n, s := range shelves {
		if s.reads != 1 {
			t.Errorf("range %d: %d reads", n, s.reads)
		}
		given += s.given
	}
	if given > 2*size {
		t.Errorf("%d rows read for %d", given, size)
	}
}
