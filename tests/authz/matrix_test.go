package authz

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cell is one request, and what it has to be answered.
type cell struct {
	endpoint
	caller caller
	object object
	want   wanted
}

func (c cell) String() string {
	return c.route + c.query + " by " + c.caller.name + " at " + c.object.name
}

// A route that nobody has thought of is as bad as a thought for a route that there is not.
func TestEveryRouteHasItsRules(t *testing.T) {
	w := enter(t)
	there := map[string]bool{}
	for _, f := range w.system.Template.Functions {
		for _, r := range f.Routes {
			if !isOpen(r.Path) {
				there[r.Method+" "+r.Path] = true
			}
		}
	}
	known := map[string]bool{}
	for _, e := range endpoints {
		known[e.route] = true
	}
	for route := range there {
		if as := strings.Replace(route, "HEAD ", "GET ", 1); !known[as] {
			t.Errorf("nothing says who may %s", route)
		}
	}
	for route := range known {
		if !there[route] {
			t.Errorf("the rules have a route that template.yaml has not: %s", route)
		}
	}
}

// isOpen reports whether a route belongs to the documentation.
func isOpen(path string) bool { return path == open || strings.HasPrefix(path, open+"/") }

// Whoever comes without a token, or with one that is not good, gets the documentation and nothing else.
func TestOnlyTheDocumentationIsOpen(t *testing.T) {
	w := enter(t)
	for _, f := range w.system.Template.Functions {
		for _, r := range f.Routes {
			path := fillIn(r.Path, w.instances["nav kari"], url.PathEscape)
			for _, headers := range [][]string{nil, bearer("x")} {
				a, err := w.ask(headers, r.Method, path, "application/json", "")
				if err != nil {
					t.Fatal(err)
				}
				status := 401
				if isOpen(r.Path) {
					status = 200
				}
				if a.status != status {
					t.Errorf("%s %s with %v: %d, want %d", r.Method, r.Path, headers, a.status, status)
				}
				if isOpen(r.Path) && (a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" || a.header.Get("Referrer-Policy") == "") {
					t.Errorf("%s %s: %v", r.Method, r.Path, a.header)
				}
			}
		}
	}
	for method, path := range map[string]string{"GET": open + "/main.go", "POST": open} {
		if a, err := w.ask(nil, method, path, "application/json", ""); err != nil || a.status != 404 {
			t.Errorf("%s %s: %d (%v), want 404", method, path, a.status, err)
		}
	}
}

// TestDoors asks every route, for every caller, at every object. First come all requests that have to be refused, and nothing may
// have changed by them: no item of any table, no object of the bucket. Then come those that are let in.
func TestDoors(t *testing.T) {
	w := enter(t)
	var refused, allowed []cell
	everybody := callers(w.issuer, w)
	for _, e := range withHead() {
		for _, c := range everybody {
			for _, o := range objects {
				if !asks(e, c, o) {
					continue
				}
				all := &allowed
				each := cell{e, c, o, want(e, c, o)}
				if each.want.status >= 400 {
					all = &refused
				}
				*all = append(*all, each)
			}
		}
	}
	start := time.Now()
	before := w.state(t)
	w.run(t, refused)
	for _, change := range differences(before, w.state(t)) {
		t.Errorf("a refused request has %.500s", change)
	}
	refusing := time.Since(start)
	w.run(t, allowed)
	t.Logf("doors: %d requests, of which %d refused in %v and %d let in in %v", len(refused)+len(allowed), len(refused), refusing.Round(time.Second/10),
		len(allowed), (time.Since(start) - refusing).Round(time.Second/10))
}

// asks reports whether a cell is asked: all are, but that HEAD, which has the code of GET, and those whose token alone has them
// refused come to fewer objects.
func asks(e endpoint, c caller, o object) bool {
	refusedAnyway := c.refused != "" || !c.read && !c.write
	switch head := e.method() == "HEAD"; {
	case !o.fits(e):
		return false
	case head && refusedAnyway:
		return o.name == "own"
	case head || refusedAnyway:
		return o.common
	}
	return true
}

// withHead returns the endpoints, and for each GET the HEAD.
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

