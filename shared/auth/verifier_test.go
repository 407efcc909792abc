package auth_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
	"github.com/golang-jwt/jwt/v5"
)

func TestInvalidTokens(t *testing.T) {
	i := newIssuer(t)
	publicDER, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
	valid := i.token("rsa")
	parts := strings.Split(valid, ".")
	kid := map[string]any{"kid": "rsa"}
	with := func(changes map[string]any) string { return i.tokenWith("rsa", changes) }
	user := func(changes map[string]any) string {
		changes["urn:altinn:org"] = nil
		return with(changes)
	}
	for _, test := range []struct {
		name, token, code, detail string
	}{
		{"not a token", "hello", "token-invalid", "not a signed JSON Web Token"},
		{"two parts", parts[0] + "." + parts[1], "token-invalid", "not a signed JSON Web Token"},
		{"claims that are a number", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte("12247918309")) + "." + parts[2],
			"token-invalid", "not a signed JSON Web Token"},
		{"over 8 KB", valid + strings.Repeat("A", 8<<10), "token-invalid", "longer than 8192 bytes"},
		{"alg none", sign(t, jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, i.claims(nil)), "token-invalid", "signature"},
		{"HMAC with the public key", sign(t, jwt.SigningMethodHS256, kid, publicPEM, i.claims(nil)), "token-invalid", "signature"},
		{"HMAC with the modulus", sign(t, jwt.SigningMethodHS256, kid, rsaKey().N.Bytes(), i.claims(nil)), "token-invalid", "signature"},
		{"no kid", sign(t, jwt.SigningMethodRS256, nil, rsaKey(), i.claims(nil)), "token-invalid", "signature"},
		{"kid that is a number", sign(t, jwt.SigningMethodRS256, map[string]any{"kid": 1}, rsaKey(), i.claims(nil)), "token-invalid", "signature"},
		{"critical header parameter", sign(t, jwt.SigningMethodRS256, map[string]any{"kid": "rsa", "crit": []string{"b64"}}, rsaKey(), i.claims(nil)),
			"token-invalid", "signature"},
		{"another's key under a known kid", sign(t, jwt.SigningMethodES256, map[string]any{"kid": "ec"}, ecKey(elliptic.P256()), i.claims(nil)),
			"token-invalid", "signature"},
		{"key of another type", sign(t, jwt.SigningMethodES256, kid, ecKey(elliptic.P256()), i.claims(nil)), "token-invalid", "signature"},
		{"key in the header itself", sign(t, jwt.SigningMethodES256, map[string]any{"kid": "mine", "jku": "https://evil.test/", "jwk": publicKey("mine", ecKey(elliptic.P256()))},
			ecKey(elliptic.P256()), i.claims(nil)), "token-invalid", "not signed with a key of the accepted issuer"},
		{"claims of another token", parts[0] + "." + strings.Split(with(map[string]any{"urn:altinn:org": "skd"}), ".")[1] + "." + parts[2], "token-invalid", "signature"},
		{"signature in another encoding", reencoded(valid), "token-invalid", "not a signed JSON Web Token"},
		{"expired", with(map[string]any{"exp": i.now.Add(-11 * time.Second).Unix()}), "token-expired", "has expired"},
		{"no expiry", with(map[string]any{"exp": nil}), "token-invalid", "Request a new one from the issuer"},
		{"expiry that is text", with(map[string]any{"exp": "tomorrow"}), "token-invalid", "Request a new one from the issuer"},
		{"not valid yet", with(map[string]any{"nbf": i.now.Add(11 * time.Second).Unix()}), "token-invalid", "not valid yet"},
		{"issued in the future", with(map[string]any{"iat": i.now.Add(11 * time.Second).Unix()}), "token-invalid", "issued in the future"},
		{"issued at a text", with(map[string]any{"iat": "now"}), "token-invalid", ""},
		{"an ID token", with(map[string]any{"typ": "ID"}), "token-invalid", "Send the access token"},
		{"a refresh token", with(map[string]any{"typ": "Refresh"}), "token-invalid", "Send the access token"},
		{"a sender-constrained token", with(map[string]any{"typ": "DPoP"}), "token-invalid", "Send the access token"},
		{"a type that is a list", with(map[string]any{"typ": []string{"Bearer"}}), "token-invalid", "Send the access token"},
		{"an empty type", with(map[string]any{"typ": ""}), "token-invalid", "Send the access token"},
		{"an ID token by its header", sign(t, jwt.SigningMethodRS256, map[string]any{"kid": "rsa", "typ": "ID"}, rsaKey(), i.claims(nil)), "token-invalid", "Send the access token"},
		{"a logout token by its header", sign(t, jwt.SigningMethodRS256, map[string]any{"kid": "rsa", "typ": "logout+jwt"}, rsaKey(), i.claims(nil)),
			"token-invalid", "Send the access token"},
		{"a malformed identity before a valid one", user(map[string]any{"pid": "1224791830", "urn:altinn:username": "ola"}), "token-invalid", ""},
		{"another issuer", with(map[string]any{"iss": "https://issuer.test"}), "token-invalid", "issuer of the access token is not accepted"},
		{"no issuer", with(map[string]any{"iss": nil}), "token-invalid", "Request a new one from the issuer"},
		{"another audience", with(map[string]any{"aud": []string{"https://api.test", "x"}}), "token-invalid", "another service"},
		{"a user name with a dotted capital I", user(map[string]any{"urn:altinn:username": "ol\u0130"}), "token-invalid", ""},
		{"another issuer, and expired", with(map[string]any{"iss": "x", "exp": i.now.Add(-time.Hour).Unix()}), "token-invalid", "issuer of the access token is not accepted"},
		{"org in capitals", with(map[string]any{"urn:altinn:org": "NAV"}), "token-invalid", ""},
		{"org with a path", with(map[string]any{"urn:altinn:org": "nav/app"}), "token-invalid", ""},
		{"org of one letter", with(map[string]any{"urn:altinn:org": "n"}), "token-invalid", ""},
		{"org that begins with a digit", with(map[string]any{"urn:altinn:org": "1nav"}), "token-invalid", ""},
		{"org of 32 letters", with(map[string]any{"urn:altinn:org": strings.Repeat("n", 32)}), "token-invalid", ""},
		{"org that is empty", with(map[string]any{"urn:altinn:org": ""}), "token-invalid", ""},
		{"org that is a list", with(map[string]any{"urn:altinn:org": []string{"nav"}}), "token-invalid", ""},
		{"neither party nor identity", user(map[string]any{"urn:altinn:userid": "1001"}), "token-invalid", "does not identify the caller"},
		{"user id with a slash", user(map[string]any{"urn:altinn:userid": "1/2", "urn:altinn:partyid": 50012}), "token-invalid", ""},
		{"user id of 65 characters", user(map[string]any{"urn:altinn:userid": strings.Repeat("1", 65), "urn:altinn:partyid": 50012}), "token-invalid", ""},
		{"party id of 16 digits", user(map[string]any{"urn:altinn:partyid": strings.Repeat("1", 16)}), "token-invalid", ""},
		{"party id with a leading zero", user(map[string]any{"urn:altinn:partyid": "050012"}), "token-invalid", ""},
		{"party id as a float", user(map[string]any{"urn:altinn:partyid": 50012.5}), "token-invalid", ""},
		{"pid of ten digits", user(map[string]any{"pid": "1224791830"}), "token-invalid", ""},
		{"scope that is a list", with(map[string]any{"scope": []string{"altinn:serviceowner/instances.read"}}), "token-invalid", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := call(i.verifier(), test.token)
			if codeOf(err) != test.code {
				t.Fatalf("Caller = %+v, %v; want the code %q", c, err, test.code)
			}
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%v is not fault.Unauthenticated", err)
			}
			if !strings.Contains(err.(*fault.Error).Detail, test.detail) {
				t.Errorf("detail %q, want it to contain %q", err.(*fault.Error).Detail, test.detail)
			}
			for _, secret := range append(strings.Split(test.token, "."), "1224791830") {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("%q quotes the token", err)
				}
			}
		})
	}
}

