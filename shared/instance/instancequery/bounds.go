package instancequery

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/deflate"
	"altinn.no/instanceapi/shared/merge"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Bounds of wide queries. A query of an organisation reads a range for each step of each
// application, often a thousand, and the rows of a page come from few of them. So the cursor of a
// wide query carries, for each range, a lower bound of its next key. The next page reads a range
// only when the merge reaches its bound.
//
// A bound must hold for rows that appear after it was read. Such a row has the time of its change,
// which is at most indexLag before the time of the read. So in ascending order a bound is at most
// that settled time, also if the range had no more rows. In descending order the cursor is at or
// before the settled time, or has no bounds: then no row appears behind it, and a range that ended
// stays ended. A new label is the exception, because it does not change lastChangedDateTime: a
// crawl by this label may omit the instance, as it does behind its position.
//
// Bounds say nothing that the caller may not see, because all ranges of these queries are those of
// the caller's own applications. A client can forge bounds, but only omits rows from its own pages.
const (
	// minBounded is the minimum number of ranges of a query with bounds. Fewer ranges need
	// one round of concurrent reads.
	minBounded = 17
	// maxBoundsBytes is the maximum size of the bounds in a cursor. The cursor then has at most
	// 4,048 characters. API Gateway accepts 10,240 bytes of request line and headers.
	maxBoundsBytes = 3000
	// mantissaBits is the precision of a bound; see nearest.
	mantissaBits = 6
)

// The codes of ranges in the bounds of a cursor. A higher code is firstExponent + the exponent.
const (
	codeUnknown = iota // read the range
	codeSettled        // in ascending order no row before the settled time; in descending order no row
	firstExponent
)

// ordinalBits is the size of an ordinal.
const ordinalBits = 60

// ordinal returns a number that grows in the query's order with the time of a row, in microseconds.
func (q *Query) ordinal(t time.Time) uint64 {
	n := uint64(t.UnixMicro())
	if q.Filter.Order == merge.Descending {
		n = ^n
	}
	return n & (1<<ordinalBits - 1)
}

// boundAt returns the bound for rows with the ordinal n or a higher one.
func (q *Query) boundAt(n uint64) merge.Bound {
	suffix := ""
	if q.Filter.Order == merge.Descending {
		n, suffix = ^n&(1<<ordinalBits-1), afterIDs
	}
	t := time.UnixMicro(int64(n))
	if t.After(latest) {
		return merge.Bound{}
	}
	return merge.Bound{Key: ChangedKey(t, suffix)}
}

// ordinalOf returns the ordinal of a key, or 0 if the key has no time.
func (q *Query) ordinalOf(key string) uint64 {
	text, _, _ := strings.Cut(key, "#")
	t, ok := rfc3339.Parse(text)
	if !ok {
		return 0
	}
	return q.ordinal(t)
}

// nearest returns the exponent and the mantissa of the highest storable ordinal that is at most n
// and higher than at; n must be higher than at. The exponent is the highest bit in which they
// differ: n has it and at does not. The mantissa has the bits of n below it. An ordinal that was
// stored is returned again for every later at before it, so bounds do not decay from page to page.
func nearest(at, n uint64) (exponent, mantissa byte) {
	exponent = byte(bits.Len64(at^n) - 1)
	return exponent, byte(n<<mantissaBits>>exponent) & (1<<mantissaBits - 1)
}

// ordinalFrom returns the ordinal that nearest stored for at. It returns 0 for values that nearest
// does not return.
func ordinalFrom(at uint64, exponent, mantissa byte) uint64 {
	if exponent >= ordinalBits || mantissa >= 1<<mantissaBits || at>>exponent&1 == 1 {
		return 0
	}
	return (at>>exponent|1)<<exponent | uint64(mantissa)<<exponent>>mantissaBits
}

// boundsFormat packs the codes and the mantissas of at most maxRanges ranges.
var boundsFormat = deflate.NewFormat(1, nil, 2*maxRanges)

