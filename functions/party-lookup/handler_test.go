package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/party"
)

const target = "/storage/parties/lookup"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("POST "+target, newHandler(api.Authorizer.Authenticator, api.Parties))
	return api
}

// linked returns the token of a user with an identity number and a user name.
func linked(ssn, userName string) string {
	return authtest.Person(party.Identity{Kind: party.SSN, Value: ssn}, party.Identity{Kind: party.UserName, Value: userName})
}

func bySSN(value string) string { return `{"reportee":{"ssn":"` + value + `"}}` }

func byName(value string) string { return `{"reportee":{"userName":"` + value + `"}}` }

// TestLookup looks parties up in a register in which Kari and Ola have numbers, the user name
// "ola.nordmann" is Ola's, and 974760673 is an organisation.
func TestLookup(t *testing.T) {
	const olaName, firm, firmParty = "ola.nordmann", "974760673", "5000000003"
	for _, test := range []struct {
		name, caller, body string
		want               string // "": not found
	}{
		{"an owner, by ssn", apitest.Nav, bySSN(apitest.KariSSN), apitest.KariParty},
		{"an owner without instances of the party", apitest.Skd, bySSN(apitest.KariSSN), apitest.KariParty},
		{"an owner that may only read", apitest.NavReader, bySSN(apitest.OlaSSN), apitest.OlaParty},
		{"an owner, by organisation number", apitest.Nav, `{"reportee":{"organizationNumber":"` + firm + `","ssn":null}}`, firmParty},
		{"an owner, by user name in capitals", apitest.Nav, byName("OLA.Nordmann"), apitest.OlaParty},
		{"an owner, a party without a number", apitest.Nav, bySSN(apitest.NewcomerSSN), ""},
		{"an owner, an organisation number as a user name", apitest.Nav, byName(firm), ""},
		{"a user, itself", apitest.Kari, bySSN(apitest.KariSSN), apitest.KariParty},
		{"a user that may only read", apitest.KariReader, bySSN(apitest.KariSSN), apitest.KariParty},
		{"a user, another party", apitest.Kari, bySSN(apitest.OlaSSN), ""},
		{"a user, an unknown identity", apitest.Kari, bySSN(apitest.NewcomerSSN), ""},
		{"a user without a number, itself", apitest.Newcomer, bySSN(apitest.NewcomerSSN), ""},
		{"a user by number", apitest.KariByNumber, bySSN(apitest.KariSSN), ""},
		{"a user, its name that is not linked yet", linked(apitest.KariSSN, "kari"), byName("Kari"), apitest.KariParty},
		{"a user, its name that is linked to another party", linked(apitest.KariSSN, olaName), byName(olaName), ""},
		{"a user with a name of another party, itself", linked(apitest.KariSSN, olaName), bySSN(apitest.KariSSN), apitest.KariParty},
		{"a user with a new ssn and a known name", linked(apitest.NewcomerSSN, olaName), bySSN(apitest.NewcomerSSN), apitest.OlaParty},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := newAPI(t)
			if err := errors.Join(api.Parties.Assign(apitest.OlaParty, party.Identity{Kind: party.SSN, Value: apitest.OlaSSN}, party.Identity{Kind: party.UserName, Value: olaName}),
				api.Parties.Assign(firmParty, party.Identity{Kind: party.OrganizationNumber, Value: firm})); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got := api.Do(t, test.caller, "POST", target, apitest.JSON(test.body))
				if test.want == "" {
					got.Want(404, "not-found")
				} else if body := got.Want(200, "").Body.String(); body != `{"instanceOwnerId":"`+test.want+`"}` {
					t.Errorf("got %s, want the number %s", body, test.want)
				}
			}
			for _, identity := range []party.Identity{{Kind: party.SSN, Value: apitest.NewcomerSSN}, {Kind: party.UserName, Value: "kari"}, {Kind: party.UserName, Value: firm}} {
				if number, err := api.Parties.Lookup(t.Context(), identity); err != nil || number != "" {
					t.Errorf("a lookup gave %v the number %s, %v", identity, number, err)
				}
			}
		})
	}
}

