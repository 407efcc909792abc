package instancequery

import (
	"net/url"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

// A cursor that is taken is one that we have made: it is written again as the same text. place is one that has our seal, as
// anybody can make who reads this code, and is no more believed than others.
func FuzzCursor(f *testing.F) {
	values := url.Values{"appId": {"nav/app2018"}}
	bound := scope("/storage/instances nav ", values)
	for _, at := range []position{
		{key: "2026-11-23T12:00:00.123456Z#0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"}, {key: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"},
		{key: "2026-11-23T12:00:00.123456Z#0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", unsettledSince: latest},
	} {
		cursor, err := encodeCursor(at, bound)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := cursorEncoding.DecodeString(cursor)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(cursor, raw[5:], true)
		f.Add(cursor+"A", raw[6:], false)
	}
	f.Add("", make([]byte, cursorBytes-5), true)
	f.Fuzz(func(t *testing.T, cursor string, place []byte, orderedByChange bool) {
		hash := checksum(bound, place)
		sealed := cursorEncoding.EncodeToString(append(append([]byte{cursorFormat}, hash[:]...), place...))
		for _, text := range []string{cursor, sealed} {
			at, err := decodeCursor(text, bound, orderedByChange)
			if err != nil {
				if !fault.HasCode(err, "parameter-invalid") || at != (position{}) {
					t.Fatalf("%q: %v, %v", text, at, err)
				}
				continue
			}
			if again, err := encodeCursor(at, bound); err != nil || again != text {
				t.Fatalf("%q is taken for %+v, which is written as %q (%v)", text, at, again, err)
			}
			if _, err := decodeCursor(text, scope("/storage/instances skd ", values), orderedByChange); err == nil {
				t.Fatalf("%q is taken from another caller", text)
			}
		}
	})
}
