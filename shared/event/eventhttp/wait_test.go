package eventhttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/httpapi"
)

// known is a caller whose token was verified before: tokens are of the real time.
type known struct{ caller auth.Caller }

func (k known) Authenticate(*http.Request) (auth.Caller, error) { return k.caller, nil }

// metered counts what a request reads.
type metered struct {
	Feeds
	heads, glances, reads int
}

func (m *metered) Head(ctx context.Context, appID string) (eventtable.Head, error) {
	m.heads++
	return m.Feeds.Head(ctx, appID)
}

func (m *metered) HeadEventual(ctx context.Context, appID string) (eventtable.Head, error) {
	m.glances++
	return m.Feeds.HeadEventual(ctx, appID)
}

func (m *metered) Read(ctx context.Context, appID string, after int64, limit int) ([]eventtable.Record, error) {
	m.reads++
	return m.Feeds.Read(ctx, appID, after, limit)
}

// held runs a test with a site whose time passes as soon as everybody waits.
func held(t *testing.T, test func(t *testing.T, s *site, m *metered)) {
	verifier, probe := authtest.Verifier(), newSite()
	caller, err := verifier.Authenticate(probe.request("GET", path, "", probe.owner))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &site{clock: time.Now()}
		s.Memory = eventtest.NewMemory(time.Now)
		m := &metered{Feeds: s.Memory}
		s.h = httpapi.HandlerFunc(FeedEndpoint{Authenticator: known{caller}, Applications: requireApplication(app), Feeds: m}.Serve)
		test(t, s, m)
	})
}

// ask sends a request with header fields, given as name, value, name, value…
func (s *site) ask(ctx context.Context, query string, fields ...string) answer {
	r := s.request("GET", path, query, "").WithContext(ctx)
	for n := 0; n < len(fields); n += 2 {
		r.Header.Add(fields[n], fields[n+1])
	}
	return s.do(r)
}

func TestAHeldRequestIsAnsweredWhenAnEventComes(t *testing.T) {
	for name, query := range map[string]string{"": "", "filtered": "workflow.currentStep=Submit", "by time": "after=1999-01-01"} {
		t.Run(name, func(t *testing.T) {
			held(t, func(t *testing.T, s *site, m *metered) {
				start := time.Now()
				time.AfterFunc(3*time.Second, func() { s.add(time.Now(), "FormFilling") })
				time.AfterFunc(7*time.Second, func() { s.add(time.Now(), "Submit") })
				got := s.ask(t.Context(), query, "Prefer", "wait=20")
				took := time.Since(start)
				due := 3 * time.Second
				if name == "filtered" {
					due = 7 * time.Second
				}
				if len(got.ids) != 1 || took < due || took > due+2*pollInterval || got.Header().Get("Preference-Applied") != "wait=20" {
					t.Errorf("%d events after %v, applied %q", len(got.ids), took, got.Header().Get("Preference-Applied"))
				}
				if m.heads != 1 || m.reads > 2 {
					t.Errorf("%d heads, %d reads, %d glances", m.heads, m.reads, m.glances)
				}
				// And on from there, without a gap.
				if got = s.ask(t.Context(), got.next, "Prefer", "wait=20"); name != "filtered" && len(got.ids) != 1 {
					t.Errorf("then %d events", len(got.ids))
				}
			})
		})
	}
}

