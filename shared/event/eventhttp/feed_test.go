package eventhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/httpapi"
)

const (
	app  = "nav/app2018"
	path = "/storage/applications/nav/app2018/events"
)

// env is an endpoint with a feed in memory.
type env struct {
	*eventtest.Memory
	h     http.Handler
	owner string // the Authorization header of the owner
	clock time.Time
}

func newEnv() *env {
	e := &env{owner: authtest.Owner("nav"), clock: time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)}
	e.Memory = eventtest.NewMemory(func() time.Time { return e.clock })
	e.h = httpapi.HandlerFunc(FeedEndpoint{
		Authenticator: authtest.Verifier(), Applications: oneApplication(app), Feeds: e.Memory, URLs: httpapi.BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"},
	}.Serve)
	return e
}

// oneApplication is an ApplicationStore with one application; the value is the application's id.
type oneApplication string

func (id oneApplication) Get(_ context.Context, appID string) (*application.Application, error) {
	if appID != string(id) {
		return nil, nil
	}
	return &application.Application{ID: appID}, nil
}

// add records an event for a new instance that was changed at the given time.
func (e *env) add(at time.Time, step string) event.Encoded {
	doc := eventtest.Document(app, uuid.New().String(), 1, at, step)
	e.Append(context.Background(), []event.Encoded{doc})
	return doc
}

// response is a recorded response with its parsed parts.
type response struct {
	*httptest.ResponseRecorder
	ids  []string // of the events
	next string   // the query of the link
	code string   // of the problem
}

func (e *env) request(method, path, query, authorization string) *http.Request {
	target := path
	if query != "" {
		target += "?" + query
	}
	r := httptest.NewRequest(method, target, nil)
	part := strings.Split(path, "/")
	r.SetPathValue("org", part[3])
	r.SetPathValue("app", part[4])
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func (e *env) do(r *http.Request) response {
	res := response{ResponseRecorder: httptest.NewRecorder()}
	e.h.ServeHTTP(res, r)
	body := res.Body.Bytes()
	var events []event.Event
	var problem httpapi.Problem
	switch {
	case res.Code != 200:
		_ = json.Unmarshal(body, &problem)
	case json.Unmarshal(body, &events) != nil || events == nil:
		problem.Code = "the body is not an array: " + string(body)
	}
	res.code = problem.Code
	for _, ev := range events {
		res.ids = append(res.ids, ev.ID)
	}
	link, isNext := strings.CutSuffix(res.Header().Get("Link"), `>; rel="next"`)
	if u, err := url.Parse(strings.TrimPrefix(link, "<")); isNext && err == nil {
		res.next = u.RawQuery
	}
	return res
}

// get sends a request as the owner.
func (e *env) get(query string) response {
	return e.do(e.request("GET", path, query, e.owner))
}

// sameIDs reports whether got has the ids of the events, in order.
func sameIDs(got []string, want ...event.Encoded) bool {
	if len(got) != len(want) {
		return false
	}
	for n, doc := range want {
		if got[n] != doc.Event.ID {
			return false
		}
	}
	return true
}

func TestAuthorization(t *testing.T) {
	e := newEnv()
	e.add(e.clock, "Submit")
	for name, test := range map[string]struct {
		path, authorization string
		status              int
		code                string
	}{
		"the owner":                          {path, authtest.Owner("nav", "altinn:serviceowner/instances.read"), 200, ""},
		"no token":                           {path, "", 401, ""},
		"a user":                             {path, authtest.ByNumber("5000000001"), 403, "owner-only"},
		"a user, another org":                {"/storage/applications/skd/app2018/events", authtest.ByNumber("5000000001"), 403, "owner-only"},
		"the owner without the scope":        {path, authtest.Owner("nav", "altinn:serviceowner/instances.write"), 403, "scope-missing"},
		"another owner":                      {path, authtest.Owner("skd"), 404, "not-found"},
		"another owner with a bad parameter": {path + "?size=x", authtest.Owner("skd"), 404, "not-found"},
		"an unknown application":             {"/storage/applications/nav/unknown/events", authtest.Owner("nav"), 404, "not-found"},
		"an invalid application id":          {"/storage/applications/nav/A/events", authtest.Owner("nav"), 404, "not-found"},
		"an org that is a prefix of another": {"/storage/applications/na/app2018/events", authtest.Owner("nav"), 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			p, query, _ := strings.Cut(test.path, "?")
			got := e.do(e.request("GET", p, query, test.authorization))
			if got.Code != test.status || test.code != "" && got.code != test.code {
				t.Errorf("%d %q, want %d %q", got.Code, got.code, test.status, test.code)
			}
		})
	}
}

