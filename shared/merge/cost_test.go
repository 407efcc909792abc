package merge

import "testing"

// every returns the multiples of step below end.
func every(step, end int) (keys []int) {
	for n := 0; n < end; n += step {
		keys = append(keys, n)
	}
	return keys
}

// TestOnePageOfOneRangeIsOneRead reads a page and peeks at the row after it, with ranges shorter
// than, as long as, and longer than the page.
func TestOnePageOfOneRangeIsOneRead(t *testing.T) {
	const size = 10
	for _, order := range []Order{Ascending, Descending} {
		for _, length := range []int{0, 1, size - 1, size, size + 1, 1000} {
			r := newFakeRange(order, every(1, length)...)
			stream := NewUnion(order, size+1, r.read)
			if got := take(t, stream, size); len(got) != min(size, length) {
				t.Fatalf("%d rows of %d", len(got), length)
			}
			_, more, err := stream.Peek(t.Context())
			if err != nil || more != (length > size) {
				t.Errorf("a range of %d rows: more %v, error %v", length, more, err)
			}
			if r.reads != 1 || r.returned > size+1 || r.limits[0] != size+1 {
				t.Errorf("a range of %d rows: %d reads with the limits %v returned %d rows, want one read of at most %d",
					length, r.reads, r.limits, r.returned, size+1)
			}
		}
	}
}

// TestReadingBeyondWant consumes more rows than want, like a filter that drops most rows. The reads
// must grow, and each may read again only its first row.
func TestReadingBeyondWant(t *testing.T) {
	const rows = 2000
	r := newFakeRange(Ascending, every(1, rows)...)
	if got := take(t, NewUnion(Ascending, 2, r.read), rows+1); len(got) != rows {
		t.Fatalf("%d rows", len(got))
	}
	if r.reads > rows/readAhead+10 {
		t.Errorf("%d reads for %d rows beyond want", r.reads, rows)
	}
	if r.returned > rows+r.reads {
		t.Errorf("%d rows read for %d, in %d reads", r.returned, rows, r.reads)
	}
}

// TestOneFullRangeOfMany has all rows in one range, because most instances of an organisation are
// in one step of one application. The other ranges must not turn the page into a series of tiny
// reads.
func TestOneFullRangeOfMany(t *testing.T) {
	const size, others = 100, 40
	full := newFakeRange(Ascending, every(1, 10_000)...)
	ranges := []Range[int]{full.read}
	empty := newFakeRange(Ascending)
	for range others {
		r := *empty
		ranges = append(ranges, r.read)
	}
	if got := take(t, NewUnion(Ascending, size+1, ranges...), size); len(got) != size {
		t.Fatalf("%d rows", len(got))
	}
	if full.reads > 7 {
		t.Errorf("%d reads in series for %d rows: limits %v", full.reads, size, full.limits)
	}
	if full.returned > 3*size {
		t.Errorf("%d rows read for %d", full.returned, size)
	}
}

// TestEvenRangesAreReadOnce spreads the rows evenly: a page must be one read of each range.
func TestEvenRangesAreReadOnce(t *testing.T) {
	const size, ranges = 100, 8
	var all []*fakeRange
	var reads []Range[int]
	for n := range ranges {
		var keys []int
		for _, k := range every(ranges, 10_000) {
			keys = append(keys, k+n)
		}
		r := newFakeRange(Ascending, keys...)
		all, reads = append(all, r), append(reads, r.read)
	}
	if got := take(t, NewUnion(Ascending, size+1, reads...), size); len(got) != size {
		t.Fatalf("%d rows", len(got))
	}
	returned := 0
	for n, r := range all {
		if r.reads != 1 {
			t.Errorf("range %d: %d reads", n, r.reads)
		}
		returned += r.returned
	}
	if returned > 2*size {
		t.Errorf("%d rows read for %d", returned, size)
	}
}
