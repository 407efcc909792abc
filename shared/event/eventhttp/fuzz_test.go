package eventhttp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/cursor"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

// FuzzAfter parses any text, and any payload with a valid checksum, which any client can compute.
// An accepted value must have exactly one meaning. A cursor must be accepted only as encode writes
// it and only for its own feed.
func FuzzAfter(f *testing.F) {
	for _, seed := range []string{
		"", "2019-03-30", "2019-03-30T12:00:00Z", "2019-03-30T12:00:00 01:00", "0000-00-00", "0192d3c4-0000-7000-8000-000000000000.1", "c", "cAAAAAAA", "9999-12-31T23:59:59-23:59",
		position{Position: event.Position{Seq: 7}}.encode(app), position{Position: event.Position{Seq: 7, Slot: 2}, since: time.Date(2019, 3, 30, 0, 0, 0, 1, time.UTC)}.encode(app), position{Position: event.Position{Seq: 7}}.encode("nav/other"),
	} {
		f.Add(seed, []byte{7})
	}
	f.Add("x", []byte{0x87, 0, 0})                                                             // 7 in two bytes
	f.Add("x", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0})                // the last position
	f.Add("x", []byte{7, 0, 0x80, 0x90, 0xc5, 0x93, 0xc9, 0x3, 0})                             // with a time
	f.Add("x", []byte{7, 3, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01}) // with a time far in the future
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		for _, text := range []string{text, cursorPrefix + cursor.Encode(app, payload)} {
			a, err := parseAfter(text, app)
			if err != nil {
				if !fault.HasCode(err, "parameter-invalid") || a != (after{}) {
					t.Fatalf("%q: %+v, %v", text, a, err)
				}
				continue
			}
			switch {
			case a.id != "":
				if guid, number, err := event.ParseID(a.id); err != nil || event.ID(guid, number) != text || a.position != (position{}) || !a.time.IsZero() {
					t.Fatalf("%q is accepted as %+v (%v)", text, a, err)
				}
			case a.position != (position{}):
				if a.position.Seq < 0 || !a.time.IsZero() || a.position.encode(app) != text {
					t.Fatalf("%q is accepted as %+v, which is written as %q", text, a, a.position.encode(app))
				}
				if _, ok := decodePosition(text, "nav/other"); ok {
					t.Fatalf("%q is accepted for another feed", text)
				}
			default: // a time, or the beginning
				if a.time.Location() != time.UTC || a.time.Year() < 0 || a.time.Year() > 10_000 {
					t.Fatalf("%q is accepted as %v", text, a.time)
				}
			}
		}
	})
}

// FuzzPreferences parses any Accept and Prefer: the hold must stay within its limits, and a
// response must be of another type than JSON only if the client requested it.
func FuzzPreferences(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/x-ndjson", "wait=20"}, {"application/json;q=0.5, application/x-ndjson;q=NaN", "WAIT = \"5\" ; a, wait=1"}, {"*/*", "wait=-1"},
		{"application/x-ndjson;q=1e999", "wait=99999999999999999999"}, {`a/b;c="`, "respond-async, wait=0"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, accept, prefer string) {
		r := &http.Request{Header: http.Header{"Accept": {accept}, "Prefer": {prefer}}}
		wait, preferred := preferredWait(r, maxHold)
		if wait < 0 || wait > maxHold || wait > 0 && !preferred || wait%time.Second != 0 {
			t.Errorf("Prefer: %s holds for %v, %v", prefer, wait, preferred)
		}
		response := httptest.NewRecorder()
		if err := httpapi.WriteEvents(response, r, httpapi.BaseURLs{}, nil); err != nil {
			t.Fatal(err)
		}
		if got := response.Header().Get("Content-Type"); got != "application/json" && !strings.Contains(strings.ToLower(accept), got) {
			t.Errorf("Accept: %s returns %s", accept, got)
		}
	})
}