func TestParameters(t *testing.T) {
	e := newEnv()
	doc := e.add(e.clock, "Submit")
	other := eventtest.Document("nav/other", uuid.New().String(), 1, e.clock, "Submit")
	e.Append(t.Context(), []event.Encoded{other})
	link := e.get("").next
	damaged := link[:len(link)-1] + string(link[len(link)-1]^1)
	foreign := position{Position: event.Position{Seq: 1}}.encode("nav/other")
	for query, code := range map[string]string{
		"": "", "size=1": "", "size=1000": "", "after=2019-03-30": "", "workflow.currentStep=Nowhere": "",
		"after=2019-03-30T12:00:00Z": "", "after=2019-03-30T12:00:00%2B01:00": "", "after=2019-03-30T12:00:00+01:00": "",
		"after=2019-03-30t12:00:00.123456z": "", "after=" + doc.Event.ID: "", link: "",

		"size=0": "parameter-invalid", "size=1001": "parameter-invalid", "size=1&size=1": "parameter-invalid", "size=": "parameter-invalid",
		"workflow.currentStep=a&workflow.currentStep=b": "parameter-invalid", "workflow.currentStep=": "parameter-invalid",
		"after=": "parameter-invalid", "after=2019-03-30&after=2019-03-31": "parameter-invalid",
		"after=2019-02-30": "parameter-invalid", "after=2019-03-30T12:00:00": "parameter-invalid", "after=2019": "parameter-invalid",
		"after=2019-03-30T12:00:00,5Z": "parameter-invalid", "after=2019-03-30T1:00:00Z": "parameter-invalid",
		"after=2019-03-30T12:00:00%2B24:00": "parameter-invalid", "after=2019-03-30T12:00:00%2B00:60": "parameter-invalid",
		"after=0": "parameter-invalid", "after=112453234523423344": "parameter-invalid",
		"after=" + uuid.New().String() + ".1": "parameter-invalid", "after=" + other.Event.ID: "parameter-invalid",
		"after=c": "parameter-invalid", damaged: "parameter-invalid", "after=" + foreign: "parameter-invalid", link + "A": "parameter-invalid",
		"eventType=WorkflowStateChange&eventType=InstanceDeleted": "", "eventType=Other": "parameter-invalid", "eventType=": "parameter-invalid",
		"eventType=WorkflowStateChange,InstanceDeleted": "parameter-invalid",
		"currentStep=Submit":                            "parameter-unknown", "After=2019-03-30": "parameter-unknown", "page=1": "parameter-unknown",
		"after=%zz": "query-invalid",
	} {
		got := e.get(query)
		if want := map[bool]int{true: 200, false: 400}[code == ""]; got.Code != want || got.code != code {
			t.Errorf("%q: %d %q, want %d %q", query, got.Code, got.code, want, code)
		}
	}
}

func TestAfter(t *testing.T) {
	e := newEnv()
	midnight := time.Date(2019, 3, 30, 0, 0, 0, 0, time.UTC)
	var docs []event.Encoded
	for _, at := range []time.Time{midnight.Add(-time.Hour), midnight, midnight.Add(time.Microsecond), midnight.Add(time.Hour)} {
		e.clock = at.Add(time.Second)
		docs = append(docs, e.add(at, "Submit"))
	}
	for query, want := range map[string][]event.Encoded{
		"":                                      docs,
		"after=0001-01-01":                      docs,
		"after=2019-03-29":                      docs,
		"after=2019-03-30":                      docs[2:],
		"after=2019-03-30T00:00:00Z":            docs[2:],
		"after=2019-03-30T01:00:00+01:00":       docs[2:],
		"after=2019-03-30T01:00:00%2B01:00":     docs[2:],
		"after=2019-03-29T23:59:59.999999Z":     docs[1:],
		"after=2019-03-30T00:00:00.000001Z":     docs[3:],
		"after=2019-03-30T01:00:00Z":            nil,
		"after=2019-03-31":                      nil,
		"after=2119-03-31":                      nil,
		"after=" + docs[0].Event.ID:             docs[1:],
		"after=" + docs[3].Event.ID:             nil,
		"after=2019-03-30&size=1":               docs[2:3],
		"after=2019-03-30&workflow.currentStep": nil, // an empty value is an error
	} {
		if got := e.get(query); !sameIDs(got.ids, want...) {
			t.Errorf("%q: %d events %v", query, len(got.ids), got.ids)
		}
	}
}

