package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/tests/token/issuer"
)

// value is one value that the token contains: the variable that has it, its form, and a token with
// this value and no other that is under test.
type value struct {
	variable, form string
	alone          options
}

// values returns the values of the token. The API checks the form of an identity, and check digits
// only for an application that registers checkIdentityNumbers.
func (o options) values() []value {
	all := []value{
		{"ORG", "2 to 31 lower-case letters, digits and hyphens, a letter first", options{org: o.org}},
		{"SSN", "11 digits", options{user: issuer.User{SSN: o.user.SSN}}},
		{"ORGNR", "9 digits", options{user: issuer.User{OrgNumber: o.user.OrgNumber}}},
		{"USER_NAME", "1 to 64 Norwegian letters, digits and . _ @ -", options{user: issuer.User{Name: o.user.Name}}},
		{"PARTY", "1 to 15 digits without a leading zero", options{user: issuer.User{Party: o.user.Party}}},
	}
	all = slices.DeleteFunc(all, func(v value) bool { return v.alone == options{} })
	if o.user.ID != "" {
		all = append(all, value{"USERID", "1 to 64 letters a to z, digits and . _ -", options{user: issuer.User{ID: o.user.ID, Party: "1"}}})
	}
	return all
}

// warnings returns what the API rejects or ignores in the token. The functions' own verifier
// decides, so that both have the same rules. A lifetime in the past is intended and no warning.
func (o options) warnings(signer *issuer.Signer, token string) ([]string, error) {
	verifier, err := auth.New(auth.Config{
		Issuer: issuer.Issuer, Audience: issuer.Audience, PartyClaim: issuer.PartyClaim, KeySet: signer.KeySet(),
	})
	if err != nil {
		return nil, err
	}
	verify := func(token string) (auth.Caller, error) {
		return verifier.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	valid := o
	valid.ttl = time.Hour
	unexpired, err := valid.token(signer)
	if err != nil {
		return nil, err
	}
	caller, rejected := verify(unexpired)
	var found []string
	for _, v := range o.values() {
		v.alone.ttl = time.Hour
		token, err := v.alone.token(signer)
		if err != nil {
			return nil, err
		}
		if _, err := verify(token); err == nil {
			continue
		}
		effect := "the API rejects this token"
		if rejected == nil {
			effect = "the API ignores it"
		}
		found = append(found, fmt.Sprintf("%s is not %s, so %s", v.variable, v.form, effect))
	}
	if rejected != nil && len(found) == 0 {
		found = append(found, "the API rejects this token: "+detail(rejected))
	}
	name := party.Identity{Kind: party.UserName, Value: o.user.Name}
	if folded := name.Canonical(); folded != name && name.WellFormed() {
		found = append(found, fmt.Sprintf("the API reads USER_NAME as %q; both spellings are one user", folded.Value))
	}
	return append(found, o.scopeWarnings(caller, rejected)...), nil
}

// detail returns the text of a fault for the client.
func detail(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}

// scopeWarnings returns the scopes that the API does not know for this kind of token.
func (o options) scopeWarnings(caller auth.Caller, rejected error) (found []string) {
	kind, accepted := "a user's token", issuer.UserScope
	if o.org != "" {
		kind, accepted = "an owner's token", issuer.OwnerScope
	}
	for scope := range strings.FieldsSeq(o.scope) {
		if !slices.Contains(strings.Fields(accepted), scope) {
			found = append(found, fmt.Sprintf("SCOPE has %q, which allows nothing in %s; the API knows %s", scope, kind, strings.ReplaceAll(accepted, " ", " and ")))
		}
	}
	if rejected == nil && caller.MayRead() != nil && caller.MayWrite() != nil {
		found = append(found, "SCOPE allows nothing, so the API responds to each request with 403")
	}
	return found
}

// misspelt returns the variables that look like one that the command reads.
func misspelt(getenv func(string) string) (found []string) {
	for _, pair := range [][2]string{{"ORGNO", "ORGNR"}, {"ORGNUMBER", "ORGNR"}, {"ORG_NUMBER", "ORGNR"}, {"FNR", "SSN"}, {"SCOPES", "SCOPE"}, {"PARTYID", "PARTY"}, {"EXPIRE", "EXPIRES"}} {
		if getenv(pair[0]) != "" && getenv(pair[1]) == "" {
			found = append(found, fmt.Sprintf("%s is ignored; the name is %s", pair[0], pair[1]))
		}
	}
	return found
}
