package instancequery

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/cursor"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// FuzzCursor decodes any text, and any payload with its correct checksum, which any client can
// compute. encodeCursor must be able to write each accepted cursor, and no other scope may accept
// it.
func FuzzCursor(f *testing.F) {
	values := url.Values{"appId": {"nav/app2018"}}
	scope := scopeOf("/storage/instances nav ", values)
	for _, at := range []position{
		{key: "2026-11-23T12:00:00.123456Z#0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"},
		{key: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"},
		{key: "2026-11-23T12:00:00.123456Z#0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", unsettledSince: latest},
		{key: "2026-11-23T12:00:00.123456Z#0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", bounds: "12345678\x00"},
	} {
		text, err := encodeCursor(scope, at)
		if err != nil {
			f.Fatal(err)
		}
		payload, ok := cursor.Decode(scope, text)
		if !ok {
			f.Fatalf("%s has no payload", text)
		}
		f.Add(text, payload, true)
		f.Add(text+"A", payload[1:], false)
	}
	f.Add("", make([]byte, payloadBytes), true)
	f.Fuzz(func(t *testing.T, text string, payload []byte, orderedByChange bool) {
		for _, text := range []string{text, cursor.Encode(scope, payload)} {
			at, err := decodeCursor(scope, text, orderedByChange)
			if err != nil {
				if !fault.HasCode(err, "parameter-invalid") || at != (position{}) {
					t.Fatalf("%q: %v, %v", text, at, err)
				}
				continue
			}
			if again, err := encodeCursor(scope, at); err != nil || again != text {
				t.Fatalf("%q is accepted as %+v, which is written as %q (%v)", text, at, again, err)
			}
			if _, err := decodeCursor(scopeOf("/storage/instances skd ", values), text, orderedByChange); err == nil {
				t.Fatalf("%q is accepted for another caller", text)
			}
		}
	})
}

// FuzzBounds reads the bounds of a cursor that a client has forged, with its correct checksum and
// plan. All bounds must be after the position, and a query must return no instance of which it is
// not the position's turn.
func FuzzBounds(f *testing.F) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	index := &crawled{}
	apps := wideApps(6)
	for n := range 100 {
		i := &instance.Instance{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: apps[n%5].ID, LastChangedDateTime: now.Add(-time.Duration(n*n) * time.Minute)}
		i.Workflow.CurrentStep = "Submit"
		index.instances = append(index.instances, i)
	}
	index.sort()
	for _, descending := range []bool{false, true} {
		q := Query{Filter: Filter{Org: "nav", Order: merge.Order(descending)}, Apps: apps, Size: 10}
		page, err := Run(f.Context(), index, q, now)
		if err != nil {
			f.Fatal(err)
		}
		at, err := decodeCursor(q.scope(), page.Next, true)
		if err != nil || len(at.bounds) < boundsHeader {
			f.Fatalf("%+v, %v", at, err)
		}
		err = boundsFormat.Unpack([]byte(at.bounds[boundsHeader:]), func(codes []byte) error {
			f.Add(binary.BigEndian.Uint64([]byte(at.bounds[8:])), codes, descending)
			f.Add(uint64(1<<ordinalBits), append([]byte{2, 3, 4, 60, 61, 62, 63, 255}, codes[8:]...), descending)
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, settled uint64, codes []byte, descending bool) {
		q := Query{Filter: Filter{Org: "nav", Order: merge.Order(descending)}, Apps: apps, Size: 10}
		at := position{key: ChangedKey(now.Add(-24*time.Hour), "00000000-0000-7000-8000-000000000000")}
		plan := q.plan()
		packed, err := boundsFormat.Pack(func(b []byte) ([]byte, error) { return append(b, codes...), nil })
		if err != nil {
			t.Fatal(err)
		}
		at.bounds = string(binary.BigEndian.AppendUint64(plan[:], settled)) + "\x00\x05" + string(packed)
		bounds, _ := q.unpackBounds(at)
		if (bounds == nil) != (len(codes) != 2*q.countRanges()) {
			t.Fatalf("%d bounds of %d codes", len(bounds), len(codes))
		}
		for _, bound := range bounds {
			if bound.Key != "" && q.ordinalOf(bound.Key) <= q.ordinalOf(at.key) {
				t.Fatalf("%v is not after %s", bound, at.key)
			}
		}
		if q.cursor, err = encodeCursor(q.scope(), at); err != nil {
			t.Fatal(err)
		}
		page, err := Run(t.Context(), index, q, now)
		if len(at.bounds) > maxBoundsBytes {
			return // the cursor is rejected
		}
		if err != nil {
			t.Fatal(err)
		}
		before := at.key
		for _, i := range page.Instances {
			if key := q.keyOf(i); (key < before) != descending {
				t.Fatalf("%s after %s", key, before)
			} else {
				before = key
			}
		}
	})
}
