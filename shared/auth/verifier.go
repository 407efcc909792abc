package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/logging"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxToken = 8 << 10          // bytes; a longer token is rejected without parsing it
	leeway   = 10 * time.Second // the accepted difference between the issuer's clock and ours
)

// methods are the accepted signature algorithms, all of them asymmetric. "none" is not accepted.
// Nor are HMACs, because an attacker could use a public key as the HMAC secret.
var methods = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}

// Config defines which tokens a Verifier accepts.
type Config struct {
	Issuer      string // the exact iss claim
	Audience    string // must be in the aud claim; must not be "" without AnyAudience
	AnyAudience bool   // an empty Audience accepts the tokens for every service of the issuer
	KeySet      string // the issuer's JSON Web Key Set (RFC 7517): an https or http URL, or the path of a file

	// PartyClaim is the claim whose value is an instanceOwnerId of this system's register, or "" if
	// the issuer has no such claim. It counts only in tokens without an official identity.
	PartyClaim string

	// Roots returns the root certificates to trust when KeySet is an https URL. If Roots or its
	// result is nil, the verifier trusts the system's. The verifier calls Roots before the first
	// fetch.
	Roots func() *x509.CertPool

	// For tests: Read replaces KeySet, and Now replaces time.Now.
	Read func(ctx context.Context) ([]byte, error)
	Now  func() time.Time
}

// Verifier verifies the tokens of requests. It is safe for concurrent use. Use one per process,
// because it caches the issuer's keys and the verified tokens.
type Verifier struct {
	parser     *jwt.Parser
	keys       *keyCache
	partyClaim string
	now        func() time.Time
}

// New returns a verifier. Warm reads the keys, otherwise the first token causes the read. New fails
// if Issuer is empty, Audience is empty without AnyAudience, or KeySet is neither a URL nor a path.
func New(config Config) (*Verifier, error) {
	if config.Issuer == "" {
		return nil, errors.New("a verifier needs an issuer")
	}
	if config.Audience == "" && !config.AnyAudience {
		return nil, errors.New("a verifier needs an audience")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Read == nil {
		var err error
		if config.Read, err = openSource(config.KeySet, config.Roots); err != nil {
			return nil, err
		}
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(methods),
		jwt.WithIssuer(config.Issuer),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), // not in the future
		jwt.WithLeeway(leeway),
		jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(), // a float64 cannot hold every party id
		jwt.WithTimeFunc(config.Now),
	}
	if config.Audience != "" {
		options = append(options, jwt.WithAudience(config.Audience))
	}
	return &Verifier{
		parser:     jwt.NewParser(options...),
		keys:       &keyCache{source: config.Read, now: config.Now},
		partyClaim: config.PartyClaim,
		now:        config.Now,
	}, nil
}

// Open returns the verifier of the process, from TOKEN_ISSUER, TOKEN_AUDIENCE, TOKEN_JWKS and
// TOKEN_PARTY_CLAIM (empty: none). TOKEN_AUDIENCE may be empty only if TOKEN_ANY_AUDIENCE is
// "true": tokens for every other service of the issuer are then accepted. It registers a warm-up
// call that fetches the keys. The function starts even if that call fails.
func Open(env *coldstart.Env) *Verifier {
	return env.Shared("auth", func() any {
		config := Config{
			Issuer:      env.String("TOKEN_ISSUER"),
			Audience:    env.Optional("TOKEN_AUDIENCE", ""),
			AnyAudience: env.Optional("TOKEN_ANY_AUDIENCE", "false") == "true",
			KeySet:      env.String("TOKEN_JWKS"),
			PartyClaim:  env.Optional("TOKEN_PARTY_CLAIM", ""),
			Roots:       env.SystemRoots,
		}
		if config.Audience == "" && !config.AnyAudience {
			env.Invalid("TOKEN_AUDIENCE", "must be set, unless TOKEN_ANY_AUDIENCE is true")
			return &Verifier{} // never used: Ready ends the process
		}
		if config.Issuer == "" || config.KeySet == "" {
			return &Verifier{} // never used: Ready ends the process
		}
		v, err := New(config)
		if err != nil || (insecure(config.KeySet) && !env.UsesEmulator()) {
			env.Invalid("TOKEN_JWKS", "must be an https URL or the path of a file")
			return &Verifier{}
		}
		env.OnInit("token keys", v.Warm)
		return v
	}).(*Verifier)
}

// insecure reports whether keySet is an http URL of another machine. An attacker in the network
// could then replace the keys.
func insecure(keySet string) bool {
	u, err := url.Parse(keySet)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && !(ip != nil && ip.IsLoopback())
}

