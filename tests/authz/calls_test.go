package authz

import (
	"net/url"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/routes"
)

// A missing object and an object of another party must take the same number of DynamoDB calls.
// Otherwise the response time would reveal which objects exist.
func TestForeignAndMissingMakeTheSameCalls(t *testing.T) {
	e := newEnv(t)
	watched := map[string]bool{
		"owner": true, "another owner": true, "user": true, "user by number": true, "user with another party's name": true,
		"another user": true, "another user by number": true, "a user without a party": true,
	}
	compared := 0
	for _, endpoint := range endpoints {
		if !endpoint.has("instanceGuid") && !endpoint.has("subscriptionId") {
			continue
		}
		for _, c := range callers(e.issuer, e) {
			if !watched[c.name] {
				continue
			}
			calls := map[string]int64{}
			for _, o := range objects {
				if !o.fits(endpoint) || len(o.values) > 0 && o.name != "missing" || want(endpoint, c, o).code != "not-found" {
					continue
				}
				party := c.home()
				if o.party != "" {
					party = o.party
				}
				own := e.instances[strings.TrimSpace(o.owner()+" "+party+" "+o.state)]
				for range 2 { // the first request may start a process, which makes calls at its cold start
					before := e.dynamoCalls.Load()
					values := e.valuesFor(o, c.home(), own)
					response, err := e.send(c.headers, endpoint.method(), endpoint.target(values), endpoint.media, routes.Fill(endpoint.body, values, nil))
					if err == nil && endpoint.batch && response.Status == 200 {
						response, err = response.Item()
					}
					if err != nil || response.Status != 404 {
						t.Fatalf("%s by %s at %s: %v (%v)", endpoint.route, c.name, o.name, response, err)
					}
					calls[o.name] = e.dynamoCalls.Load() - before
				}
			}
			for name, n := range calls {
				// The path itself shows that the object is of another owner or party, so an early
				// 404 reveals nothing. The feed of an owner has the events of its deleted
				// instances.
				visible := name == "another owner's" && endpoint.has("org") || name == "another party's" && c.org == "" && endpoint.has("party") ||
					name == "hard-deleted" && c.org == "nav" && endpoint.as != ""
				if missing := calls["missing"]; n != missing && !visible {
					t.Errorf("%s by %s: %d calls for %s, and %d for a missing object", endpoint.route, c.name, n, name, missing)
				}
				compared++
			}
		}
	}
	if compared < 100 {
		t.Errorf("compared only %d responses", compared)
	}
	t.Logf("compared the calls of %d responses", compared)
}

// A user's create for another party, and its lookup, must make the same calls whether that party
// exists or not.
func TestUsersRevealNoParty(t *testing.T) {
	e := newEnv(t)
	for _, c := range users(e.issuer, e) {
		if !c.write || !c.read || c.party == "kari" || c.party == "named" { // its own party is one of those below
			continue
		}
		reportees := []string{`{"reportee":{"ssn":"12247918309"}}`, `{"reportee":{"ssn":"12765099968"}}`, `{"reportee":{"userName":"PER.ÅSEN"}}`, `{"reportee":{"userName":"nobody.yet"}}`}
		for path, bodies := range map[string][]string{
			"/nav/app2018/instances":  append(reportees, `{"instanceOwnerId":"`+e.parties["kari"].numberText()+`"}`, `{"instanceOwnerId":"1000000000"}`),
			"/storage/parties/lookup": reportees,
		} {
			calls := map[int64][]string{}
			for _, body := range bodies {
				var n int64
				for range 2 { // the first request may start a process, which makes calls at its cold start
					before := e.dynamoCalls.Load()
					response, err := e.send(c.headers, "POST", path, "application/json", body)
					if err != nil || response.Status != 404 {
						t.Fatalf("%s sends %s to %s: %v (%v)", c.name, body, path, response, err)
					}
					n = e.dynamoCalls.Load() - before
				}
				calls[n] = append(calls[n], body)
			}
			if len(calls) != 1 {
				t.Errorf("%s sends requests about others to %s with different numbers of calls: %v", c.name, path, calls)
			}
		}
	}
}

// target returns path and query with the values of the variables.
func (e endpoint) target(values variables) string {
	target := routes.Fill(e.path(), values, url.PathEscape)
	if e.query != "" {
		target += "?" + routes.Fill(e.query, values, url.QueryEscape)
	}
	return target
}
