package authz

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/client"
)

// population is a set of instances for queries: two owners, each with an application that has
// instances of two parties, some of them deleted or hidden.
type population struct {
	members []member
	callers []caller
}

type member struct {
	id, org, party string
	deleted        bool
	hidden         bool
	submitted      bool
}

// sharedPopulation is the one population of all tests of the package; nil until a test needs it.
var sharedPopulation *population

// newPopulation returns the population. Every instance has the label "same" and is unconfirmed.
// Drafts and submissions, deleted or not, are in it.
func newPopulation(t *testing.T, e *env) *population {
	t.Helper()
	if sharedPopulation != nil {
		return sharedPopulation
	}
	p := &population{}
	users := map[string]string{"per": "", "pal": ""} // instanceOwnerId by user name
	for _, org := range []string{"dfo", "ssb"} {
		e.registrar[org] = e.issuer.token(rsaKid, claims{"urn:altinn:org": org, "scope": ownerRead + " " + ownerWrite})
		p.callers = append(p.callers, caller{name: org, headers: bearer(e.registrar[org]), org: org})
		must(t, e, org, "PUT", "/storage/applications/"+org+"/app", "{}")
		for user := range users {
			for n := range 5 {
				deleted, submitted, hidden := n%2 == 1, n == 2 || n == 3, n == 4
				visible := ""
				if hidden {
					visible = `"visibleDateTime":"2099-01-01T00:00:00Z",`
				}
				made := must(t, e, org, "POST", "/"+org+"/app/instances",
					`{`+visible+`"reportee":{"userName":"`+user+`"},"labels":["same"],"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`)
				users[user] = made.InstanceOwnerID
				if submitted {
					must(t, e, org, "PUT", made.Apps()+"/workflow", `{"currentStep":"Submit"}`)
				}
				if deleted {
					must(t, e, org, "DELETE", made.Apps(), "")
				}
				p.members = append(p.members, member{made.ID, org, made.InstanceOwnerID, deleted, hidden, submitted})
			}
		}
	}
	for user, party := range users {
		token := e.issuer.token(ecKid, claims{"urn:altinn:username": user, "scope": userRead + " " + userWrite})
		p.callers = append(p.callers, caller{name: user, headers: bearer(token), party: party})
	}
	if _, err := e.system.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	sharedPopulation = p
	return p
}

func must(t *testing.T, e *env, org, method, path, body string) client.Instance {
	t.Helper()
	made, err := e.succeed(org, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Every combination of filters returns a subset of the caller's own instances: those that match.
func TestFiltersNeverWidenAccess(t *testing.T) {
	e := newEnv(t)
	p := newPopulation(t, e)
	parties := []string{"", "599998"}
	for _, m := range p.members {
		if !slices.Contains(parties, m.party) {
			parties = append(parties, m.party)
		}
	}
	sent := 0
	for _, apps := range []string{"", "dfo/app", "ssb/app", "dfo/app,ssb/app", "dfo/none"} {
		for _, org := range []string{"", "dfo", "ssb", "dibk"} {
			for _, party := range parties {
				for _, more := range []string{"", "status.isSoftDeleted=true", "workflow.currentStep=FormFilling", "label=same", "downloadConfirmed=false",
					"downloadConfirmed=false&status.isSoftDeleted=true", "label=same&workflow.currentStep=Submit&downloadConfirmed=false&order=desc"} {
					for _, by := range p.callers {
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
						for _, m := range p.members {
							if (by.org == m.org || by.party == m.party && !m.hidden) && (apps == "" || slices.Contains(strings.Split(apps, ","), m.org+"/app")) &&
								(org == "" || org == m.org) && (party == "" || party == m.party) && (!query.Has("downloadConfirmed") || m.submitted) &&
								(query.Get("workflow.currentStep") == "" || m.submitted == (query.Get("workflow.currentStep") == "Submit")) &&
								(m.deleted == query.Has("status.isSoftDeleted") || m.deleted && by.org != "" && query.Has("downloadConfirmed")) {
								wanted = append(wanted, m.id)
							}
						}
						found := find(t, e, by, "/storage/instances?"+query.Encode())
						slices.Sort(wanted)
						if !slices.Equal(found, wanted) {
							t.Errorf("%s queries %s and finds %v, want %v", by.name, query.Encode(), found, wanted)
						}
						sent++
					}
				}
			}
		}
	}
	t.Logf("%d queries with filters", sent)
}

func find(t *testing.T, e *env, by caller, target string) []string {
	t.Helper()
	var page struct {
		Embedded struct {
			Instances []struct{ ID string }
		} `json:"_embedded"`
	}
	if err := get(t, e, by, target, 200).JSON(&page); err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, i := range page.Embedded.Instances {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

func get(t *testing.T, e *env, by caller, target string, status int) *client.Response {
	t.Helper()
	return e.Must(t, status, client.Request{Method: "GET", Path: target, Header: map[string][]string{"Authorization": by.headers}})
}

// Only the caller that got a cursor may use it, and only at the same address.
func TestCursorOfAnotherCallerIsRejected(t *testing.T) {
	e := newEnv(t)
	p := newPopulation(t, e)
	next := map[string]string{} // cursors, by caller and address
	targets := func(by caller) []string {
		if by.org != "" {
			return []string{"/storage/instances?size=1", "/storage/applications/" + by.org + "/app/events?size=1"}
		}
		return []string{"/storage/instances?size=1", "/storage/instances/" + by.party + "?size=1"}
	}
	for _, by := range p.callers {
		for _, target := range targets(by) {
			next[by.name+" "+target] = cursorIn(t, get(t, e, by, target, 200))
		}
	}
	for _, by := range p.callers {
		for _, target := range targets(by) {
			for from, cursor := range next {
				owner, source, _ := strings.Cut(from, " ")
				name := "page"
				if strings.Contains(target, "/events") {
					name = "after"
				}
				status, code := 400, "parameter-invalid"
				if owner == by.name && source == target {
					status, code = 200, ""
				}
				got := get(t, e, by, target+"&"+name+"="+url.QueryEscape(cursor), status)
				if got.Code() != code {
					t.Errorf("%s continues at %s with %s's cursor from %s: %v, want %s", by.name, target, owner, source, got, code)
				}
			}
		}
	}
}

// cursorIn returns the cursor to the next page.
func cursorIn(t *testing.T, got *client.Response) string {
	t.Helper()
	if link := got.Header.Get("Link"); link != "" {
		address, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		return parameter(t, address, "after")
	}
	var page struct {
		Links struct{ Next struct{ Href string } } `json:"_links"`
	}
	if err := got.JSON(&page); err != nil {
		t.Fatal(err)
	}
	return parameter(t, page.Links.Next.Href, "page")
}

func parameter(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Query().Get(name) == "" {
		t.Fatalf("no %s in %q: %v", name, address, err)
	}
	return u.Query().Get(name)
}
