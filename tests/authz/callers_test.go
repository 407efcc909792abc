package authz

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// caller is one kind of caller.
type caller struct {
	name    string
	headers []string // its Authorization header fields

	code string // of the 401 that it gets; "" if its token is valid

	org         string // of an application owner; "" for a user
	party       string // name of the user's party in env.parties; "" for an owner or a user without a party
	noReportee  bool   // the token lacks the identity by which the party is named in a body
	few         bool   // tries few objects, because a similar caller tries all
	read, write bool   // scopes of its kind
}

// The scopes.
const (
	ownerRead, ownerWrite = "altinn:serviceowner/instances.read", "altinn:serviceowner/instances.write"
	userRead, userWrite   = "altinn:instances.read", "altinn:instances.write"
)

// callers returns every kind of caller.
func callers(i *issuer, e *env) []caller {
	return append(strangers(i, e), append(owners(i, e), users(i, e)...)...)
}

// owners returns the callers with the token of an application owner: it has an org claim, among
// other claims.
func owners(i *issuer, e *env) []caller {
	var all []caller
	add := func(name, org string, read, write bool, c claims) {
		all = append(all, caller{name: name, headers: bearer(i.token(rsaKid, claims{"urn:altinn:org": org}.with(c))), org: org, read: read, write: write})
	}
	both := ownerRead + " " + ownerWrite
	kari := e.parties["kari"].number
	add("owner", "nav", true, true, claims{"scope": both})
	add("owner with read", "nav", true, false, claims{"scope": ownerRead})
	add("owner with write", "nav", false, true, claims{"scope": ownerWrite})
	add("owner, scopes in urn:altinn:scope", "nav", true, true, claims{"urn:altinn:scope": both})
	add("owner, a scope in each claim", "nav", true, true, claims{"scope": ownerRead, "urn:altinn:scope": ownerWrite})
	add("owner, scopes among others", "nav", true, true, claims{"scope": "openid " + ownerWrite + " profile " + ownerRead})
	add("owner who is also the party", "nav", true, true, claims{"scope": both, partyClaim: kari, "urn:altinn:userid": "1001"})
	add("owner with all scopes of owners and users", "nav", true, true, claims{"scope": both + " " + userRead + " " + userWrite})

	add("another owner", "skd", true, true, claims{"scope": both})
	add("another owner with read", "skd", true, false, claims{"scope": ownerRead})
	add("another owner with write", "skd", false, true, claims{"scope": ownerWrite})
	add("another owner who is also the party", "skd", true, true, claims{"scope": both + " " + userRead + " " + userWrite, partyClaim: kari})
	add("another owner who has the party's identity", "skd", true, true, claims{"scope": both, "pid": e.parties["kari"].identity})
	add("an owner without applications", "dibk", true, true, claims{"scope": both})

	for _, near := range nearMisses(ownerRead, ownerWrite) {
		add("owner, "+near.name, "nav", false, false, claims{"scope": near.scope})
	}
	add("owner with the scopes of a user", "nav", false, false, claims{"scope": userRead + " " + userWrite})
	return all
}

