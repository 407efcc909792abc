package authz

import (
	"fmt"
	"testing"

	"altinn.no/instanceapi/tests/client"
)

// The identities of one token become one party with the first request that has them, whatever that
// request does. Identities that already have different parties keep them.
func TestIdentitiesAreLinked(t *testing.T) {
	e := newEnv(t)
	const pid, orgNumber, userName = "pid", "urn:altinn:orgNumber", "urn:altinn:username"
	reportee := map[string]string{pid: "ssn", orgNumber: "organizationNumber", userName: "userName"}
	n := 0
	// identities returns new identities, by claim.
	identities := func() claims {
		n++
		return claims{pid: fmt.Sprintf("310182%05d", n), orgNumber: fmt.Sprintf("8100%05d", n), userName: fmt.Sprintf("linked.%d", n)}
	}
	as := func(identities claims, names ...string) caller {
		c := claims{"scope": userRead + " " + userWrite}
		for _, name := range names {
			c[name] = identities[name]
		}
		return caller{name: fmt.Sprint(names), headers: bearer(e.issuer.token(ecKid, c))}
	}
	create := func(c caller, identities claims, name string) client.Instance {
		t.Helper()
		body := fmt.Sprintf(`{"reportee":{%q:%q}}`, reportee[name], identities[name])
		response, err := e.send(c.headers, "POST", "/nav/app2018/instances", "application/json", body)
		if err != nil || response.Status != 201 {
			t.Fatalf("%s creates: %v (%v)", c.name, response, err)
		}
		return response.Instance()
	}
	sees := func(c caller, i client.Instance, want bool) {
		t.Helper()
		status := 404
		if want {
			status = 200
		}
		get(t, e, c, i.Storage(), status)
		if found := find(t, e, c, "/storage/instances"); (len(found) > 0 && found[0] == i.ID) != want {
			t.Errorf("%s finds %v, want %s: %v", c.name, found, i.ID, want)
		}
	}

	for _, names := range [][]string{{userName, pid}, {userName, orgNumber}, {orgNumber, pid}, {pid, orgNumber}, {pid, userName}} {
		t.Run(fmt.Sprintf("%s, later with %s", names[0], names[1]), func(t *testing.T) {
			who := identities()
			first, second, both := as(who, names[0]), as(who, names[1]), as(who, names...)
			i := create(first, who, names[0])
			sees(second, i, false)
			sees(both, i, true)
			sees(second, i, true) // the read with both has linked them
			sees(first, i, true)
		})
	}
	t.Run("all new", func(t *testing.T) {
		who := identities()
		all := as(who, pid, orgNumber, userName)
		if found := find(t, e, all, "/storage/instances"); len(found) > 0 {
			t.Errorf("a new party finds %v", found)
		}
		i := create(all, who, userName)
		for name := range reportee {
			sees(as(who, name), i, true)
		}
	})
	t.Run("of two parties", func(t *testing.T) {
		who := identities()
		person, named := as(who, pid), as(who, userName)
		ofPerson, ofNamed := create(person, who, pid), create(named, who, userName)
		both, all := as(who, pid, userName), as(who, pid, orgNumber, userName)
		for _, c := range []caller{both, all, both} {
			sees(c, ofPerson, true)
			sees(c, ofNamed, false)
		}
		sees(named, ofNamed, true)
		sees(named, ofPerson, false)
		sees(person, ofNamed, false)
		sees(as(who, orgNumber), ofPerson, true) // the one that was new
	})
}