// reencoded returns the token with changed padding bits in the last character of the signature. The
// decoded signature stays the same.
func reencoded(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

func TestValidTokens(t *testing.T) {
	i := newIssuer(t)
	user := func(claims map[string]any) map[string]any {
		claims["urn:altinn:org"] = nil
		return claims
	}
	ssn := party.Identity{Kind: party.SSN, Value: "12247918309"}
	organisation := party.Identity{Kind: party.OrganizationNumber, Value: "123456789"}
	ola := party.Identity{Kind: party.UserName, Value: "ola"}
	for _, test := range []struct {
		name    string
		changes map[string]any
		want    auth.Caller
		caller  string // its name
	}{
		{"owner", nil, auth.Caller{Org: "nav"}, "nav"},
		{"owner with its organisation number", map[string]any{"urn:altinn:orgNumber": 123456789}, auth.Caller{Org: "nav"}, "nav"},
		{"owner with a party id", map[string]any{"urn:altinn:partyid": 50012}, auth.Caller{Org: "nav"}, "nav"},
		{"expired within the leeway", map[string]any{"exp": i.now.Add(-9 * time.Second).Unix()}, auth.Caller{Org: "nav"}, "nav"},
		{"one of several audiences", map[string]any{"aud": []string{"x", audience}}, auth.Caller{Org: "nav"}, "nav"},
		{"user", user(map[string]any{"urn:altinn:userid": "1001", "urn:altinn:partyid": 50012}), auth.Caller{UserID: "1001", PartyID: "50012"}, "1001"},
		{"user with the types swapped", user(map[string]any{"urn:altinn:userid": 1001, "urn:altinn:partyid": "50012"}), auth.Caller{UserID: "1001", PartyID: "50012"}, "1001"},
		{"party alone", user(map[string]any{"urn:altinn:partyid": 999999999999999}), auth.Caller{PartyID: "999999999999999"}, "999999999999999"},
		{"identity number alone", user(map[string]any{"pid": "12247918309"}), auth.Caller{Identities: []party.Identity{ssn}}, ""},
		{"organisation number as text", user(map[string]any{"urn:altinn:orgNumber": "123456789"}), auth.Caller{Identities: []party.Identity{organisation}}, ""},
		{"organisation number as a number", user(map[string]any{"urn:altinn:orgNumber": 123456789}), auth.Caller{Identities: []party.Identity{organisation}}, ""},
		{"user name", user(map[string]any{"urn:altinn:username": "ola"}), auth.Caller{Identities: []party.Identity{ola}}, ""},
		{"user name in capitals", user(map[string]any{"urn:altinn:username": "OLA"}), auth.Caller{Identities: []party.Identity{ola}}, ""},
		{"all identities", user(map[string]any{"urn:altinn:username": "ola", "urn:altinn:orgNumber": "123456789", "pid": "12247918309"}), auth.Caller{Identities: []party.Identity{ssn, organisation, ola}}, ""},
		{"two identities", user(map[string]any{"urn:altinn:userid": "1001", "urn:altinn:username": "ola", "pid": "12247918309"}),
			auth.Caller{UserID: "1001", Identities: []party.Identity{ssn, ola}}, "1001"},
		{"an identity and a party id", user(map[string]any{"urn:altinn:partyid": 50012, "urn:altinn:username": "ola"}), auth.Caller{Identities: []party.Identity{ola}}, ""},
		{"an identity and a malformed party id", user(map[string]any{"urn:altinn:partyid": "x", "pid": "12247918309"}), auth.Caller{Identities: []party.Identity{ssn}}, ""},
		{"an identity and a malformed weaker one", user(map[string]any{"urn:altinn:username": "ola nordmann", "pid": "12247918309"}),
			auth.Caller{Identities: []party.Identity{ssn}}, ""},
		{"issued within the leeway", map[string]any{"iat": i.now.Add(9 * time.Second).Unix()}, auth.Caller{Org: "nav"}, "nav"},
		{"Keycloak's access token", map[string]any{"typ": "Bearer"}, auth.Caller{Org: "nav"}, "nav"},
		{"type in the claims", map[string]any{"typ": "JWT"}, auth.Caller{Org: "nav"}, "nav"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := map[string]any{"scope": nil} // so that the callers can be compared
			maps.Copy(changes, test.changes)
			got, err := call(i.verifier(), i.tokenWith("rsa", changes))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("Caller = %+v, want %+v", got, test.want)
			}
			if got.Name() != test.caller || got.IsOwner() != (test.want.Org != "") {
				t.Errorf("Name %q, IsOwner %v", got.Name(), got.IsOwner())
			}
		})
	}
}