// users returns the callers with the token of a user.
func users(i *issuer, e *env) []caller {
	var all []caller
	add := func(name, party string, read, write bool, c claims) {
		all = append(all, caller{name: name, headers: bearer(i.token(ecKid, c)), party: party, read: read, write: write})
	}
	both := claims{"scope": userRead + " " + userWrite}
	kari, ola, firm, named := e.parties["kari"], e.parties["ola"], e.parties["firm"], e.parties["named"]
	pid, orgNumber, userName := "pid", "urn:altinn:orgNumber", "urn:altinn:username"
	add("user", "kari", true, true, both.with(claims{pid: kari.identity}))
	add("user with read", "kari", true, false, claims{"scope": userRead, pid: kari.identity})
	add("user with write", "kari", false, true, claims{"scope": userWrite, pid: kari.identity})
	add("user, scopes in urn:altinn:scope", "kari", true, true, claims{"urn:altinn:scope": both["scope"], pid: kari.identity})
	add("user with an id", "kari", true, true, both.with(claims{pid: kari.identity, "urn:altinn:userid": "1001"}))
	add("user by orgNumber", "firm", true, true, both.with(claims{orgNumber: firm.identity}))
	add("user by username", "named", true, true, both.with(claims{userName: named.identity}))

	// Several identities: the first known one decides, in the order pid, orgNumber, username.
	first := len(all)
	for n, home := range []string{"kari", "named", "firm"} {
		add("user with a known and a linked identity", home, true, true, both.with(e.linkedTokens()[n]))
	}
	add("user by a linked user name", "kari", true, true, both.with(claims{userName: newName}))
	add("user by a linked pid", "named", true, true, both.with(claims{pid: newPid}))
	for n := first + 3; n < len(all); n++ {
		all[n].noReportee = true
	}
	add("user with another party's name", "kari", true, true, both.with(claims{pid: kari.identity, userName: named.identity}))
	add("user with another party's orgNumber", "kari", true, true, both.with(claims{pid: kari.identity, orgNumber: firm.identity}))
	add("organisation with another party's name", "firm", true, true, both.with(claims{orgNumber: firm.identity, userName: named.identity}))
	add("user with the identities of three parties", "kari", true, true, both.with(claims{pid: kari.identity, orgNumber: firm.identity, userName: named.identity}))
	add("user with a malformed user name", "kari", true, true, both.with(claims{pid: kari.identity, userName: "kari nordmann"}))
	add("another user with the party's orgNumber", "ola", true, true, both.with(claims{pid: ola.identity, orgNumber: firm.identity}))

	// A party number counts in one claim, and only without an identity.
	first = len(all)
	add("user by number", "kari", true, true, both.with(claims{partyClaim: kari.number}))
	add("user by number as text", "kari", true, true, both.with(claims{partyClaim: kari.numberText(), "urn:altinn:userid": "1001"}))
	add("user by number, another in another claim", "kari", true, true, both.with(claims{partyClaim: kari.number, "urn:altinn:partyid": ola.number}))
	for n := first; n < len(all); n++ {
		all[n].noReportee = true
	}
	add("user with another party's number", "kari", true, true, both.with(claims{pid: kari.identity, partyClaim: ola.number}))
	add("user with a malformed number", "kari", true, true, both.with(claims{pid: kari.identity, partyClaim: "0"}))
	add("another user with the party's number", "ola", true, true, both.with(claims{pid: ola.identity, partyClaim: kari.number, "urn:altinn:partyid": kari.number}))
	add("a user without a party, with the party's number", "", true, true, both.with(claims{pid: "02013299997", partyClaim: kari.number}))
	add("a user with an unassigned number", "", true, true, both.with(claims{partyClaim: 599999}))
	add("a user whose number starts with the party's", "", true, true, both.with(claims{partyClaim: kari.number * 10}))

	first = len(all)
	for _, spelling := range []string{"PER.ÅSEN", "Per.Åsen", "per.a\u030asen", "PER.A\u030aSEN", "per.\u212bsen", "ｐｅｒ．åsen", "ＰＥＲ．Åsen"} {
		add("user by username "+spelling, "named", true, true, both.with(claims{userName: spelling}))
	}
	for _, other := range []string{"per.asen", "per.aasen", "perasen", "per.åsen.", "per.øsen"} {
		add("a user by the unknown name "+other, "", true, true, both.with(claims{userName: other}))
	}
	for n := first; n < len(all); n++ {
		all[n].few = true
	}

	add("another user", "ola", true, true, both.with(claims{pid: ola.identity}))
	add("another user with an id", "ola", true, true, both.with(claims{pid: ola.identity, "urn:altinn:userid": "1001"}))
	add("another user by number", "ola", true, true, both.with(claims{partyClaim: ola.number}))
	all[len(all)-1].noReportee = true
	add("a user without a party", "", true, true, both.with(claims{pid: "02013299997"}))
	add("a user without a party, with two identities", "", true, true, both.with(claims{pid: "02013299997", userName: "unknown.name"}))

	for _, near := range nearMisses(userRead, userWrite) {
		add("user, "+near.name, "kari", false, false, claims{"scope": near.scope, pid: kari.identity})
	}
	add("user with the scopes of an owner", "kari", false, false, claims{"scope": ownerRead + " " + ownerWrite, pid: kari.identity})
	return all
}