func TestHowLongARequestIsHeld(t *testing.T) {
	for name, test := range map[string]struct {
		prefer, applied string
		limit           time.Duration // of the request; 0 for none
		want            time.Duration
	}{
		"not at all":         {"", "", 0, 0},
		"as preferred":       {"wait=5", "wait=5", 0, 5 * time.Second},
		"at most 20 s":       {"wait=3600", "wait=20", 0, 20 * time.Second},
		"zero":               {"wait=0", "wait=0", 0, 0},
		"among others":       {`respond-async, Wait = "4" ; x=1, handling=lenient`, "wait=4", 0, 4 * time.Second},
		"not understood":     {"wait=soon", "", 0, 0},
		"negative":           {"wait=-1", "", 0, 0},
		"something else":     {"waiting=4", "", 0, 0},
		"within the request": {"wait=20", "wait=20", 12 * time.Second, 10 * time.Second},
		"no time at all":     {"wait=20", "wait=20", time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			held(t, func(t *testing.T, s *site, m *metered) {
				ctx := t.Context()
				if test.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.limit)
					defer cancel()
				}
				var fields []string
				if test.prefer != "" {
					fields = []string{"Prefer", test.prefer}
				}
				start := time.Now()
				got := s.ask(ctx, "", fields...)
				took := time.Since(start)
				if got.Code != 200 || got.Body.String() != "[]" || got.next == "" || got.Header().Get("Preference-Applied") != test.applied {
					t.Errorf("%d %s, applied %q", got.Code, got.Body, got.Header().Get("Preference-Applied"))
				}
				if took < test.want || took > test.want+pollInterval {
					t.Errorf("held for %v, want %v", took, test.want)
				}
				if most := int(test.want/pollInterval) + 1; m.heads != 1 || m.reads != 0 || m.glances > most {
					t.Errorf("%d heads, %d reads, %d glances", m.heads, m.reads, m.glances)
				}
			})
		})
	}
}

// What is there already is answered at once, however long the client would wait.
func TestNothingIsHeldThatHasAnAnswer(t *testing.T) {
	held(t, func(t *testing.T, s *site, m *metered) {
		s.add(time.Now(), "Submit")
		start := time.Now()
		if got := s.ask(t.Context(), "", "Prefer", "wait=20"); len(got.ids) != 1 || time.Since(start) > 0 || m.glances > 0 {
			t.Errorf("%d events after %v", len(got.ids), time.Since(start))
		}
	})
}