func TestEveryAcceptedAlgorithm(t *testing.T) {
	i := newIssuer(t)
	i.published["p384"], i.published["p521"] = ecKey(elliptic.P384()), ecKey(elliptic.P521())
	v := i.verifier()
	for method, kid := range map[jwt.SigningMethod]string{
		jwt.SigningMethodRS256: "rsa", jwt.SigningMethodRS384: "rsa", jwt.SigningMethodRS512: "rsa", jwt.SigningMethodPS256: "rsa",
		jwt.SigningMethodPS384: "rsa", jwt.SigningMethodPS512: "rsa", jwt.SigningMethodES256: "ec", jwt.SigningMethodES384: "p384", jwt.SigningMethodES512: "p521",
	} {
		if _, err := call(v, sign(t, method, map[string]any{"kid": kid}, i.published[kid], i.claims(nil))); err != nil {
			t.Errorf("%s: %v", method.Alg(), err)
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	i := newIssuer(t)
	v, token := i.verifier(), i.token("ec")
	for _, test := range []struct {
		name   string
		values []string
		code   string
	}{
		{"one token", []string{"Bearer " + token}, ""},
		{"scheme in lower case", []string{"bearer " + token}, ""},
		{"two spaces", []string{"BEARER  " + token}, ""},
		{"none", nil, "token-missing"},
		{"empty", []string{""}, "token-missing"},
		{"scheme only", []string{"Bearer "}, "token-missing"},
		{"another scheme", []string{"Basic bmF2Om5hdg=="}, "token-missing"},
		{"token only", []string{token}, "token-missing"},
		{"twice", []string{"Bearer " + token, "Bearer " + token}, "token-invalid"},
		{"twice, joined by the gateway", []string{"Bearer " + token + ",Bearer " + token}, "token-invalid"},
		{"text after the token", []string{"Bearer " + token + " x"}, "token-invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/?access_token="+token, nil)
			if test.values != nil {
				r.Header["Authorization"] = test.values
			}
			_, err := v.Authenticate(r)
			if codeOf(err) != test.code {
				t.Fatalf("Caller = %v, want the code %q", err, test.code)
			}
			if err != nil && (!fault.Is(err, fault.Unauthenticated) || strings.Contains(err.Error(), token)) {
				t.Errorf("%v, want fault.Unauthenticated without the token", err)
			}
		})
	}
}

