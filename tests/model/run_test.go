package model

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"altinn.no/instanceapi/tests/token/issuer"
	"pgregory.net/rapid"
)

// run is one random sequence of requests, and the state of its callers.
type run struct {
	*rapid.T
	model   *Model
	callers []Caller
	tokens  map[string]string
	apps    []string
	people  []Identity

	tags  map[*Element]string // current ETags of content that was fetched
	old   []string            // ETags that were valid once
	feeds map[string][]string // ids in the order of the feed, as far as it was read
	lines []string            // the requests and responses so far

	moments []time.Time // dates of instances that pass during the run
	lost    atomic.Bool // a moment passed during a request, so the model does not know its response
}

var runs atomic.Int64

// live are the current runs. A run holds the lock for reading during an operation. The agenda,
// which changes the instances of all runs, holds it for writing.
var live = struct {
	sync.RWMutex
	runs map[*run]bool
}{runs: map[*run]bool{}}

// agendaRuns is the name of the operation that changes the instances of all runs.
const agendaRuns = "run the agenda"

// operation runs an operation, unless the run is lost.
func (r *run) operation(name string, do func(*run)) {
	if r.lost.Load() {
		return
	}
	r.wait() // without the lock, so that the agenda does not wait for it
	lock := live.RLocker()
	if name == agendaRuns {
		lock = &live
	}
	lock.Lock()
	defer lock.Unlock()
	if r.lost.Load() {
		return
	}
	r.model.Now = time.Now().UTC()
	do(r)
}

// wait mostly waits until moments that are near have passed.
func (r *run) wait() {
	for _, at := range r.moments {
		if left := time.Until(at); left > 0 && left < 10*time.Second && (left < time.Second || r.chance(70, "wait")) {
			time.Sleep(left + 10*time.Millisecond)
		}
	}
}

// soon returns a time that passes during the run.
func (r *run) soon(after time.Duration) time.Time {
	at := time.Now().UTC().Add(3 * time.Second).Truncate(time.Microsecond)
	r.moments = append(r.moments, at)
	return at.Add(after)
}

// passedBefore reports whether a moment lies between the start of the operation and a response.
func (r *run) passedBefore(received time.Time) bool {
	return slices.ContainsFunc(r.moments, func(at time.Time) bool {
		return !at.Before(r.model.Now.Add(-time.Millisecond)) && at.Before(received.Add(time.Millisecond))
	})
}

func newRun(t *rapid.T) *run {
	n := runs.Add(1)
	r := &run{
		T: t, model: New(system.BaseURL, system.BaseURL), tokens: map[string]string{},
		tags: map[*Element]string{}, feeds: map[string][]string{},
	}
	one, two := fmt.Sprintf("nav%d", n), fmt.Sprintf("skd%d", n)
	r.apps = []string{one + "/app2018", one + "/melding", two + "/app2018"}
	// The validity of check digits must not depend on the run, or a failure could not be repeated
	// in another run.
	wrong := func(id Identity) Identity {
		id.Value = id.Value[:10] + string('0'+(id.Value[10]-'0'+1)%10)
		return id
	}
	person, stranger, valid := wrong(ssn(4*n)), wrong(ssn(4*n+1)), ssn(4*n+2)
	firm, named := organisation(n), Identity{"userName", fmt.Sprintf("kari.%d", n)}
	nickname, newcomer := Identity{"userName", fmt.Sprintf("nick.%d", n)}, wrong(ssn(4*n+3))
	r.people = []Identity{person, firm, named, valid, stranger, nickname, newcomer}
	r.callers = []Caller{
		{Name: "owner", Org: one, Read: true, Write: true},
		{Name: "person", Identities: []Identity{person}, Read: true, Write: true},
		{Name: "firm", Identities: []Identity{firm}, Read: true, Write: true, UserID: "1002"},
		{Name: "named", Identities: []Identity{named}, Read: true, Write: true},
		{Name: "valid", Identities: []Identity{valid}, Read: true, Write: true, UserID: "1003"},
		{Name: "other owner", Org: two, Read: true, Write: true},
		{Name: "stranger", Identities: []Identity{stranger}, Read: true, Write: true},
		{Name: "person with a name", Identities: []Identity{person, nickname}, Read: true, Write: true},
		{Name: "nickname", Identities: []Identity{nickname}, Read: true, Write: true, UserID: "1004"},
		{Name: "named firm", Identities: []Identity{newcomer, firm, named}, Read: true, Write: true},
		{Name: "reading owner", Org: one, Read: true},
		{Name: "writing owner", Org: one, Write: true},
		{Name: "reading person", Identities: []Identity{person}, Read: true},
		{Name: "near miss", Identities: []Identity{person}},
		{Name: "crossed owner", Org: one},
		{Name: "nobody", NoToken: true},
		{Name: "late", Org: one, Expired: true, Read: true, Write: true},
	}
	return r
}