type nearMiss struct{ name, scope string }

func nearMisses(read, write string) []nearMiss {
	prefix, _, _ := strings.Cut(read, ".")
	return []nearMiss{
		{"no scope", "openid"},
		{"an empty scope", ""},
		{"longer scopes", read + "all " + write + "s"},
		{"scopes with a prefix", "x" + read + " x" + write},
		{"the start of a scope", prefix + " " + prefix + "."},
		{"scopes in capitals", strings.ToUpper(read + " " + write)},
		{"scopes with commas", read + "," + write},
		{"scopes with a tab", read + "\t" + write},
		{"scopes in quotes", `"` + read + `" "` + write + `"`},
		{"a pattern for every scope", prefix + ".* *"},
	}
}

// strangers returns the callers without a valid token.
func strangers(i *issuer, e *env) []caller {
	good := claims{"urn:altinn:org": "nav", "scope": ownerRead + " " + ownerWrite}
	user := claims{partyClaim: e.parties["kari"].number, "scope": userRead + " " + userWrite}
	private, _ := i.key(rsaKid).(*rsa.PrivateKey)
	token := i.token(rsaKid, good)
	parts := strings.Split(token, ".")
	kid := claims{"kid": rsaKid}
	hs256 := jwt.SigningMethodHS256

	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		panic(err)
	}
	jwk, err := json.Marshal(publicKey(rsaKid, private))
	if err != nil {
		panic(err)
	}
	own := newEC()

	var all []caller
	add := func(name, code string, headers ...string) {
		all = append(all, caller{name: name, headers: headers, code: code})
	}
	invalid := func(name, token string) { add(name, "token-invalid", "Bearer "+token) }
	signed := func(name string, c claims) { invalid(name, i.token(rsaKid, good.with(c))) }

	add("no token", "token-missing")
	add("an empty header", "token-missing", "")
	add("a scheme alone", "token-missing", "Bearer")
	add("another scheme", "token-missing", "Basic bmF2Om5hdg==")
	add("a token without a scheme", "token-missing", token)
	add("two tokens", "token-invalid", "Bearer "+token, "Bearer "+token)

	invalid("a word", "hello")
	invalid("two parts", parts[0]+"."+parts[1])
	invalid("empty parts", "..")
	invalid("thousands of parts", strings.Repeat("a.", 3000))
	invalid("bytes that are not UTF-8", "\xff.\xff.\xff")
	invalid("two tokens with a comma", token+","+token)
	invalid("no JSON in the claims", parts[0]+"."+strings.Repeat("W", 5000)+"."+parts[2])
	invalid("empty claims", parts[0]+".e30."+parts[2])
	invalid("a signature cut off", parts[0]+"."+parts[1]+".")
	invalid("a signature changed", parts[0]+"."+parts[1]+"."+"AAAA"+parts[2][4:])
	invalid("a suffix after the token", token+"A")
	invalid("more than 8 KB", i.token(rsaKid, good.with(claims{"x": strings.Repeat("x", 5700)})))

	add("expired", "token-expired", "Bearer "+i.token(rsaKid, good.with(claims{"exp": time.Now().Add(-time.Minute).Unix()})))
	signed("without an expiry", claims{"exp": nil})
	signed("not yet valid", claims{"nbf": time.Now().Add(time.Hour).Unix()})
	signed("issued in the future", claims{"iat": time.Now().Add(time.Hour).Unix()})
	signed("an ID token", claims{"typ": "ID"})
	signed("a refresh token", claims{"typ": "Refresh"})
	invalid("an ID token by its header", sign(jwt.SigningMethodRS256, claims{"kid": rsaKid, "typ": "ID"}, private, good))
	invalid("a logout token by its header", sign(jwt.SigningMethodRS256, claims{"kid": rsaKid, "typ": "logout+jwt"}, private, good))
	signed("of another issuer", claims{"iss": "https://issuer.test.evil/"})
	signed("of no issuer", claims{"iss": nil})
	signed("for another service", claims{"aud": "https://other.test/"})
	signed("for no service", claims{"aud": nil})

	invalid("signed with another key under a known kid", sign(jwt.SigningMethodRS256, kid, newRSA(2048), good))
	invalid("signed with a key of another type under a known kid", sign(jwt.SigningMethodES256, kid, own, good))
	invalid("unknown kid", sign(jwt.SigningMethodES256, claims{"kid": "mine"}, own, good))
	invalid("unknown kid, with its key in the token", sign(jwt.SigningMethodES256, claims{"kid": "mine", "jwk": publicKey("mine", own)}, own, good))
	invalid("unknown kid, with the address of its key", sign(jwt.SigningMethodES256, claims{"kid": "mine", "jku": "http://127.0.0.1:1/"}, own, good))
	invalid("no kid", sign(jwt.SigningMethodRS256, nil, private, good))
	invalid("kid that is a path", sign(jwt.SigningMethodRS256, claims{"kid": "../../" + rsaKid}, private, good))
	invalid("an unknown critical extension", sign(jwt.SigningMethodRS256, claims{"kid": rsaKid, "crit": []string{"b64"}, "b64": false}, private, good))
	invalid("alg none", sign(jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, good))
	invalid("alg none, with a signature", sign(jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, good)+parts[2])
	invalid("alg None", base64url([]byte(`{"alg":"None","kid":"`+rsaKid+`"}`))+"."+parts[1]+".")
	invalid("HS256 with the public key as PEM", sign(hs256, kid, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), good))
	invalid("HS256 with the public key as DER", sign(hs256, kid, der, good))
	invalid("HS256 with the public key as JWK", sign(hs256, kid, jwk, good))
	invalid("HS256 with the modulus", sign(hs256, kid, private.N.Bytes(), good))
	invalid("HS256 with an empty key", sign(hs256, kid, []byte{}, good))
	invalid("the claims replaced", parts[0]+"."+strings.Split(i.token(rsaKid, good.with(claims{"urn:altinn:org": "skd"})), ".")[1]+"."+parts[2])
	invalid("the header replaced", base64url([]byte(`{"alg":"PS256","kid":"`+rsaKid+`","typ":"JWT"}`))+"."+parts[1]+"."+parts[2])

	signed("no identity", claims{"urn:altinn:org": nil})
	signed("a user id alone", claims{"urn:altinn:org": nil, "urn:altinn:userid": "1001"})
	signed("org in capitals", claims{"urn:altinn:org": "NAV"})
	signed("org with a space", claims{"urn:altinn:org": "nav "})
	signed("org with a path", claims{"urn:altinn:org": "nav/app2018"})
	signed("empty org", claims{"urn:altinn:org": ""})
	signed("several orgs", claims{"urn:altinn:org": []string{"nav", "skd"}})
	signed("scopes in a list", claims{"scope": []string{ownerRead, ownerWrite}})
	invalid("a party number in an unconfigured claim", i.token(ecKid, user.with(claims{partyClaim: nil, "urn:altinn:partyid": e.parties["kari"].number, "urn:altinn:userid": "1001"})))
	invalid("a malformed pid before a user name", i.token(ecKid, user.with(claims{"pid": "1224791830", "urn:altinn:username": e.parties["named"].identity})))
	invalid("party padded", i.token(ecKid, user.with(claims{partyClaim: "0" + e.parties["kari"].numberText()})))
	invalid("party with a fraction", i.token(ecKid, user.with(claims{partyClaim: float64(e.parties["kari"].number) + 0.5})))
	invalid("several parties", i.token(ecKid, user.with(claims{partyClaim: []int64{e.parties["kari"].number, e.parties["ola"].number}})))
	invalid("a user name with a dotted capital I", i.token(ecKid, user.with(claims{partyClaim: nil, "urn:altinn:username": "kar\u0130"})))
	invalid("a truncated identity number", i.token(ecKid, user.with(claims{partyClaim: nil, "pid": "1224791830"})))
	return all
}

func bearer(token string) []string { return []string{"Bearer " + token} }
