package eventhttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/httpapi"
)

// fixedCaller authenticates every request as one caller. Tokens cannot be verified in simulated
// time.
type fixedCaller struct{ caller auth.Caller }

func (f fixedCaller) Authenticate(*http.Request) (auth.Caller, error) { return f.caller, nil }

// meteredFeeds counts reads.
type meteredFeeds struct {
	Feeds
	mu                             sync.Mutex // guards the counts
	checks, reads, taken, released int
}

func (m *meteredFeeds) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

func (m *meteredFeeds) Reaches(ctx context.Context, appID string, seq int64) (bool, error) {
	m.count(&m.checks)
	return m.Feeds.Reaches(ctx, appID, seq)
}

func (m *meteredFeeds) Take(ctx context.Context, org string, limit int, now, until time.Time) (*eventtable.Place, error) {
	m.count(&m.taken)
	return m.Feeds.Take(ctx, org, limit, now, until)
}

func (m *meteredFeeds) Release(ctx context.Context, org string, place *eventtable.Place) error {
	m.count(&m.released)
	return m.Feeds.Release(ctx, org, place)
}

func (m *meteredFeeds) Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error) {
	m.count(&m.reads)
	return m.Feeds.Read(ctx, appID, after, limit)
}

// runHeld runs a test in simulated time, which advances when all goroutines wait.
func runHeld(t *testing.T, test func(t *testing.T, e *env, m *meteredFeeds)) {
	verifier, probe := authtest.Verifier(), newEnv()
	caller, err := verifier.Authenticate(probe.request("GET", path, "", probe.owner))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := &env{clock: time.Now()}
		e.Memory = eventtest.NewMemory(time.Now)
		m := &meteredFeeds{Feeds: e.Memory}
		e.h = httpapi.HandlerFunc(FeedEndpoint{Authenticator: fixedCaller{caller}, Applications: oneApplication(app), Feeds: m, Hold: Hold{Max: maxHold, PerOrg: 2}}.Serve)
		test(t, e, m)
	})
}

// send sends a request with header fields, given as name, value, name, value…
func (e *env) send(ctx context.Context, query string, fields ...string) response {
	r := e.request("GET", path, query, "").WithContext(ctx)
	for n := 0; n < len(fields); n += 2 {
		r.Header.Add(fields[n], fields[n+1])
	}
	return e.do(r)
}

func TestHeldRequestReturnsTheNextEvent(t *testing.T) {
	for name, query := range map[string]string{"": "", "filtered": "workflow.currentStep=Submit", "by time": "after=1999-01-01"} {
		t.Run(name, func(t *testing.T) {
			runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
				start := time.Now()
				time.AfterFunc(3*time.Second, func() { e.add(time.Now(), "FormFilling") })
				time.AfterFunc(7*time.Second, func() { e.add(time.Now(), "Submit") })
				got := e.send(t.Context(), query, "Prefer", "wait=20")
				took := time.Since(start)
				due := 3 * time.Second
				if name == "filtered" {
					due = 7 * time.Second
				}
				if len(got.ids) != 1 || took < due || took > due+2*pollInterval || got.Header().Get("Preference-Applied") != "wait=20" {
					t.Errorf("%d events after %v, applied %q", len(got.ids), took, got.Header().Get("Preference-Applied"))
				}
				if limit := int(due/pollInterval) + 2; m.reads > limit || m.checks > 1 {
					t.Errorf("%d reads, %d checks", m.reads, m.checks)
				}
				// The next page continues without a gap.
				if got = e.send(t.Context(), got.next, "Prefer", "wait=20"); name != "filtered" && len(got.ids) != 1 {
					t.Errorf("then %d events", len(got.ids))
				}
			})
		})
	}
}

func TestHoldDuration(t *testing.T) {
	for name, test := range map[string]struct {
		prefer, applied string
		limit           time.Duration // of the request; 0 for none
		want            time.Duration
	}{
		"no preference":      {"", "", 0, 0},
		"preferred":          {"wait=5", "wait=5", 0, 5 * time.Second},
		"at most 20 s":       {"wait=3600", "wait=20", 0, 20 * time.Second},
		"zero":               {"wait=0", "wait=0", 0, 0},
		"among others":       {`respond-async, Wait = "4" ; x=1, handling=lenient`, "wait=4", 0, 4 * time.Second},
		"not a number":       {"wait=soon", "", 0, 0},
		"negative":           {"wait=-1", "", 0, 0},
		"another preference": {"waiting=4", "", 0, 0},
		"before the timeout": {"wait=20", "wait=20", 12 * time.Second, 10 * time.Second},
		"timeout too near":   {"wait=20", "wait=20", time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
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
				got := e.send(ctx, "", fields...)
				took := time.Since(start)
				if got.Code != 200 || got.Body.String() != "[]" || got.next == "" || got.Header().Get("Preference-Applied") != test.applied {
					t.Errorf("%d %s, applied %q", got.Code, got.Body, got.Header().Get("Preference-Applied"))
				}
				if took < test.want || took > test.want+pollInterval {
					t.Errorf("held for %v, want %v", took, test.want)
				}
				if limit := int(test.want/pollInterval) + 1; m.reads > limit {
					t.Errorf("%d reads", m.reads)
				}
			})
		})
	}
}

