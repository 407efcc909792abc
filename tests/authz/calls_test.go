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
		"owner": true, "another owner": true, "user": true, "user by pid": true, "another user": true, "another user by pid": true, "a user without a party": true,
	}
	compared := 0
	for _, endpoint := range endpoints {
		if !endpoint.has("instanceGuid") {
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
					if err != nil || response.Status != 404 {
						t.Fatalf("%s by %s at %s: %v (%v)", endpoint.route, c.name, o.name, response, err)
					}
					calls[o.name] = e.dynamoCalls.Load() - before
				}
			}
			for name, n := range calls {
				// The path itself shows that the object is of another owner or party, so an early
				// 404 reveals nothing.
				visible := name == "another owner's" && endpoint.has("org") || name == "another party's" && c.org == ""
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

// target returns path and query with the values of the variables.
func (e endpoint) target(values variables) string {
	target := routes.Fill(e.path(), values, url.PathEscape)
	if e.query != "" {
		target += "?" + routes.Fill(e.query, values, url.QueryEscape)
	}
	return target
}