func TestAHeldRequestThatFails(t *testing.T) {
	held(t, func(t *testing.T, s *site, _ *metered) {
		time.AfterFunc(time.Second, func() { s.Fail(errors.New("table down")) })
		if got := s.ask(t.Context(), "", "Prefer", "wait=20"); got.Code != 500 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}

// An answer that is still the same costs one read, and can be waited for.
func TestUnchanged(t *testing.T) {
	held(t, func(t *testing.T, s *site, m *metered) {
		for range 3 {
			s.add(time.Now(), "Submit")
		}
		for _, query := range []string{"", "size=3", "after=1999-01-01", "workflow.currentStep=Submit", "workflow.currentStep=Nowhere"} {
			got := s.ask(t.Context(), query)
			etag := got.Header().Get("ETag")
			*m = metered{Feeds: m.Feeds}
			same := s.ask(t.Context(), query, "If-None-Match", etag)
			if same.Code != 304 || same.Body.Len() > 0 || same.Header().Get("ETag") != etag || m.heads != 1 || m.reads != 0 {
				t.Errorf("%q: %d, ETag %s and %s, %d heads, %d reads", query, same.Code, etag, same.Header().Get("ETag"), m.heads, m.reads)
			}
			if same.next == "" || s.ask(t.Context(), same.next).Body.String() != "[]" {
				t.Errorf("%q: the 304 leads on to %s", query, same.next)
			}
			for what, other := range map[string]string{"query": strings.TrimPrefix(query, "size=3") + "&size=7", "tag": query} {
				tag := map[string]string{"query": etag, "tag": `"x"`}[what]
				if got := s.ask(t.Context(), other, "If-None-Match", tag); got.Code != 200 {
					t.Errorf("%q: another %s is a %d", query, what, got.Code)
				}
			}
			if got := s.ask(t.Context(), query, "If-None-Match", etag, "Accept", "application/x-ndjson"); got.Code != 200 {
				t.Errorf("%q: another form is a %d", query, got.Code)
			}
		}
		// A full page never changes, although the feed has gone on.
		full := s.ask(t.Context(), "size=2")
		if got := s.ask(t.Context(), "size=2", "If-None-Match", full.Header().Get("ETag")); got.Code != 304 {
			t.Errorf("a full page: %d", got.Code)
		}
		// Held, it is a 304 in the end, or the whole page as soon as there is more.
		all := s.ask(t.Context(), "")
		start := time.Now()
		got := s.ask(t.Context(), "", "If-None-Match", all.Header().Get("ETag"), "Prefer", "wait=4")
		if got.Code != 304 || time.Since(start) != 4*time.Second {
			t.Errorf("%d after %v", got.Code, time.Since(start))
		}
		time.AfterFunc(time.Second, func() { s.add(time.Now(), "Submit") })
		if got = s.ask(t.Context(), "", "If-None-Match", all.Header().Get("ETag"), "Prefer", "wait=4"); len(got.ids) != 4 {
			t.Errorf("%d, %d events", got.Code, len(got.ids))
		}
	})
}

// A cursor that is after the feed's end can only come from before a restoration: the positions it has passed will be
// given to other events.
func TestACursorOfALostFeed(t *testing.T) {
	s := newSite()
	s.add(s.clock, "Submit")
	for seq, code := range map[int64]string{0: "", 1: "", 2: "cursor-gone", 1 << 40: "cursor-gone"} {
		got := s.get("after=" + cursor{seq: seq}.encode(app))
		if got.code != code || code != "" && got.Code != http.StatusGone {
			t.Errorf("position %d: %d %q, want %q", seq, got.Code, got.code, code)
		}
	}
}

// An event that becomes visible between the read of the end and that of the events is no reason for a gap.
func TestAGapIsWaitedFor(t *testing.T) {
	held(t, func(t *testing.T, s *site, _ *metered) {
		for range 3 {
			s.Append(t.Context(), []event.Encoded{eventtest.Document(app, uuid.New().String(), 1, time.Now(), "Submit")})
		}
		s.HideFrom(app, 1)
		time.AfterFunc(2*time.Second, func() { s.HideFrom(app, 0) })
		start := time.Now()
		got := s.ask(t.Context(), "", "Prefer", "wait=10")
		if len(got.ids) != 3 || time.Since(start) > 2*time.Second+2*pollInterval {
			t.Errorf("%d events after %v", len(got.ids), time.Since(start))
		}
	})
}

func TestForms(t *testing.T) {
	s := newSite()
	first, second := s.add(s.clock, "Submit"), s.add(s.clock, "Archived")
	array := "[" + string(first.JSON) + "," + string(second.JSON) + "]"
	lines := string(first.JSON) + "\n" + string(second.JSON) + "\n"
	for accept, want := range map[string]string{
		"": array, "*/*": array, "application/json": array, "text/html": array, "application/*": array, ",;=": array,
		"application/x-ndjson": lines, "application/x-ndjson, */*;q=0.1": lines, "Application/X-NDJSON": lines,
		"application/x-ndjson;q=0.5, application/json": array, "application/json;q=0.5, application/x-ndjson": lines,
		"application/x-ndjson, application/json": lines, "application/json, application/x-ndjson": array,
		"application/x-ndjson;q=0": array,
	} {
		r := s.request("GET", path, "", s.owner)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		got := s.do(r)
		kind := map[string]string{array: "application/json", lines: "application/x-ndjson"}[want]
		if got.Body.String() != want || got.Header().Get("Content-Type") != kind {
			t.Errorf("%q: %s: %s", accept, got.Header().Get("Content-Type"), got.Body)
		}
	}
	r := s.request("GET", path, "after="+second.Event.ID, s.owner)
	r.Header.Set("Accept", "application/x-ndjson")
	if got := s.do(r); got.Code != 200 || got.Body.Len() != 0 || got.next == "" {
		t.Errorf("no lines: %d %q", got.Code, got.Body)
	}
}