// Fatalf ends the sequence. It logs the arguments but omits them from the failure: rapid shrinks a
// sequence only while the failure stays the same, and ids differ between runs.
func (r *run) Fatalf(format string, args ...any) {
	r.Helper()
	r.lines = append(r.lines, "!!! "+fmt.Sprintf(format, args...))
	r.T.Fatalf("%s", format)
}

// Errorf ends the sequence like Fatalf: after the first difference the model is wrong.
func (r *run) Errorf(format string, args ...any) {
	r.Helper()
	r.Fatalf(format, args...)
}

// ssn returns the n-th of a series of identity numbers with valid check digits.
func ssn(n int64) Identity {
	for rest := n / (28 * 12 * 100); ; rest += 7 {
		date := fmt.Sprintf("%02d%02d%02d", n%28+1, n/28%12+1, n/(28*12)%100)
		for digits := range int64(100) {
			if id := (Identity{"ssn", fmt.Sprintf("%s%03d%02d", date, rest%1000, digits)}); checkDigits(id) {
				return id
			}
		}
	}
}

// organisation returns the n-th of a series of organisation numbers.
func organisation(n int64) Identity {
	for c := n * 37; ; c++ {
		if id := (Identity{"organizationNumber", fmt.Sprintf("%09d", 900_000_000+c)}); checkDigits(id) {
			return id
		}
	}
}

// token returns a caller's token.
func (r *run) token(c Caller) string {
	if t, ok := r.tokens[c.Name]; ok || c.NoToken {
		return t
	}
	prefix, ttl := "altinn:instances.", time.Hour
	if (c.Org != "") != (c.Name == "crossed owner") {
		prefix = "altinn:serviceowner/instances."
	}
	scope := prefix + "readall " + prefix + "writer"
	if c.Read {
		scope += " " + prefix + "read"
	}
	if c.Write {
		scope += " " + prefix + "write"
	}
	if c.Expired {
		ttl = -time.Hour
	}
	var token string
	var err error
	if c.Org != "" {
		token, err = system.Authenticator.Owner(c.Org, scope, ttl)
	} else {
		user := issuer.User{ID: c.UserID, Party: c.Party}
		for _, id := range c.Identities {
			switch id.Kind {
			case "ssn":
				user.SSN = id.Value
			case "organizationNumber":
				user.OrgNumber = id.Value
			default:
				user.Name = id.Value
			}
		}
		token, err = system.Authenticator.User(user, scope, ttl)
	}
	if err != nil {
		r.Fatal(err)
	}
	r.tokens[c.Name] = token
	return token
}

// tally counts the responses of all runs by operation and status.
var tally = struct {
	sync.Mutex
	total int
	by    map[string]map[int]int
}{by: map[string]map[int]int{}}

// send sends a request and logs it as one line.
func (r *run) send(op string, c Caller, q request) *got {
	g, err := exchange(r.Context(), r.token(c), q)
	if err != nil {
		r.Fatal(err)
	}
	tally.Lock()
	tally.total++
	if tally.by[op] == nil {
		tally.by[op] = map[int]int{}
	}
	tally.by[op][g.status]++
	tally.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%s: %v → %d %s", c.Name, q, g.status, cmp.Or(g.code, g.header.Get("ETag"))))
	g.caller = c
	if r.passedBefore(g.received) {
		r.lost.Store(true)
		r.Skip("a date passed during the request")
	}
	return g
}