// The types of access tokens in the header, and a header without a type.
func TestTypesInHeader(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	for _, typ := range []any{"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", nil} {
		if _, err := call(v, sign(t, jwt.SigningMethodRS256, map[string]any{"kid": "rsa", "typ": typ}, rsaKey(), i.claims(nil))); err != nil {
			t.Errorf("typ %v: %v", typ, err)
		}
	}
}

// A party number identifies the caller only in the configured claim: the numbers of other claims
// are of other registers.
func TestPartyClaimIsConfigured(t *testing.T) {
	i := newIssuer(t)
	for _, configured := range []string{"", "party", partyClaim} {
		v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, PartyClaim: configured, Read: i.read, Now: func() time.Time { return i.now }})
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range []string{"party", partyClaim} {
			want, code := "50012", ""
			if claim != configured {
				want, code = "", "token-invalid"
			}
			if c, err := call(v, i.tokenWith("ec", map[string]any{"urn:altinn:org": nil, claim: 50012})); c.PartyID != want || codeOf(err) != code {
				t.Errorf("claim %s with %q configured: Caller = %+v, %v; want the party %q", claim, configured, c, err, want)
			}
		}
	}
}

func TestAnyAudienceMustBeExplicit(t *testing.T) {
	i := newIssuer(t)
	config := auth.Config{Issuer: issuerName, Read: i.read, Now: func() time.Time { return i.now }}
	if _, err := auth.New(config); err == nil {
		t.Error("New accepts a configuration without an audience")
	}
	config.AnyAudience = true
	v, err := auth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, aud := range []any{nil, "whatever"} {
		if _, err := call(v, i.tokenWith("ec", map[string]any{"aud": aud})); err != nil {
			t.Errorf("aud %v: %v", aud, err)
		}
	}
	config.Audience = audience
	if v, err = auth.New(config); err != nil {
		t.Fatal(err)
	}
	if _, err := call(v, i.tokenWith("ec", map[string]any{"aud": "whatever"})); codeOf(err) != "token-invalid" {
		t.Errorf("another audience than the configured one: %v", err)
	}
}