// TestRequestWithEventsIsNotHeld requires an immediate response if the feed has events, whatever
// the client prefers.
func TestRequestWithEventsIsNotHeld(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
		e.add(time.Now(), "Submit")
		start := time.Now()
		if got := e.send(t.Context(), "", "Prefer", "wait=20"); len(got.ids) != 1 || time.Since(start) > 0 || m.reads > 1 {
			t.Errorf("%d events after %v", len(got.ids), time.Since(start))
		}
	})
}

func TestFailingHeldRequest(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, _ *meteredFeeds) {
		time.AfterFunc(time.Second, func() { e.Fail(errors.New("table down")) })
		if got := e.send(t.Context(), "", "Prefer", "wait=20"); got.Code != 500 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}

// TestUnchanged checks that an unchanged feed costs one read, returns 304, and can be held.
func TestUnchanged(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
		for range 3 {
			e.add(time.Now(), "Submit")
		}
		for _, query := range []string{"", "size=3", "after=1999-01-01", "workflow.currentStep=Submit", "workflow.currentStep=Nowhere"} {
			got := e.send(t.Context(), query)
			etag := got.Header().Get("ETag")
			*m = meteredFeeds{Feeds: m.Feeds}
			same := e.send(t.Context(), query, "If-None-Match", etag)
			if same.Code != 304 || same.Body.Len() > 0 || same.Header().Get("ETag") != etag || m.reads != 1 || m.checks > 1 {
				t.Errorf("%q: %d, ETag %s and %s, %d reads, %d checks", query, same.Code, etag, same.Header().Get("ETag"), m.reads, m.checks)
			}
			if same.next == "" || e.send(t.Context(), same.next).Body.String() != "[]" {
				t.Errorf("%q: the link of the 304 is %s", query, same.next)
			}
			for what, other := range map[string]string{"query": strings.TrimPrefix(query, "size=3") + "&size=7", "tag": query} {
				tag := map[string]string{"query": etag, "tag": `"x"`}[what]
				if got := e.send(t.Context(), other, "If-None-Match", tag); got.Code != 200 {
					t.Errorf("%q: another %s returns %d", query, what, got.Code)
				}
			}
			if got := e.send(t.Context(), query, "If-None-Match", etag, "Accept", "application/x-ndjson"); got.Code != 200 {
				t.Errorf("%q: another content type returns %d", query, got.Code)
			}
		}
		// A full page never changes, even if the feed grows. It may end inside of a slot.
		e.Append(t.Context(), []event.Encoded{
			eventtest.Document(app, uuid.New().String(), 1, time.Now(), "Submit"), eventtest.Document(app, uuid.New().String(), 1, time.Now(), "Submit"),
		})
		for _, size := range []string{"size=2", "size=4"} {
			full := e.send(t.Context(), size)
			again := e.send(t.Context(), size, "If-None-Match", full.Header().Get("ETag"))
			if again.Code != 304 || again.next != full.next || len(e.send(t.Context(), again.next).ids) == 0 {
				t.Errorf("a full page, %s: %d, next %s and %s", size, again.Code, again.next, full.next)
			}
		}
		// A held request returns 304 at the deadline, or the whole page when an event arrives.
		all := e.send(t.Context(), "")
		start := time.Now()
		got := e.send(t.Context(), "", "If-None-Match", all.Header().Get("ETag"), "Prefer", "wait=4")
		if got.Code != 304 || time.Since(start) != 4*time.Second {
			t.Errorf("%d after %v", got.Code, time.Since(start))
		}
		time.AfterFunc(time.Second, func() { e.add(time.Now(), "Submit") })
		if got = e.send(t.Context(), "", "If-None-Match", all.Header().Get("ETag"), "Prefer", "wait=4"); len(got.ids) != 6 {
			t.Errorf("%d, %d events", got.Code, len(got.ids))
		}
	})
}