// TestCursorKeepsTheTime records events after the reader has passed their time. The reader must get
// only the events of changes after the time that it started from.
func TestCursorKeepsTheTime(t *testing.T) {
	e := newEnv()
	e.add(e.clock, "Submit")
	from := e.clock.Add(time.Hour)
	e.clock = from.Add(time.Hour)
	first := e.add(e.clock.Add(-time.Minute), "Submit")
	got := e.get("after=" + from.Format(time.RFC3339))
	if !sameIDs(got.ids, first) {
		t.Fatalf("got %v", got.ids)
	}
	e.add(from.Add(-time.Minute), "Submit") // late
	wanted := e.add(from.Add(time.Minute), "Submit")
	if got = e.get(got.next); !sameIDs(got.ids, wanted) {
		t.Errorf("got %v", got.ids)
	}
	if got = e.get(got.next); len(got.ids) != 0 {
		t.Errorf("got %v", got.ids)
	}
}

func TestLink(t *testing.T) {
	e := newEnv()
	empty := e.get("")
	if empty.Body.String() != "[]" || !strings.HasPrefix(empty.Header().Get("Link"), "<https://platform.altinn.no/storage/applications/nav/app2018/events?after=c") {
		t.Errorf("empty: %s, %s", empty.Body, empty.Header().Get("Link"))
	}
	if unknown := e.do(e.request("GET", "/storage/applications/nav/unknown/events", "", e.owner)); unknown.Code != 404 || unknown.code != "not-found" {
		t.Errorf("an unknown application: %d %s", unknown.Code, unknown.Body)
	}
	e.add(e.clock, "Submit")
	got := e.get("workflow.currentStep=Some+thing%26&size=7&after=2019-03-30")
	next, err := url.ParseQuery(got.next)
	if err != nil || next.Get("workflow.currentStep") != "Some thing&" || next.Get("size") != "7" || len(next) != 3 {
		t.Errorf("link %s", got.Header().Get("Link"))
	}
	c := next.Get("after")
	if c != url.QueryEscape(c) || len(c) > 32 {
		t.Errorf("cursor %q is too long or needs percent-encoding", c)
	}
	if strings.Contains(e.get("").next, "size") {
		t.Error("the link has a parameter that the request did not have")
	}
	head := e.do(e.request("HEAD", path, "", authtest.Owner("nav")))
	if head.Code != 200 || head.Header().Get("Link") == "" || head.Header().Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

// TestEventTypes selects events by type and by step. The link keeps all types. No query returns
// internal events, and pages of each size return every other event once.
func TestEventTypes(t *testing.T) {
	e := newEnv()
	docs := map[string]event.Encoded{}
	for _, step := range []string{"FormFilling", "Submit"} {
		for _, eventType := range append(event.Types(), event.InternalDeletion) {
			ev := eventtest.Document(app, uuid.New().String(), 1, e.clock, step).Event
			ev.EventType = eventType
			doc, err := event.Encode(ev)
			if err != nil {
				t.Fatal(err)
			}
			e.Append(t.Context(), []event.Encoded{doc})
			if !event.Internal(eventType) {
				docs[step+" "+eventType] = doc
			}
		}
	}
	for size := 1; size <= len(docs)+1; size++ {
		query, ids := fmt.Sprint("size=", size), map[string]bool{}
		for {
			got := e.get(query)
			for _, id := range got.ids {
				ids[id] = true
			}
			query = got.next
			if len(got.ids) < size {
				break
			}
		}
		if got := e.get(query); len(ids) != len(docs) || len(got.ids) != 0 {
			t.Errorf("in pages of %d: %d events, then %d; want %d", size, len(ids), len(got.ids), len(docs))
		}
	}
	if got := e.get("eventType=" + event.InternalDeletion); got.Code != 400 {
		t.Errorf("an internal type: %d", got.Code)
	}
	deleted, near := docs["FormFilling InstanceDeleted"], docs["Submit DeadlineNear"]
	for query, want := range map[string][]event.Encoded{
		"eventType=InstanceDeleted":                                                     {deleted, docs["Submit InstanceDeleted"]},
		"eventType=DeadlineNear&eventType=InstanceDeleted":                              {deleted, docs["FormFilling DeadlineNear"], docs["Submit InstanceDeleted"], near},
		"eventType=DeadlineNear&workflow.currentStep=Submit":                            {near},
		"eventType=DeadlineNear&eventType=InstanceDeleted&workflow.currentStep=Nowhere": nil,
	} {
		if got := e.get(query); !sameIDs(got.ids, want...) {
			t.Errorf("%q: %v", query, got.ids)
		}
	}
	first := e.get("eventType=DeadlineNear&eventType=InstanceDeleted&size=3")
	if second := e.get(first.next); len(first.ids) != 3 || !sameIDs(second.ids, near) {
		t.Errorf("pages %v and %v", first.ids, second.ids)
	}
}

func TestFeedReturnsTheRecordedDocument(t *testing.T) {
	e := newEnv()
	doc := e.add(e.clock, "Submit")
	if got := e.get("").Body.String(); got != "["+string(doc.JSON)+"]" {
		t.Errorf("got %s", got)
	}
}

// TestRareMatch follows the link with a filter that matches one event. Each request examines
// maxExamined positions.
func TestRareMatch(t *testing.T) {
	e := newEnv()
	var docs []event.Encoded
	for range 2*maxExamined + 100 {
		docs = append(docs, eventtest.Document(app, uuid.New().String(), 1, e.clock, "FormFilling"))
	}
	e.Append(t.Context(), docs)
	rare := e.add(e.clock, "Submit")
	query := "workflow.currentStep=Submit&size=1"
	for n, want := range []int{0, 0, 1, 0} {
		got := e.get(query)
		if len(got.ids) != want {
			t.Fatalf("page %d has %d events, want %d", n, len(got.ids), want)
		}
		if want == 1 && !sameIDs(got.ids, rare) {
			t.Errorf("page %d: %v", n, got.ids)
		}
		query = got.next
	}
}

func TestPageFitsInAResponse(t *testing.T) {
	e := newEnv()
	var docs []event.Encoded
	for range 30 {
		doc := eventtest.Document(app, uuid.New().String(), 1, e.clock, "Submit")
		doc.Event.DataLinks = []event.DataLink{{DataLink: strings.Repeat("x", 300_000)}}
		doc, err := event.Encode(doc.Event)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	e.Append(t.Context(), docs)
	seen, pages := 0, 0
	for query := ""; seen < len(docs) && pages < 10; pages++ {
		got := e.get(query)
		if got.Body.Len() > 4_100_000 || len(got.ids) == 0 {
			t.Fatalf("page of %d events and %d bytes", len(got.ids), got.Body.Len())
		}
		seen += len(got.ids)
		query = got.next
	}
	if seen != len(docs) || pages != 3 {
		t.Errorf("%d events in %d pages", seen, pages)
	}
}

func TestFailingFeedIsAnInternalError(t *testing.T) {
	e := newEnv()
	e.Fail(errors.New("table down"))
	for _, query := range []string{"", "after=2019-03-30", "after=" + uuid.New().String() + ".1"} {
		if got := e.get(query); got.Code != 500 || strings.Contains(got.Body.String(), "table down") {
			t.Errorf("%q: %d %s", query, got.Code, got.Body)
		}
	}
}

func TestCursors(t *testing.T) {
	for _, p := range []position{
		{}, {Position: event.Position{Seq: 1}}, {Position: event.Position{Seq: 1 << 62}},
		{Position: event.Position{Seq: 1, Slot: 1}}, {Position: event.Position{Seq: 1 << 62, Slot: 1<<62 - 499}},
		{Position: event.Position{Seq: 7, Slot: 3}, since: time.Date(2019, 3, 30, 0, 0, 0, 0, time.UTC)},
		{Position: event.Position{Seq: 7}, since: time.Date(2019, 3, 30, 0, 0, 0, 123456789, time.UTC)},
		{since: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		{since: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
	} {
		text := p.encode(app)
		if got, ok := decodePosition(text, app); !ok || got != p {
			t.Errorf("%v: %v, %v", p, got, ok)
		}
		if _, ok := decodePosition(text, "nav/other"); ok {
			t.Errorf("%v is accepted for another application", p)
		}
		for n := range text {
			if _, ok := decodePosition(text[:n], app); ok {
				t.Errorf("%v truncated to %d characters is accepted", p, n)
			}
		}
	}
}
