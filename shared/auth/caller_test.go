package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
)

func TestScopesMatchExactly(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	user := map[string]any{"urn:altinn:org": nil, "urn:altinn:partyid": 50012}
	for _, test := range []struct {
		name        string
		kind        map[string]any // claims
		scope       any            // claim scope
		altinnScope any            // claim urn:altinn:scope
		read, write bool
	}{
		{"owner reads", nil, "altinn:serviceowner/instances.read", nil, true, false},
		{"owner writes only", nil, "altinn:serviceowner/instances.write", nil, false, true},
		{"owner, both among others", nil, "openid altinn:serviceowner/instances.write x altinn:serviceowner/instances.read", nil, true, true},
		{"owner, one in each claim", nil, "altinn:serviceowner/instances.read", "altinn:serviceowner/instances.write", true, true},
		{"owner with the scopes of a user", nil, "altinn:instances.read altinn:instances.write", nil, false, false},
		{"owner with a longer scope", nil, "altinn:serviceowner/instances.readall xaltinn:serviceowner/instances.write", nil, false, false},
		{"owner with the beginning of a scope", nil, "altinn:serviceowner/instances", nil, false, false},
		{"owner in capitals", nil, "ALTINN:SERVICEOWNER/INSTANCES.READ", nil, false, false},
		{"owner with commas", nil, "altinn:serviceowner/instances.read,altinn:serviceowner/instances.write", nil, false, false},
		{"owner with tabs", nil, "altinn:serviceowner/instances.read\taltinn:serviceowner/instances.write", nil, false, false},
		{"owner with none", nil, nil, nil, false, false},
		{"user, both", user, "altinn:instances.read altinn:instances.write", nil, true, true},
		{"user with the scopes of an owner", user, "altinn:serviceowner/instances.read altinn:serviceowner/instances.write", nil, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := map[string]any{"scope": test.scope, "urn:altinn:scope": test.altinnScope}
			for name, value := range test.kind {
				changes[name] = value
			}
			c, err := call(v, i.tokenWith("ec", changes))
			if err != nil {
				t.Fatal(err)
			}
			for action, got := range map[string]struct {
				err  error
				want bool
			}{"read": {c.MayRead(), test.read}, "write": {c.MayWrite(), test.write}} {
				if (got.err == nil) != got.want {
					t.Errorf("may %s: %v, want %v", action, got.err, got.want)
				}
				if got.err != nil && (!fault.Is(got.err, fault.Forbidden) || codeOf(got.err) != "scope-missing" || !strings.Contains(got.err.Error(), "instances."+action)) {
					t.Errorf("may %s: %v, want fault.Forbidden, scope-missing, naming the scope", action, got.err)
				}
			}
		})
	}
}

func TestMustBeOwner(t *testing.T) {
	if err := (auth.Caller{Org: "nav"}).MustBeOwner(); err != nil {
		t.Error(err)
	}
	if err := (auth.Caller{PartyID: "5000000012"}).MustBeOwner(); !fault.Is(err, fault.Forbidden) || codeOf(err) != "owner-only" {
		t.Errorf("%v, want fault.Forbidden, owner-only", err)
	}
}

func TestMustBeUser(t *testing.T) {
	if err := (auth.Caller{PartyID: "5000000012"}).MustBeUser(); err != nil {
		t.Error(err)
	}
	if err := (auth.Caller{Org: "nav"}).MustBeUser(); !fault.Is(err, fault.Forbidden) || codeOf(err) != "user-only" {
		t.Errorf("%v, want fault.Forbidden, user-only", err)
	}
}

// finder is a party register with one party, knownIdentity. If err is not nil, Find fails with it.
type finder struct{ err error }

var knownIdentity = party.Identity{Kind: party.SSN, Value: "12247918309"}

func (f finder) Find(_ context.Context, identities ...party.Identity) (string, bool, error) {
	if slices.Contains(identities, knownIdentity) && f.err == nil {
		return "5000000012", true, nil
	}
	return "", false, f.err
}

func TestResolveParty(t *testing.T) {
	unknownIdentity := party.Identity{Kind: party.SSN, Value: "02013299997"}
	for _, test := range []struct {
		name   string
		caller auth.Caller
		want   string // "": none
	}{
		{"an owner", auth.Caller{Org: "nav"}, ""},
		{"an owner with a party id and an identity", auth.Caller{Org: "skd", PartyID: "5000000012", Identities: []party.Identity{knownIdentity}}, ""},
		{"a user with a party id", auth.Caller{PartyID: "5000000012"}, "5000000012"},
		{"a user with a known identity", auth.Caller{Identities: []party.Identity{knownIdentity}}, "5000000012"},
		{"an identity takes precedence over the party id", auth.Caller{PartyID: "5000000013", Identities: []party.Identity{knownIdentity}}, "5000000012"},
		{"an unknown identity takes precedence over the party id", auth.Caller{PartyID: "5000000013", Identities: []party.Identity{unknownIdentity}}, ""},
		{"a user with an unknown and a known identity", auth.Caller{Identities: []party.Identity{unknownIdentity, knownIdentity}}, "5000000012"},
		{"a user with an unknown identity", auth.Caller{Identities: []party.Identity{unknownIdentity}}, ""},
		{"the zero Caller", auth.Caller{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, found, err := auth.ResolveParty(t.Context(), test.caller, finder{})
			if got != test.want || found != (test.want != "") || err != nil {
				t.Errorf("ResolveParty = %q, %v, %v; want %q", got, found, err, test.want)
			}
		})
	}
	throttled := errors.New("throttled")
	if _, found, err := auth.ResolveParty(t.Context(), auth.Caller{Identities: []party.Identity{knownIdentity}}, finder{throttled}); found || !errors.Is(err, throttled) {
		t.Errorf("ResolveParty with a failing register = %v, %v; want false and the error", found, err)
	}
}

func TestCallerNeverPrintsItsIdentityNumber(t *testing.T) {
	var log bytes.Buffer
	c := auth.Caller{Identities: []party.Identity{knownIdentity}}
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "caller", c)
	for _, text := range []string{log.String(), fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c), c.Name()} {
		if strings.Contains(text, knownIdentity.Value) {
			t.Errorf("%q contains the identity number", text)
		}
	}
}

// TestNameFor checks that a user never has the name of an application's owner.
func TestNameFor(t *testing.T) {
	for _, test := range []struct {
		caller auth.Caller
		want   string
	}{
		{auth.Caller{Org: "nav"}, "nav"},
		{auth.Caller{UserID: "1001", PartyID: "50012"}, "1001"},
		{auth.Caller{UserID: "nav", PartyID: "50012"}, "50012"},
		{auth.Caller{UserID: "nav"}, ""},
		{auth.Caller{UserID: "skd", PartyID: "50012"}, "skd"},
	} {
		if got := test.caller.NameFor("nav"); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.caller.UserID, test.caller.PartyID, got, test.want)
		}
	}
}