// TestCursorPastTheEnd sends cursors after the feed's end. Such cursors exist only after a restore,
// and other events will get the positions that they have passed.
func TestCursorPastTheEnd(t *testing.T) {
	e := newEnv()
	e.add(e.clock, "Submit")
	for seq, code := range map[int64]string{0: "", 1: "", 2: "cursor-gone", 1 << 40: "cursor-gone"} {
		got := e.get("after=" + position{Position: event.Position{Seq: seq}}.encode(app))
		if got.code != code || code != "" && got.Code != http.StatusGone {
			t.Errorf("position %d: %d %q, want %q", seq, got.Code, got.code, code)
		}
	}
}

// TestHiddenEventIsNotSkipped hides events, as a replica that lags behind does. The request must
// wait for them.
func TestHiddenEventIsNotSkipped(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, _ *meteredFeeds) {
		for range 3 {
			e.Append(t.Context(), []event.Encoded{eventtest.Document(app, uuid.New().String(), 1, time.Now(), "Submit")})
		}
		e.HideFrom(app, 1)
		time.AfterFunc(2*time.Second, func() { e.HideFrom(app, 0) })
		start := time.Now()
		got := e.send(t.Context(), "", "Prefer", "wait=10")
		if len(got.ids) != 3 || time.Since(start) > 2*time.Second+2*pollInterval {
			t.Errorf("%d events after %v", len(got.ids), time.Since(start))
		}
	})
}

func TestContentTypes(t *testing.T) {
	e := newEnv()
	first, second := e.add(e.clock, "Submit"), e.add(e.clock, "Archived")
	array := "[" + string(first.JSON) + "," + string(second.JSON) + "]"
	lines := string(first.JSON) + "\n" + string(second.JSON) + "\n"
	for accept, want := range map[string]string{
		"": array, "*/*": array, "application/json": array, "text/html": array, "application/*": array, ",;=": array,
		"application/x-ndjson": lines, "application/x-ndjson, */*;q=0.1": lines, "Application/X-NDJSON": lines,
		"application/x-ndjson;q=0.5, application/json": array, "application/json;q=0.5, application/x-ndjson": lines,
		"application/x-ndjson, application/json": lines, "application/json, application/x-ndjson": array,
		"application/x-ndjson;q=0": array,
	} {
		r := e.request("GET", path, "", e.owner)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		got := e.do(r)
		contentType := map[string]string{array: "application/json", lines: "application/x-ndjson"}[want]
		if got.Body.String() != want || got.Header().Get("Content-Type") != contentType {
			t.Errorf("%q: %s: %s", accept, got.Header().Get("Content-Type"), got.Body)
		}
	}
	for accept, body := range map[string]string{"application/x-ndjson": "", "application/cloudevents+json": "", "application/cloudevents-batch+json": "[]"} {
		r := e.request("GET", path, "after="+second.Event.ID, e.owner)
		r.Header.Set("Accept", accept)
		if got := e.do(r); got.Code != 200 || got.Body.String() != body || got.next == "" || got.Header().Get("Content-Type") != accept {
			t.Errorf("no events, %s: %d %s %q", accept, got.Code, got.Header().Get("Content-Type"), got.Body)
		}
	}
}

