package authz

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// crowd is a small population of its own for queries: two owners, each with an application of two parties' instances, some of
// which are deleted.
type crowd struct {
	members []member
	callers []caller
}

type member struct {
	id, org, party string
	deleted        bool
}

// theCrowd is the one population of all tests of the package, once one of them has needed it.
var theCrowd *crowd

// crowdOf returns the population. Every instance has the label "same" and waits to be confirmed.
func crowdOf(t *testing.T, w *env) *crowd {
	t.Helper()
	if theCrowd != nil {
		return theCrowd
	}
	c := &crowd{}
	users := map[string]string{"per": "", "pal": ""} // instanceOwnerId by user name
	for _, org := range []string{"dfo", "ssb"} {
		w.registrar[org] = w.issuer.token(rsaKid, claims{"urn:altinn:org": org, "scope": ownerRead + " " + ownerWrite})
		c.callers = append(c.callers, caller{name: org, headers: bearer(w.registrar[org]), org: org})
		must(t, w, org, "PUT", "/storage/applications/"+org+"/app", "{}")
		for user := range users {
			for _, deleted := range []bool{false, true} {
				made := must(t, w, org, "POST", "/"+org+"/app/instances",
					`{"reportee":{"userName":"`+user+`"},"labels":["same"],"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`)
				users[user] = made.InstanceOwnerID
				if deleted {
					must(t, w, org, "DELETE", "/"+org+"/app/instances/"+made.InstanceOwnerID+"/"+made.ID, "")
				}
				c.members = append(c.members, member{made.ID, org, made.InstanceOwnerID, deleted})
			}
		}
	}
	for user, party := range users {
		token := w.issuer.token(ecKid, claims{"urn:altinn:username": user, "scope": userRead + " " + userWrite})
		c.callers = append(c.callers, caller{name: user, headers: bearer(token), party: party})
	}
	if _, err := w.system.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	theCrowd = c
	return c
}

func must(t *testing.T, w *env, org, method, path, body string) report {
	t.Helper()
	made, err := w.succeed(org, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// No combination of filters shows anybody what is not theirs, whatever it names: the answer is what the filters leave of the
// caller's own.
func TestNoFilterWidensWhatACallerSees(t *testing.T) {
	w := enter(t)
	c := crowdOf(t, w)
	parties := []string{"", "599998"}
	for _, m := range c.members {
		if !slices.Contains(parties, m.party) {
			parties = append(parties, m.party)
		}
	}
	asked := 0
	for _, apps := range []string{"", "dfo/app", "ssb/app", "dfo/app,ssb/app", "dfo/none"} {
		for _, org := range []string{"", "dfo", "ssb", "dibk"} {
			for _, party := range parties {
				for _, more := range []string{"", "status.isSoftDeleted=true", "workflow.currentStep=FormFilling", "label=same", "downloadConfirmed=false",
					"label=same&workflow.currentStep=FormFilling&downloadConfirmed=false&order=desc"} {
					for _, by := range c.callers {
						query, err := url.ParseQuery(more)
						if err != nil {
							t.Fatal(err)
						}
						for name, value := range map[string]string{"appId": apps, "org": org, "instanceOwnerId": party} {
							if value != "" {
								query.Set(name, value)
							}
						}
						var wanted []string
						for _, m := range c.members {
							if (by.org == m.org || by.party == m.party) && (apps == "" || slices.Contains(strings.Split(apps, ","), m.org+"/app")) &&
								(org == "" || org == m.org) && (party == "" || party == m.party) && m.deleted == query.Has("status.isSoftDeleted") {
								wanted = append(wanted, m.id)
							}
						}
						found := find(t, w, by, "/storage/instances?"+query.Encode())
						slices.Sort(wanted)
						if !slices.Equal(found, wanted) {
							t.Errorf("%s asks for %s and finds %v, want %v", by.name, query.Encode(), found, wanted)
						}
						asked++
					}
				}
			}
		}
	}
	t.Logf("doors: %d requests with filters", asked)
}

func find(t *testing.T, w *env, by caller, target string) []string {
	t.Helper()
	a, err := w.ask(by.headers, "GET", target, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Embedded struct {
			Instances []struct{ ID string }
		} `json:"_embedded"`
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
		t.Fatalf("%s by %s: %d %s", target, by.name, a.status, a.body)
	}
	ids := []string{}
	for _, i := range page.Embedded.Instances {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

// A cursor is good for who has got it, at the address that it came from, and for nobody else.
func TestACursorOfAnotherIsRefused(t *testing.T) {
	w := enter(t)
	c := crowdOf(t, w)
	next := map[string]string{} // cursors, by whose and where
	targets := func(by caller) []string {
		if by.org != "" {
			return []string{"/storage/instances?size=1", "/storage/applications/" + by.org + "/app/events?size=1"}
		}
		return []string{"/storage/instances?size=1", "/storage/instances/" + by.party + "?size=1"}
	}
	for _, by := range c.callers {
		for _, target := range targets(by) {
			a, err := w.ask(by.headers, "GET", target, "", "")
			if err != nil || a.status != 200 {
				t.Fatalf("%s by %s: %d %s (%v)", target, by.name, a.status, a.body, err)
			}
			next[by.name+" "+target] = cursorIn(t, a)
		}
	}
	for _, by := range c.callers {
		for _, target := range targets(by) {
			for from, cursor := range next {
				whose, where, _ := strings.Cut(from, " ")
				name := "page"
				if strings.Contains(target, "/events") {
					name = "after"
				}
				a, err := w.ask(by.headers, "GET", target+"&"+name+"="+url.QueryEscape(cursor), "", "")
				if err != nil {
					t.Fatal(err)
				}
				status, code := 400, "parameter-invalid"
				if whose == by.name && where == target {
					status, code = 200, ""
				}
				if a.status != status || a.code() != code {
					t.Errorf("%s goes on at %s with %s's cursor from %s: %d %s, want %d %s", by.name, target, whose, where, a.status, a.code(), status, code)
				}
			}
		}
	}
}

// cursorIn returns the cursor of an answer that has more to come.
func cursorIn(t *testing.T, a answer) string {
	t.Helper()
	if link := a.header.Get("Link"); link != "" {
		address, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		return parameter(t, address, "after")
	}
	var page struct {
		Links struct{ Next struct{ Href string } } `json:"_links"`
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		t.Fatal(err)
	}
	return parameter(t, page.Links.Next.Href, "page")
}

func parameter(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Query().Get(name) == "" {
		t.Fatal(fmt.Errorf("no %s in %q: %v", name, address, err))
	}
	return u.Query().Get(name)
}
