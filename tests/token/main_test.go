package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/token/issuer"
)

func TestToken(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		want map[string]any // claims; nil means absent
	}{
		{"owner", map[string]string{"ORG": "nav"},
			map[string]any{"urn:altinn:org": "nav", "scope": issuer.OwnerScope, "iss": issuer.Issuer, "aud": issuer.Audience}},
		{"user by party", map[string]string{"USERID": "1001", "PARTY": "5064120983"},
			map[string]any{"urn:altinn:userid": "1001", "urn:altinn:partyid": 5064120983.0, "scope": issuer.UserScope, "urn:altinn:org": nil}},
		{"user by identity number", map[string]string{"SSN": "12247918309"},
			map[string]any{"pid": "12247918309", "urn:altinn:partyid": nil, "urn:altinn:userid": nil}},
		{"organisation", map[string]string{"ORGNR": "123456789"}, map[string]any{"urn:altinn:orgNumber": "123456789"}},
		{"two identities", map[string]string{"SSN": "12247918309", "USER_NAME": "ola", "USERID": "1001"},
			map[string]any{"pid": "12247918309", "urn:altinn:username": "ola", "urn:altinn:userid": "1001", "urn:altinn:partyid": nil}},
		{"user name", map[string]string{"USER_NAME": "ola"}, map[string]any{"urn:altinn:username": "ola"}},
		{"scope", map[string]string{"ORG": "nav", "SCOPE": "altinn:serviceowner/instances.read"}, map[string]any{"scope": "altinn:serviceowner/instances.read"}},
		{"invalid check digits", map[string]string{"SSN": "12345678901", "ORGNR": "123456780"}, map[string]any{"pid": "12345678901"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims := printed(t, test.env)
			for name, want := range test.want {
				if claims[name] != want {
					t.Errorf("claim %s = %v, want %v", name, claims[name], want)
				}
			}
			if left := claims["exp"].(float64) - float64(time.Now().Unix()); left < 3500 || left > 3600 {
				t.Errorf("the token expires in %v s, want an hour", left)
			}
		})
	}
	expired := printed(t, map[string]string{"ORG": "nav", "EXPIRES": "-60"})
	if exp := expired["exp"].(float64); exp > float64(time.Now().Unix()-59) || expired["iat"].(float64) >= exp {
		t.Errorf("EXPIRES=-60 gave %v, want a token that expired a minute ago", expired)
	}
}

func TestUsageErrors(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no identity":          {},
		"owner and user":       {"ORG": "nav", "PARTY": "5064120983"},
		"party and identity":   {"SSN": "12247918309", "PARTY": "5064120983"},
		"user without a party": {"USERID": "1001"},
		"party":                {"USERID": "1001", "PARTY": "abc"},
		"expires":              {"ORG": "nav", "EXPIRES": "1h"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(func(name string) string { return env[name] }, &stdout, &stderr)
			if status != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "usage: make -s token") {
				t.Errorf("status %d, stdout %q, stderr %q; want 2, nothing, the usage", status, &stdout, &stderr)
			}
		})
	}
}

// A token that the API rejects, or a part of it that the API ignores, is printed with a warning,
// which does not repeat an identity.
func TestWarnings(t *testing.T) {
	inCheckout(t)
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"SSN": "123"}, "SSN is not 11 digits, so the API rejects this token"},
		{map[string]string{"SSN": "1224791830x"}, "SSN is not 11 digits"},
		{map[string]string{"ORGNR": "12345678x"}, "ORGNR is not 9 digits, so the API rejects"},
		{map[string]string{"USER_NAME": "ola nordmann"}, "USER_NAME is not 1 to 64"},
		{map[string]string{"SSN": "12247918309", "ORGNR": "12345678x"}, "ORGNR is not 9 digits, so the API ignores it"},
		{map[string]string{"SSN": "1224791830", "USER_NAME": "ola"}, "SSN is not 11 digits, so the API rejects this token"},
		{map[string]string{"USER_NAME": "Ola"}, `USER_NAME as "ola"`},
		{map[string]string{"USER_NAME": "ola", "USERID": "1/2"}, "USERID is not 1 to 64"},
		{map[string]string{"PARTY": "-1"}, "PARTY is not 1 to 15 digits"},
		{map[string]string{"PARTY": "1234567890123456"}, "PARTY is not 1 to 15 digits"},
		{map[string]string{"ORG": "NAV"}, "ORG is not 2 to 31 lower-case letters"},
		{map[string]string{"ORG": "n"}, "ORG is not 2 to 31 lower-case letters"},
		{map[string]string{"ORG": "nav", "SCOPE": "altinn:instances.read"}, `SCOPE has "altinn:instances.read", which allows nothing in an owner's token`},
		{map[string]string{"ORG": "nav", "SCOPE": "altinn:instances.read"}, "responds to each request with 403"},
		{map[string]string{"SSN": "12247918309", "SCOPE": "altinn:instances.read altinn:instances.wirte"}, `SCOPE has "altinn:instances.wirte", which allows nothing in a user's token`},
		{map[string]string{"SSN": "12247918309", "SCOPE": "altinn:instances.read,altinn:instances.write"}, "responds to each request with 403"},
		{map[string]string{"ORG": "nav", "SCOPE": "altinn:serviceowner/instances.read " + strings.Repeat("x", 8192)}, "longer than 8192 bytes"},
		{map[string]string{"ORG": "nav", "SCOPES": "x"}, "SCOPES is ignored; the name is SCOPE"},
		{map[string]string{"SSN": "123", "EXPIRES": "-60"}, "SSN is not 11 digits, so the API rejects this token"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(func(name string) string { return test.env[name] }, &stdout, &stderr)
		if status != 0 || strings.Count(stdout.String(), ".") != 2 || !strings.Contains(stderr.String(), test.want) || !strings.HasPrefix(stderr.String(), "token: warning: ") {
			t.Errorf("%v: status %d, stdout %q, stderr %q, want %q", test.env, status, &stdout, &stderr, test.want)
		}
		for _, name := range []string{"SSN", "ORGNR"} {
			if value := test.env[name]; value != "" && strings.Contains(stderr.String(), value) {
				t.Errorf("%v: the warning repeats %s", test.env, name)
			}
		}
	}
}

// Without any variable that the command reads, a misspelt one is named.
func TestMisspeltVariable(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := run(func(name string) string { return map[string]string{"ORGNO": "123456789"}[name] }, &stdout, &stderr)
	if status != 2 || !strings.Contains(stderr.String(), "ORGNO is ignored; the name is ORGNR") {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
}

// inCheckout changes the working directory to a folder in a temporary checkout.
func inCheckout(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(root, "functions")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inside)
}

// printed runs the command in a temporary checkout and returns the claims of the token it printed.
func printed(t *testing.T, env map[string]string) map[string]any {
	t.Helper()
	inCheckout(t)
	var stdout, stderr bytes.Buffer
	if status := run(func(name string) string { return env[name] }, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("status %d, stderr %q", status, &stderr)
	}
	parts := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), ".")
	if len(parts) != 3 {
		t.Fatalf("printed %q, want a token and a newline", &stdout)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
