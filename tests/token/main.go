// Command token prints an access token for a developer's machine, and nothing else, on standard
// output.
//
// It reads these variables of the environment, which make sets:
//
//	ORG=nav                      an application owner's token, or
//	SSN=12247918309              a user's, with one or more of SSN, ORGNR and USER_NAME, or
//	PARTY=5064120983             a user's without an identity; USERID=1001 adds a user id to both
//	SCOPE="altinn:…"             scopes instead of all scopes of the kind of token
//	EXPIRES=60                   lifetime in seconds, default 3600; negative: an expired token
//
// The key is in .local/ at the root of the checkout; the first run creates it. Invalid input is
// reported on standard error, with exit status 2. A token that the API rejects, or a part of it
// that the API ignores, causes a warning on standard error. The token is printed nevertheless,
// for tests of exactly that.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

const usage = `usage: make -s token ORG=nav                    an application owner's token
       make -s token SSN=12247918309            a user's token; also ORGNR= or USER_NAME=
       make -s token SSN=12247918309 USER_NAME=kari   two identities of one user, which links them
       make -s token PARTY=5064120983           a user's token without an identity (PARTY is the instanceOwnerId)
options: USERID=1001 adds a user id to a user's token
         SCOPE="scope scope"  EXPIRES=lifetime in seconds, negative for an expired token
`

func main() {
	os.Exit(run(os.Getenv, os.Stdout, os.Stderr))
}

func run(getenv func(string) string, stdout, stderr io.Writer) int {
	options, err := readOptions(getenv)
	if err != nil {
		for _, text := range misspelt(getenv) {
			fmt.Fprintf(stderr, "token: warning: %s\n", text)
		}
		fmt.Fprintf(stderr, "token: %v\n%s", err, usage)
		return 2
	}
	signer, err := openSigner()
	if err == nil {
		err = options.print(signer, getenv, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "token: %v\n", err)
		return 1
	}
	return 0
}

// options describes the requested token.
type options struct {
	org   string // an owner's token when not empty
	user  issuer.User
	scope string
	ttl   time.Duration
}

func readOptions(getenv func(string) string) (options, error) {
	o := options{
		org: getenv("ORG"),
		user: issuer.User{
			ID:        getenv("USERID"),
			Party:     getenv("PARTY"),
			SSN:       getenv("SSN"),
			OrgNumber: getenv("ORGNR"),
			Name:      getenv("USER_NAME"), // not USERNAME, which desktops set for every process
		},
		scope: getenv("SCOPE"),
		ttl:   time.Hour,
	}
	if text := getenv("EXPIRES"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return o, fmt.Errorf("EXPIRES=%q is not a number of seconds", text)
		}
		o.ttl = time.Duration(seconds) * time.Second
	}
	if o.user.Party != "" {
		if _, err := strconv.ParseInt(o.user.Party, 10, 64); err != nil {
			return o, fmt.Errorf("PARTY=%q is not a decimal number", o.user.Party)
		}
	}
	asUser := o.user
	asUser.ID = "" // without a party the token gives access to nothing
	switch {
	case o.org != "" && o.user != (issuer.User{}):
		return o, errors.New("ORG selects an owner's token, the other variables a user's: set only one kind")
	case o.user.Party != "" && asUser != (issuer.User{Party: o.user.Party}):
		return o, errors.New("PARTY is ignored in a token with an identity: set either PARTY, or SSN, ORGNR and USER_NAME")
	case o.org == "" && asUser == (issuer.User{}):
		return o, errors.New("no identity: set ORG, or one of PARTY, SSN, ORGNR and USER_NAME")
	}
	return o, nil
}

func openSigner() (*issuer.Signer, error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, err
	}
	return issuer.Open(workspace.Local(root))
}

// print prints the token, and a warning for each value that no request can succeed with.
func (o options) print(signer *issuer.Signer, getenv func(string) string, stdout, stderr io.Writer) error {
	token, err := o.token(signer)
	if err != nil {
		return err
	}
	warnings, err := o.warnings(signer, token)
	if err != nil {
		return err
	}
	for _, text := range append(warnings, misspelt(getenv)...) {
		fmt.Fprintf(stderr, "token: warning: %s\n", text)
	}
	_, err = fmt.Fprintln(stdout, token)
	return err
}

func (o options) token(signer *issuer.Signer) (string, error) {
	if o.org != "" {
		return signer.Owner(o.org, o.scope, o.ttl)
	}
	return signer.User(o.user, o.scope, o.ttl)
}