// TestCloudEvents reads the feed as CloudEvents. The pages, their links and the order are those of
// the events, and their entity tags differ.
func TestCloudEvents(t *testing.T) {
	e := newEnv()
	docs := []event.Encoded{e.add(e.clock, "Submit"), e.add(e.clock, "Archived")}
	var texts []string
	for _, doc := range docs {
		text, err := doc.CloudEvent("https://nav.apps.altinn.no", "https://platform.altinn.no/storage/docs/openapi.yaml#/components/schemas/Event")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	const batch, lines = "application/cloudevents-batch+json", "application/cloudevents+json"
	bodies := map[string]string{batch: "[" + strings.Join(texts, ",") + "]", lines: strings.Join(texts, "\n") + "\n"}
	plain := e.get("")
	for accept, want := range map[string]string{
		batch: batch, lines: lines, batch + ", application/json;q=0.9": batch, "application/json, " + batch: "application/json", "application/json;q=0.1," + lines: lines,
		lines + ", application/x-ndjson": lines, "application/x-ndjson, " + lines: lines, "application/x-ndjson, " + lines + ";q=0.5": "application/x-ndjson",
		"application/x-ndjson;q=0.2, " + lines + ";q=0.5": lines, batch + ";q=0": "application/json", "application/CloudEvents-Batch+JSON; charset=utf-8": batch,
	} {
		r := e.request("GET", path, "", e.owner)
		r.Header.Set("Accept", accept)
		got := e.do(r)
		if got.Header().Get("Content-Type") != want || bodies[want] != "" && got.Body.String() != bodies[want] {
			t.Errorf("%q: %s: %s", accept, got.Header().Get("Content-Type"), got.Body)
		}
		if got.next != plain.next || (got.Header().Get("ETag") == plain.Header().Get("ETag")) != (want == "application/json") {
			t.Errorf("%q: next %s, ETag %s; in JSON %s and %s", accept, got.next, got.Header().Get("ETag"), plain.next, plain.Header().Get("ETag"))
		}
	}
}

// TestHeldRequestsOfAnOrganisation holds as many requests as an organisation has places. One more
// gets a 429 that says when to poll, and no other organisation does. Every way to end a hold frees
// its place.
func TestHeldRequestsOfAnOrganisation(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
		e.add(time.Now(), "Submit")
		next := e.send(t.Context(), "").next
		held := func(seconds string) response { return e.send(t.Context(), next, "Prefer", "wait="+seconds) }
		for what, end := range map[string]func(){
			"the hold ends":    func() { time.Sleep(20 * time.Second) },
			"an event arrives": func() { e.add(time.Now(), "Submit"); time.Sleep(2 * pollInterval) },
			"a read fails": func() {
				e.Fail(errors.New("down"))
				time.Sleep(2 * pollInterval)
				e.Fail(nil)
				time.Sleep(30 * time.Second)
			},
		} {
			next = e.send(t.Context(), next).next
			var holds sync.WaitGroup
			for range 2 {
				holds.Go(func() { held("20") })
			}
			time.Sleep(time.Second)
			over := held("20")
			if over.Code != 429 || over.code != "feed-held-count" || over.Header().Get("Retry-After") != "5" || over.Header().Get("Preference-Applied") != "" {
				t.Errorf("%s: one held request too many: %d %s %v", what, over.Code, over.code, over.Header())
			}
			if got := held("0"); got.Code != 200 {
				t.Errorf("%s: a plain poll: %d", what, got.Code)
			}
			if place, err := e.Take(t.Context(), "skd", 1, time.Now(), time.Now().Add(time.Second)); place == nil || err != nil {
				t.Errorf("%s: another organisation: %v, %v", what, place, err)
			}
			end()
			holds.Wait()
			next = e.send(t.Context(), next).next
			if got := held("1"); got.Code != 200 {
				t.Errorf("after %s: %d", what, got.Code)
			}
		}
	})
}

// TestPlacesAreTakenOnlyToWait sends requests that are not held. They must take no place.
func TestPlacesAreTakenOnlyToWait(t *testing.T) {
	runHeld(t, func(t *testing.T, e *env, m *meteredFeeds) {
		empty := e.send(t.Context(), "")
		e.send(t.Context(), empty.next, "Prefer", "wait=0")
		e.add(time.Now(), "Submit")
		page := e.send(t.Context(), empty.next, "Prefer", "wait=20")
		e.send(t.Context(), "", "If-None-Match", page.Header().Get("ETag"))
		e.send(t.Context(), "after="+uuid.New().String()+".1", "Prefer", "wait=20")
		if m.taken != 0 || m.released != 0 {
			t.Errorf("%d places taken, %d released", m.taken, m.released)
		}
		e.send(t.Context(), page.next, "Prefer", "wait=20", "If-None-Match", page.Header().Get("ETag"))
		if m.taken != 1 || m.released != 1 {
			t.Errorf("a held request: %d places taken, %d released", m.taken, m.released)
		}
	})
}

func TestOpenHold(t *testing.T) {
	for _, test := range []struct {
		seconds, perOrg string
		want            Hold // the zero value if the variables are invalid
	}{
		{"20", "20", Hold{20 * time.Second, 20}},
		{"5", "0", Hold{Max: 5 * time.Second}},
		{"0", "50", Hold{PerOrg: 50}},
		{"21", "1", Hold{}}, {"5", "51", Hold{}}, {"-1", "1", Hold{}}, {"5", "-1", Hold{}}, {"1.5", "1", Hold{}}, {"5", "", Hold{}}, {"", "5", Hold{}},
	} {
		env := coldstart.FromMap(map[string]string{"MAX_HOLD_SECONDS": test.seconds, "HELD_PER_ORG": test.perOrg})
		got := OpenHold(env)
		if err := env.Err(); (err != nil) != (test.want == Hold{}) || err == nil && got != test.want {
			t.Errorf("%q, %q: %v, %v; want %v", test.seconds, test.perOrg, got, err, test.want)
		}
	}
}