// check compares a response with the model's.
func (r *run) check(g *got, want Response) {
	r.Helper()
	if want.Rejections != nil {
		r.rejected(g, want.Rejections)
		if g.code == "data-invalid" && want.Issues != nil {
			r.sameIssues(g, want.Issues)
		}
		return
	}
	if g.status != want.Status {
		r.Fatalf("status %d %s, want %d\n%s", g.status, g.code, want.Status, g.body)
	}
	if want.Location != "" && g.header.Get("Location") != want.Location {
		r.Errorf("Location %q, want %q", g.header.Get("Location"), want.Location)
	}
	if want.Instance == nil {
		return
	}
	if want.Moved && (want.Instance.Changed.Before(g.sent) || want.Instance.Changed.After(g.received)) {
		r.Errorf("lastChangedDateTime %v, in a request from %v to %v", want.Instance.Changed, g.sent, g.received)
	}
	if tag := g.header.Get("ETag"); tag != want.Instance.ETag() {
		r.Errorf("ETag %s, want %s", tag, want.Instance.ETag())
	}
	r.sameInstance(g.value, want.Instance, g.caller, r.model.Document)
	if want.Changed {
		r.old = append(r.old, fmt.Sprintf(`"%d"`, want.Instance.Version-1))
	}
}

// rejected checks that a response is one of the rejections and a complete problem.
func (r *run) rejected(g *got, want Rejections) {
	r.Helper()
	if g.value == nil && slices.ContainsFunc(want, func(w Rejection) bool { return w.Status == g.status }) {
		return // of a HEAD
	}
	if !want.Allow(g.status, g.code) {
		r.Fatalf("status %d %s, want one of %v\n%.2000s", g.status, g.code, want, g.body)
	}
	for _, member := range []string{"type", "title", "detail", "instance", "traceId"} {
		if text, _ := g.object()[member].(string); text == "" {
			r.Errorf("the problem has no %s: %s", member, g.body)
		}
	}
	if g.object()["status"] != float64(g.status) || g.header.Get("Content-Type") != "application/problem+json" {
		r.Errorf("the problem has another status or type: %s", g.body)
	}
	if g.status == http.StatusUnauthorized && g.header.Get("WWW-Authenticate") == "" {
		r.Error("a 401 without WWW-Authenticate")
	}
}

// sameInstance compares a document with the model's, as rendered for the caller. The model learns
// the times of downloads, confirmations, deletions and legal holds where they occur first.
func (r *run) sameInstance(value any, want *Instance, c Caller, rendered func(*Instance, Caller) map[string]any) {
	r.Helper()
	document, _ := value.(map[string]any)
	data, _ := document["data"].([]any)
	for n, e := range want.dataFor(c) {
		if n < len(data) {
			owner, _ := data[n].(map[string]any)["applicationOwner"].(map[string]any)
			r.learn(e.Downloaded, owner["downloaded"])
			r.learn(e.Confirmed, owner["downloadConfirmed"])
		}
	}
	member := func(object, name string) any { o, _ := document[object].(map[string]any); return o[name] }
	if want.Deleted {
		r.learnOne(&want.DeletedAt, member("status", "softDeletedDateTime"))
	}
	if want.Substatus != nil {
		substatus, _ := member("status", "substatus").(map[string]any)
		r.learnOne(&want.Substatus.Changed, substatus["changedDateTime"])
	}
	if want.Hold != nil {
		r.learnOne(&want.Hold.Since, member("legalHold", "since"))
	}
	if wanted := rendered(want, c); !reflect.DeepEqual(document, wanted) {
		r.Fatalf("the instance %s differs from the model:%s", want.ID, differences("", document, wanted))
	}
}

// learnOne is learn for one time.
func (r *run) learnOne(known *time.Time, value any) {
	r.Helper()
	times := []time.Time{*known}
	r.learn(times, []any{value})
	*known = times[0]
}

func (r *run) learn(known []time.Time, value any) {
	r.Helper()
	list, _ := value.([]any)
	for n := range known {
		if !known[n].IsZero() || n >= len(list) {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(list[n]))
		if err != nil || time.Since(at) > time.Hour || time.Since(at) < 0 || n > 0 && at.Before(known[n-1]) {
			r.Errorf("%v is not a valid time of a download after %v", list[n], known[:n])
		}
		known[n] = at
	}
}

// sameIssues compares the issues of a validation, in any order.
func (r *run) sameIssues(g *got, want []Issue) {
	r.Helper()
	found := []Issue{}
	list, _ := g.object()["issues"].([]any)
	for _, each := range list {
		text := func(name string) string { s, _ := each.(map[string]any)[name].(string); return s }
		found = append(found, Issue{text("severity"), text("code"), text("dataElementId"), text("field")})
		if text("description") == "" {
			r.Errorf("an issue without a description: %v", each)
		}
	}
	order := func(a, b Issue) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	want = slices.Clone(want)
	slices.SortFunc(found, order)
	slices.SortFunc(want, order)
	if !slices.Equal(found, want) {
		r.Fatalf("issues %v\nwant %v", found, want)
	}
}