// Warm fetches the keys unless the verifier has them. If the keys are not available, it returns a
// fault.Unavailable.
func (v *Verifier) Warm(ctx context.Context) error {
	_, err := v.keys.current(ctx)
	return err
}

// Authenticate verifies the bearer token of the request, returns the caller that the token names,
// and adds the caller to the request's log line. It fails with a fault.Unauthenticated, code
// "token-missing", "token-expired" or "token-invalid", or with a fault.Unavailable, code
// "keys-unavailable", if it has no keys to verify the token.
func (v *Verifier) Authenticate(r *http.Request) (Caller, error) {
	token, err := bearer(r.Header)
	if err != nil {
		return Caller{}, err
	}
	c, err := v.verify(r.Context(), token)
	if err != nil {
		return Caller{}, err
	}
	logging.Add(r.Context(), slog.Any("caller", c))
	return c, nil
}

// bearer returns the token of the Authorization header (RFC 6750, section 2.1). It fails if there
// is no token or more than one header. API Gateway joins repeated headers with a comma, which no
// token contains.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) > 1 || (len(values) == 1 && strings.Contains(values[0], ",")) {
		return "", fault.New(fault.Unauthenticated, "token-invalid", "The request has several Authorization headers. Send exactly one.")
	}
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		token = strings.Trim(token, " ")
		if strings.EqualFold(scheme, "Bearer") && token != "" {
			return token, nil
		}
	}
	return "", fault.New(fault.Unauthenticated, "token-missing",
		"Send an access token in the header: Authorization: Bearer <token>.")
}

// verify returns the caller that a token names, from the cache if possible. It fails with the
// faults of Authenticate.
func (v *Verifier) verify(ctx context.Context, token string) (Caller, error) {
	if len(token) > maxToken {
		return Caller{}, fault.New(fault.Unauthenticated, "token-invalid",
			"The access token is longer than %d bytes. Request a token with fewer scopes and claims.", maxToken)
	}
	now := v.now()
	if keys := v.keys.fresh(now); keys != nil {
		if c, ok := keys.cache.get(token, now); ok {
			return c, nil
		}
	}
	var usedKeys *keySet
	claims := jwt.MapClaims{}
	parsed, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (key any, err error) {
		key, usedKeys, err = v.keys.keyFor(ctx, t)
		return key, err
	})
	if err != nil {
		return Caller{}, tokenError(err)
	}
	if !isAccessToken(parsed.Header["typ"]) || !isAccessToken(claims["typ"]) {
		return Caller{}, tokenError(errNotAccessToken)
	}
	c, err := callerOf(claims, v.partyClaim)
	if err != nil {
		return Caller{}, tokenError(err)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil {
		return Caller{}, tokenError(err)
	}
	usedKeys.cache.put(token, c, expires.Add(leeway))
	return c, nil
}

// tokenError returns the fault for an invalid token, whose detail states what the sender must do.
// The log gets the cause, except for a malformed token, because that cause can quote from the
// token.
func tokenError(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	code, detail := "token-invalid", "The access token is invalid. Request a new one from the issuer."
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		detail = "The access token is not a signed JSON Web Token. Send it whole and unchanged."
		err = jwt.ErrTokenMalformed
	case errors.Is(err, errUnknownKey):
		detail = "The access token is not signed with a key of the accepted issuer. Request a token from that issuer."
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		detail = "The signature of the access token is invalid. Send the token unchanged, as the accepted issuer signed it."
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		detail = "The issuer of the access token is not accepted (claim iss). Exchange the token for one from the accepted issuer."
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		detail = "The access token is for another service (claim aud). Request a token for this service."
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		detail = "The access token is not valid yet (claim nbf). Retry later, or correct the clock of the issuer."
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		detail = "The access token is issued in the future (claim iat). Correct the clock of the issuer."
	case errors.Is(err, errNotAccessToken):
		detail = "The token is not an access token (typ). Send the access token, not the ID token or another token."
	case errors.Is(err, jwt.ErrTokenExpired):
		code, detail = "token-expired", "The access token has expired. Request a new one from the issuer."
	case errors.Is(err, errNoIdentity):
		detail = fmt.Sprintf("The access token does not identify the caller. It must have the claim %s, or one of %s, %s and %s.",
			orgClaim, ssnClaim, orgNumberClaim, userNameClaim)
	}
	return fault.New(fault.Unauthenticated, code, "%s", detail).WithCause(err)
}
