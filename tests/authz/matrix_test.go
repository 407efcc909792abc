package authz

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/stored"
)

// cell is one request and the response that it must get.
type cell struct {
	endpoint
	caller caller
	object object
	want   wanted
}

func (c cell) String() string {
	return c.route + c.query + " by " + c.caller.name + " at " + c.object.name
}

// Every route of the template must have a rule, and every rule a route.
func TestEveryRouteHasItsRules(t *testing.T) {
	e := newEnv(t)
	inTemplate := map[string]bool{}
	for _, r := range routes.Of(t, e.system.Template) {
		if !r.Open() {
			inTemplate[r.String()] = true
		}
	}
	known := map[string]bool{}
	for _, endpoint := range endpoints {
		known[endpoint.route] = true
	}
	for route := range inTemplate {
		if get := strings.Replace(route, "HEAD ", "GET ", 1); !known[get] {
			t.Errorf("the rules do not state which callers may %s", route)
		}
	}
	for route := range known {
		if !inTemplate[route] {
			t.Errorf("the rules have a route that template.yaml does not have: %s", route)
		}
	}
}

// A caller without a valid token gets the documentation and nothing else.
func TestOnlyTheDocumentationIsOpen(t *testing.T) {
	e := newEnv(t)
	for _, r := range routes.Of(t, e.system.Template) {
		path := routes.Fill(r.Path, e.instances["nav kari"], url.PathEscape)
		for _, headers := range [][]string{nil, bearer("x")} {
			got, err := e.send(headers, r.Method, path, "application/json", "")
			if err != nil {
				t.Fatal(err)
			}
			status := 401
			if r.Open() {
				status = 200
			}
			if got.Status != status {
				t.Errorf("%s with %v: %d, want %d", r, headers, got.Status, status)
			}
			if r.Open() && (got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Content-Security-Policy") == "" || got.Header.Get("Referrer-Policy") == "") {
				t.Errorf("%s: %v", r, got.Header)
			}
		}
	}
	for method, path := range map[string]string{"GET": routes.Docs + "/main.go", "POST": routes.Docs} {
		if got, err := e.send(nil, method, path, "application/json", ""); err != nil || got.Status != 404 {
			t.Errorf("%s %s: %v (%v), want 404", method, path, got, err)
		}
	}
}

// TestAuthorization sends a request to every route, by every caller, for every object. It first
// sends all requests that must be rejected. They must change no item of any table and no object of
// the bucket. It then sends the requests that must succeed.
func TestAuthorization(t *testing.T) {
	e := newEnv(t)
	var rejected, allowed []cell
	everyCaller := callers(e.issuer, e)
	for _, endpoint := range withHead() {
		for _, c := range everyCaller {
			for _, o := range objects {
				if !tries(endpoint, c, o) {
					continue
				}
				all := &allowed
				next := cell{endpoint, c, o, want(endpoint, c, o)}
				if next.want.status >= 400 {
					all = &rejected
				}
				*all = append(*all, next)
			}
		}
	}
	start := time.Now()
	before := state(t, e)
	e.run(t, rejected)
	for _, change := range before.Differences(state(t, e)) {
		t.Errorf("a rejected request %.500s", change)
	}
	rejecting := time.Since(start)
	e.run(t, allowed)
	t.Logf("%d requests: %d rejected in %v, %d allowed in %v", len(rejected)+len(allowed), len(rejected), rejecting.Round(time.Second/10),
		len(allowed), (time.Since(start) - rejecting).Round(time.Second/10))
}

func state(t *testing.T, e *env) stored.State {
	t.Helper()
	state, err := stored.StateOf(t.Context(), e.system, nil)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// tries reports whether the test sends the request of a cell. HEAD requests, callers without any
// access and similar callers try fewer objects: HEAD runs the code of GET, and the token alone
// rejects callers without access.
func tries(e endpoint, c caller, o object) bool {
	rejectedAnyway := c.code != "" || !c.read && !c.write
	switch head := e.method() == "HEAD"; {
	case !o.fits(e):
		return false
	case head && rejectedAnyway:
		return o.name == "own"
	case head || rejectedAnyway || c.few:
		return o.common
	}
	return true
}

// withHead returns the endpoints and a HEAD endpoint for each GET.
func withHead() []endpoint {
	var all []endpoint
	for _, e := range endpoints {
		all = append(all, e)
		if path, isGet := strings.CutPrefix(e.route, "GET "); isGet {
			e.route = "HEAD " + path
			all = append(all, e)
		}
	}
	return all
}

// run sends the requests: of one route sequentially, of different routes concurrently.
func (e *env) run(t *testing.T, cells []cell) {
	byRoute := map[string][]cell{}
	for _, c := range cells {
		byRoute[c.route] = append(byRoute[c.route], c)
	}
	work := make(chan []cell, len(byRoute))
	for _, cells := range byRoute {
		work <- cells
	}
	close(work)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for cells := range work {
				wrong := 0
				for _, c := range cells {
					if err := e.try(c); err != nil {
						t.Errorf("%s: %v", c, err)
						if wrong++; wrong == 10 {
							t.Errorf("%s: 10 errors; skipping the rest", c.route)
							break
						}
					}
				}
			}
		})
	}
	all.Wait()
}

