package instancequery

import (
	"net/url"
	"testing"

	"altinn.no/instanceapi/shared/cursor"
	"altinn.no/instanceapi/shared/fault"
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