// TestUsersRevealNoParty checks that a user's lookup reads the identities of its token and nothing
// else, and that the responses for an existing and for an unknown party are identical.
func TestUsersRevealNoParty(t *testing.T) {
	api := newAPI(t)
	for _, caller := range []string{apitest.Kari, linked(apitest.KariSSN, "kari"), apitest.Newcomer, apitest.KariByNumber} {
		var first string
		var reads []party.Identity
		for _, body := range []string{bySSN(apitest.OlaSSN), bySSN("20116099999"), byName("nobody.yet")} {
			before := len(api.Parties.Lookups())
			got := api.Do(t, caller, "POST", target, apitest.JSON(body)).Want(404, "not-found").Body.String()
			read := api.Parties.Lookups()[before:]
			if first == "" {
				first, reads = got, read
			}
			if got != first || !slices.Equal(read, reads) {
				t.Errorf("%s reads %v, want %v: %s", caller, read, reads, got)
			}
			if slices.Contains(read, party.Identity{Kind: party.SSN, Value: apitest.OlaSSN}) {
				t.Error("a user's lookup reads the identity of another user")
			}
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	own := bySSN(apitest.KariSSN)
	for name, test := range map[string]struct {
		caller, query, body string
		status              int
		code                string
	}{
		"no token":               {apitest.Nobody, "", own, 401, "token-missing"},
		"a forged token":         {apitest.Forged, "", own, 401, "token-invalid"},
		"a user that may write":  {apitest.KariWriter, "", own, 403, "scope-missing"},
		"an owner that may not":  {apitest.NavWriter, "", own, 403, "scope-missing"},
		"a parameter":            {apitest.Nav, "?ssn=1", own, 400, "parameter-unknown"},
		"no reportee":            {apitest.Nav, "", `{}`, 400, "reportee-invalid"},
		"null":                   {apitest.Nav, "", `{"reportee":null}`, 400, "reportee-invalid"},
		"an empty reportee":      {apitest.Nav, "", `{"reportee":{}}`, 400, "reportee-invalid"},
		"two identities":         {apitest.Nav, "", `{"reportee":{"ssn":"` + apitest.KariSSN + `","userName":"kari"}}`, 400, "reportee-invalid"},
		"a malformed ssn":        {apitest.Nav, "", bySSN(apitest.KariSSN + "0"), 400, "reportee-invalid"},
		"a user's malformed ssn": {apitest.Kari, "", bySSN("1"), 400, "reportee-invalid"},
		"an empty user name":     {apitest.Nav, "", byName(""), 400, "reportee-invalid"},
		"a number":               {apitest.Nav, "", `{"reportee":{"ssn":12247918309}}`, 400, "body-invalid"},
		"an unknown member":      {apitest.Nav, "", `{"reportee":{"ssn":"` + apitest.KariSSN + `"},"instanceOwnerId":"1"}`, 400, "body-invalid"},
		"no JSON":                {apitest.Nav, "", `ssn=` + apitest.KariSSN, 400, "body-invalid"},
		"an empty body":          {apitest.Nav, "", ``, 400, "body-invalid"},
		"the largest body":       {apitest.Nav, "", own + strings.Repeat(" ", maxBody-len(own)), 200, ""},
		"one byte more":          {apitest.Nav, "", own + strings.Repeat(" ", maxBody-len(own)+1), 413, "body-too-large"},
	} {
		t.Run(name, func(t *testing.T) {
			got := api.Do(t, test.caller, "POST", target+test.query, apitest.JSON(test.body)).Want(test.status, test.code)
			if strings.Contains(got.Body.String(), apitest.KariSSN) {
				t.Errorf("the response repeats the identity: %s", got.Body)
			}
		})
	}
}

// down is a register whose reads fail with a text that contains the identity.
type down struct{}

func (down) Lookup(_ context.Context, identity party.Identity) (string, error) {
	return "", fmt.Errorf("timeout of %s", identity.Value)
}

func TestErrorsRepeatNoIdentity(t *testing.T) {
	api := apitest.New(t)
	api.Serve("POST "+target, newHandler(api.Authorizer.Authenticator, down{}))
	for _, caller := range []string{apitest.Nav, apitest.Kari} {
		got := api.Do(t, caller, "POST", target, apitest.JSON(bySSN(apitest.KariSSN))).Want(500, "internal")
		if strings.Contains(got.Body.String(), apitest.KariSSN) {
			t.Errorf("got %s", got.Body)
		}
	}
}