// try sends the request of a cell and returns an error if the response is wrong.
func (e *env) try(c cell) error {
	home := c.caller.home()
	party := home
	if c.object.party != "" {
		party = c.object.party
	}
	org := "nav"
	if c.object.owner() == "skd" {
		org = "skd"
	}
	own := e.instances[strings.TrimSpace(org+" "+party+" "+c.object.state)]
	if c.want.status < 300 && c.method() != "GET" && c.method() != "HEAD" && c.has("instanceGuid") {
		var err error
		if c.has("dataGuid") || strings.HasPrefix(c.does, "confirms") || c.object.state == "assessed" {
			own, err = e.create(org, party, c.object.state)
		} else {
			own, err = e.createWith("[]", org, party, c.object.state)
		}
		if err != nil {
			return err
		}
	}
	if c.want.status < 300 && c.method() == "DELETE" && c.has("subscriptionId") {
		own = maps.Clone(own)
		own["subscriptionId"] = e.subscribe("deleted")
	}
	values := e.valuesFor(c.object, home, own)
	var escape func(string) string
	if c.batch {
		escape = inJSON
	}
	got, err := e.send(c.caller.headers, c.method(), c.target(values), c.media, routes.Fill(c.body, values, escape))
	if err != nil {
		return err
	}
	if c.batch && got.Status == 200 {
		item, err := got.Item()
		if err != nil || item.Status != c.want.status || item.Code() != c.want.code {
			return fmt.Errorf("%v (%v), want an item with %d %s", got, err, c.want.status, c.want.code)
		}
		return nil
	}
	if c.want.gateway {
		if got.Status != c.want.status || got.Code() != "" {
			return fmt.Errorf("%v, want the gateway's %d", got, c.want.status)
		}
		return nil
	}
	if got.Status != c.want.status || c.method() != "HEAD" && got.Code() != c.want.code {
		return fmt.Errorf("%v, want %d %s", got, c.want.status, c.want.code)
	}
	if err := checkHeader(c, got); err != nil {
		return err
	}
	if err := checkHidden(c, got, e.instances[strings.TrimSpace(org+" "+party+" assessed")], own); err != nil {
		return err
	}
	if got.Status == 404 {
		if err := checkNotFound(c, got); err != nil {
			return err
		}
	}
	if c.want.status == 200 && c.method() == "GET" && (c.does == "finds" || c.does == "lists a party") {
		body := string(got.Body)
		if found := strings.Contains(body, own["instanceGuid"]); found == c.want.nothing {
			return fmt.Errorf("the query finds the instance: %v, want %v: %v", found, !c.want.nothing, got)
		}
		if others := want(c.endpoint, c.caller, object{org: c.object.org, party: c.object.party}); others.nothing && !strings.Contains(body, `"instances":[]`) {
			return fmt.Errorf("the query finds instances of other callers: %v", got)
		}
	}
	return nil
}

// checkHidden checks that the response to a user has nothing of the data that only the owner sees:
// the data of instances in the state assessed, and what the request adds.
func checkHidden(c cell, got *client.Response, instances ...variables) error {
	if c.caller.org != "" {
		return nil
	}
	text := fmt.Sprint(got.Header) + string(got.Body)
	secrets := []string{hiddenFile}
	if c.does != "reads an application" { // which has its formIds
		secrets = append(secrets, noteForm, boxForm)
	}
	for _, i := range instances {
		if i["assessed"] != "" {
			secrets = append(secrets, i["assessed"])
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return fmt.Errorf("the response has %q of data that only the owner sees: %v %v", secret, got.Header, got)
		}
	}
	if c.object.values["formId"] == boxForm && got.Status == 201 && strings.HasSuffix(c.path(), "/data") && strings.Contains(text, "/data/") {
		return fmt.Errorf("the response names the data in the box: %v %v", got.Header, got)
	}
	return nil
}

// inJSON escapes text for a JSON string.
func inJSON(text string) string {
	quoted, _ := json.Marshal(text) // a string can always be encoded
	return strings.Trim(string(quoted), `"`)
}

var firstNotFound = struct {
	sync.Mutex
	get, head string
}{}

// checkNotFound checks that every 404 is identical, apart from the ids of the request. A caller
// then cannot distinguish a missing object from an object of another caller.
func checkNotFound(c cell, got *client.Response) error {
	ids := struct{ TraceID string }{}
	if c.method() != "HEAD" {
		if err := json.Unmarshal(got.Body, &ids); err != nil || ids.TraceID == "" {
			return fmt.Errorf("no problem with a traceId (%v): %v", err, got)
		}
	}
	var lines []string
	for name, values := range got.Header {
		if name != "Date" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n\n" + string(got.Body)
	if ids.TraceID != "" {
		text = strings.ReplaceAll(text, ids.TraceID, "")
	}
	firstNotFound.Lock()
	defer firstNotFound.Unlock()
	first := &firstNotFound.get
	if c.method() == "HEAD" {
		first = &firstNotFound.head
	}
	if *first == "" {
		*first = text
	}
	if text != *first {
		return fmt.Errorf("the 404\n%s\ndiffers from others:\n%s", text, *first)
	}
	return nil
}