// run sends the requests, those of a route one after the other.
func (w *env) run(t *testing.T, cells []cell) {
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
					if err := w.try(c); err != nil {
						t.Errorf("%s: %v", c, err)
						if wrong++; wrong == 10 {
							t.Errorf("%s: and so on", c.route)
							break
						}
					}
				}
			}
		})
	}
	all.Wait()
}

// try sends the request of a cell and returns what is wrong with the answer.
func (w *env) try(c cell) error {
	home := c.caller.home()
	party := home
	if c.object.party != "" {
		party = c.object.party
	}
	org := "nav"
	if c.object.owner() == "skd" {
		org = "skd"
	}
	own := w.instances[strings.TrimSpace(org+" "+party+" "+c.object.state)]
	if c.want.status < 300 && c.method() != "GET" && c.method() != "HEAD" && c.has("instanceGuid") {
		var err error
		if c.has("dataGuid") || c.does == "confirms" {
			own, err = w.make(org, party, c.object.state)
		} else {
			own, err = w.makeWith("[]", org, party, c.object.state)
		}
		if err != nil {
			return err
		}
	}
	named := w.nameOf(c.object, home, own)
	got, err := w.ask(c.caller.headers, c.method(), fillIn(c.path(), named, url.PathEscape)+fillIn(c.query, named, url.QueryEscape),
		c.media, fillIn(c.body, named, func(s string) string { return s }))
	if err != nil {
		return err
	}
	if c.want.gateway {
		if got.status != c.want.status || got.code() != "" {
			return fmt.Errorf("%d %.200s, want the gateway's %d", got.status, got.body, c.want.status)
		}
		return nil
	}
	if got.status != c.want.status || c.method() != "HEAD" && got.code() != c.want.code {
		return fmt.Errorf("%d %s, want %d %s: %.200s", got.status, got.code(), c.want.status, c.want.code, got.body)
	}
	if err := checkHeader(c, got); err != nil {
		return err
	}
	if got.status == 404 {
		if err := w.checkNotFound(c, got); err != nil {
			return err
		}
	}
	if c.want.status == 200 && c.method() == "GET" && (c.does == "finds" || c.does == "lists a party") {
		if found := strings.Contains(got.body, own["instanceGuid"]); found == c.want.nothing {
			return fmt.Errorf("finds it: %v, want %v: %.300s", found, !c.want.nothing, got.body)
		}
		if others := want(c.endpoint, c.caller, object{org: c.object.org, party: c.object.party}); others.nothing && !strings.Contains(got.body, `"instances":[]`) {
			return fmt.Errorf("finds something of others: %.300s", got.body)
		}
	}
	return nil
}

// fillIn puts the values of variables into a text.
func fillIn(text string, v variables, escape func(string) string) string {
	for name, value := range v {
		if strings.Contains(text, "{"+name+"}") {
			text = strings.ReplaceAll(text, "{"+name+"}", escape(value))
		}
	}
	return text
}

var theNotFound = struct {
	sync.Mutex
	get, head string
}{}

// checkNotFound checks that what is not there and what is not the caller's are the same to the last byte, whoever asks for
// whatever, but for the ids of the request.
func (w *env) checkNotFound(c cell, got answer) error {
	ids := struct{ TraceID string }{}
	if c.method() != "HEAD" {
		if err := json.Unmarshal([]byte(got.body), &ids); err != nil || ids.TraceID == "" {
			return fmt.Errorf("no problem with a traceId (%v): %.200s", err, got.body)
		}
	}
	var lines []string
	for name, values := range got.header {
		if name != "Date" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	answer := strings.Join(lines, "\n") + "\n\n" + got.body
	if ids.TraceID != "" {
		answer = strings.ReplaceAll(answer, ids.TraceID, "")
	}
	theNotFound.Lock()
	defer theNotFound.Unlock()
	first := &theNotFound.get
	if c.method() == "HEAD" {
		first = &theNotFound.head
	}
	if *first == "" {
		*first = answer
	}
	if answer != *first {
		return fmt.Errorf("a 404 like no other:\n%s\nand others are\n%s", answer, *first)
	}
	return nil
}