func TestOpenReportsInvalidVariables(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		want string // in the error; "" means none
	}{
		{"all", map[string]string{"TOKEN_ISSUER": "x", "TOKEN_JWKS": "https://issuer.test/jwks", "TOKEN_AUDIENCE": "y"}, ""},
		{"no audience", map[string]string{"TOKEN_ISSUER": "x", "TOKEN_JWKS": "https://issuer.test/jwks"}, "TOKEN_AUDIENCE must be set, unless"},
		{"no audience, and no other choice", map[string]string{"TOKEN_ISSUER": "x", "TOKEN_JWKS": "https://issuer.test/jwks", "TOKEN_ANY_AUDIENCE": "false"},
			"TOKEN_AUDIENCE must be set, unless"},
		{"any audience", map[string]string{"TOKEN_ISSUER": "x", "TOKEN_JWKS": "https://issuer.test/jwks", "TOKEN_ANY_AUDIENCE": "true"}, ""},
		{"file", map[string]string{"TOKEN_AUDIENCE": "y", "TOKEN_ISSUER": "x", "TOKEN_JWKS": "/var/task/jwks.json"}, ""},
		{"nothing", nil, "TOKEN_ISSUER, TOKEN_JWKS"},
		{"a URL of an unsupported scheme", map[string]string{"TOKEN_AUDIENCE": "y", "TOKEN_ISSUER": "x", "TOKEN_JWKS": "ftp://issuer.test/jwks"}, "TOKEN_JWKS must be an https URL"},
		{"keys over http", map[string]string{"TOKEN_AUDIENCE": "y", "TOKEN_ISSUER": "x", "TOKEN_JWKS": "http://issuer.test/jwks"}, "TOKEN_JWKS must be an https URL"},
		{"keys over http with an emulator", map[string]string{"TOKEN_AUDIENCE": "y", "TOKEN_ISSUER": "x", "TOKEN_JWKS": "http://host.docker.internal/jwks", "AWS_ENDPOINT_URL": "http://localhost:4566"}, ""},
		{"keys over http on this machine", map[string]string{"TOKEN_AUDIENCE": "y", "TOKEN_ISSUER": "x", "TOKEN_JWKS": "http://127.0.0.1:1/jwks"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := coldstart.FromMap(test.env)
			auth.Open(env)
			err := env.Err()
			if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Err = %v, want it to contain %q", err, test.want)
			}
		})
	}
}

// TestAuthtestTokens verifies the tokens of package authtest.
func TestAuthtestTokens(t *testing.T) {
	v := authtest.Verifier()
	kari := party.Identity{Kind: party.SSN, Value: "12247918309"}
	ola := party.Identity{Kind: party.UserName, Value: "ola"}
	for header, want := range map[string]auth.Caller{
		authtest.Owner("nav"):      {Org: "nav"},
		authtest.User(kari):        {UserID: "1001", Identities: []party.Identity{kari}},
		authtest.ByNumber("50012"): {UserID: "1001", PartyID: "50012"},
		authtest.Person(ola):       {Identities: []party.Identity{ola}},
		authtest.Person(ola, kari): {Identities: []party.Identity{kari, ola}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		c, err := v.Authenticate(r)
		if err != nil {
			t.Fatal(err)
		}
		if c.Org != want.Org || c.UserID != want.UserID || c.PartyID != want.PartyID || !slices.Equal(c.Identities, want.Identities) {
			t.Errorf("Caller = %+v, want %+v", c, want)
		}
		if c.MayRead() != nil || c.MayWrite() != nil {
			t.Errorf("%+v lacks a scope", c)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", authtest.Owner("nav", "altinn:serviceowner/instances.read"))
	if c, err := v.Authenticate(r); err != nil || c.MayRead() != nil || c.MayWrite() == nil {
		t.Errorf("Caller = %+v, %v; want a caller that may only read", c, err)
	}
}
