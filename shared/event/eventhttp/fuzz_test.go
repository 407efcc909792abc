package eventhttp

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

// What "after" is taken for is one thing only, and a cursor is taken only as it was issued, for the feed it was issued for.
// numbers are what a cursor holds, under a check that anybody can compute.
func FuzzAfter(f *testing.F) {
	for _, seed := range []string{
		"", "2019-03-30", "2019-03-30T12:00:00Z", "2019-03-30T12:00:00 01:00", "0000-00-00", "0192d3c4-0000-7000-8000-000000000000.1", "c", "cAAAAAAA", "9999-12-31T23:59:59-23:59",
		cursor{seq: 7}.encode(app), cursor{seq: 7, since: time.Date(2019, 3, 30, 0, 0, 0, 1, time.UTC)}.encode(app), cursor{seq: 7}.encode("nav/other"),
	} {
		f.Add(seed, []byte{7})
	}
	f.Add("x", []byte{0x87, 0})                                                             // 7, in two bytes
	f.Add("x", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})                // the last position
	f.Add("x", []byte{7, 0x80, 0x90, 0xc5, 0x93, 0xc9, 0x3, 0})                             // and a time
	f.Add("x", []byte{7, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01}) // and one that nobody lives to see
	f.Fuzz(func(t *testing.T, text string, numbers []byte) {
		checked := cursorPrefix + base64.RawURLEncoding.EncodeToString(append(check(numbers, app), numbers...))
		for _, text := range []string{text, checked} {
			a, err := parseAfter(text, app)
			if err != nil {
				if refusal := (*fault.Error)(nil); !errors.As(err, &refusal) || refusal.Code != "parameter-invalid" || a != (after{}) {
					t.Fatalf("%q: %+v, %v", text, a, err)
				}
				continue
			}
			switch {
			case a.id != "":
				if guid, number, err := event.ParseID(a.id); err != nil || event.ID(guid, number) != text || a.cursor != (cursor{}) || !a.time.IsZero() {
					t.Fatalf("%q is taken for %+v (%v)", text, a, err)
				}
			case a.cursor != (cursor{}):
				if a.cursor.seq < 0 || !a.time.IsZero() || a.cursor.encode(app) != text {
					t.Fatalf("%q is taken for %+v, which is written as %q", text, a, a.cursor.encode(app))
				}
				if _, ok := decodeCursor(text, "nav/other"); ok {
					t.Fatalf("%q is taken for another feed", text)
				}
			default: // a time, or the beginning
				if a.time.Location() != time.UTC || a.time.Year() < 0 || a.time.Year() > 10_000 {
					t.Fatalf("%q is taken for %v", text, a.time)
				}
			}
		}
	})
}

// Whatever Accept and Prefer say, a request is held no longer than it may be, and has one of the two forms.
func FuzzPreferences(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/x-ndjson", "wait=20"}, {"application/json;q=0.5, application/x-ndjson;q=NaN", "WAIT = \"5\" ; a, wait=1"}, {"*/*", "wait=-1"},
		{"application/x-ndjson;q=1e999", "wait=99999999999999999999"}, {`a/b;c="`, "respond-async, wait=0"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, accept, prefer string) {
		r := &http.Request{Header: http.Header{"Accept": {accept}, "Prefer": {prefer}}}
		wait, preferred := preferredWait(r)
		if wait < 0 || wait > maxWait || wait > 0 && !preferred || wait%time.Second != 0 {
			t.Errorf("Prefer: %s is held for %v, %v", prefer, wait, preferred)
		}
		if httpapi.AcceptsNDJSON(r) && !strings.Contains(strings.ToLower(accept), "application/x-ndjson") {
			t.Errorf("Accept: %s is answered in lines", accept)
		}
	})
}