// boundsHeader is the size of what precedes the packed codes in the bounds of a cursor: the plan,
// the settled time, and the number of ranges that had rows of the page.
const boundsHeader = 8 + 8 + 2

// plan identifies the ranges of the query and their order. Bounds are valid only for the same plan:
// an application may be registered or changed between two pages. The scope of cursors covers the
// indexes.
func (q *Query) plan() (id [8]byte) {
	hash := sha256.New()
	for app, step := range q.steps() {
		_, _ = fmt.Fprintf(hash, "%s#%s#%d\n", app.ID, step.Name, app.IndexShards) // never fails
	}
	return [8]byte(hash.Sum(nil))
}

// packBounds returns the bounds of the rows after the key after, for its cursor, or "" if bounds
// would not help or do not fit. now is the time at which the query began to read.
func (q *Query) packBounds(stream *merge.Intersection[Row], after string, now time.Time) string {
	if q.last || !q.orderedByChange() || q.countRanges() < minBounded {
		return ""
	}
	at, settled := q.ordinalOf(after), q.ordinal(now.Add(-indexLag))
	if q.Filter.Order == merge.Ascending {
		if q.settled > at { // ranges that were not read since
			settled = min(settled, q.settled)
		}
		if settled <= at {
			return ""
		}
	} else if settled > at {
		return ""
	}
	bounds := stream.Bounds(after)
	codes := make([]byte, 2*len(bounds))
	mantissas := codes[len(bounds):]
	for n, bound := range bounds {
		next := q.ordinalOf(bound.Key)
		switch {
		case bound.Ended || q.Filter.Order == merge.Ascending && next >= settled:
			codes[n] = codeSettled
		case next > at:
			codes[n], mantissas[n] = nearest(at, next)
			codes[n] += firstExponent
		}
	}
	head := q.plan()
	header := binary.BigEndian.AppendUint64(head[:], settled)
	header = binary.BigEndian.AppendUint16(header, uint16(min(stream.Contributors(), maxRanges)))
	for precision := range mantissaBits + 1 {
		for n := range mantissas {
			mantissas[n] &= 0xff << precision
		}
		packed, err := boundsFormat.Pack(func(b []byte) ([]byte, error) { return append(b, codes...), nil })
		if err == nil && len(header)+len(packed) <= maxBoundsBytes {
			return string(header) + string(packed)
		}
	}
	return ""
}

// unpackBounds returns the bounds of a cursor at the position, for all ranges of the query in
// their order, and the number of ranges that had rows of the page before. It returns nil if the
// cursor has no bounds for the query's plan. It keeps the settled time of the bounds in q.
func (q *Query) unpackBounds(at position) (bounds []merge.Bound, contributors int) {
	if len(at.bounds) < boundsHeader {
		return nil, 0
	}
	ranges, plan := q.countRanges(), q.plan()
	if at.bounds[:len(plan)] != string(plan[:]) {
		return nil, 0
	}
	header := []byte(at.bounds[:boundsHeader])
	settled := binary.BigEndian.Uint64(header[len(plan):])
	contributors = int(binary.BigEndian.Uint16(header[len(plan)+8:]))
	from := q.ordinalOf(at.key)
	err := boundsFormat.Unpack([]byte(at.bounds[boundsHeader:]), func(codes []byte) error {
		if len(codes) != 2*ranges {
			return errCursor()
		}
		bounds = make([]merge.Bound, ranges)
		for n, code := range codes[:ranges] {
			next := settled
			switch {
			case code == codeUnknown:
				continue
			case code == codeSettled && q.Filter.Order == merge.Descending:
				bounds[n].Ended = true
				continue
			case code >= firstExponent:
				next = ordinalFrom(from, code-firstExponent, codes[ranges+n])
			}
			if next > from {
				bounds[n] = q.boundAt(next)
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0
	}
	q.settled = settled
	return bounds, contributors
}
