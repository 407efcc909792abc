package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// When the key set is read again. There is no background refresh: a Lambda stands still between requests.
const (
	maxAge               = time.Hour       // then the next request reads it again: a key taken away is trusted no longer than this
	maxStale             = 24 * time.Hour  // how long the last set serves while the issuer cannot be reached
	minRefreshInterval   = time.Minute     // after a failed read, and between reads for key ids that are not in the set
	initialRetryInterval = 2 * time.Second // between failed reads while there is no set at all
	minRSABits           = 2048
)

// errUnknownKey says that a token's key is not in the issuer's set, as read a moment ago.
var errUnknownKey = errors.New("the key of the token is not in the key set")

// keySet is one reading of the issuer's keys. It does not change, apart from what has been seen.
type keySet struct {
	keys     map[string]verificationKey // by kid
	document []byte                     // as read, to tell whether anything has changed
	readAt   time.Time
	cache    *tokenCache // verified with these keys; goes when they go
}

// verificationKey is one key and the only algorithms it verifies.
type verificationKey struct {
	public     any // *rsa.PublicKey or *ecdsa.PublicKey
	algorithms []string
}

// keyCache keeps the issuer's keys as they are read over time.
type keyCache struct {
	source source
	now    func() time.Time

	set atomic.Pointer[keySet] // nil until the first successful read

	reading    sync.Mutex // held while reading; guards the following
	failedAt   time.Time  // the end of the last read, if it failed
	failure    error
	unknownAt  time.Time // the last read for the sake of an unknown key id
	unknownErr error     // and how it ended
}

// fresh returns the set if it needs no reading again.
func (k *keyCache) fresh(now time.Time) *keySet {
	if set := k.set.Load(); set != nil && now.Sub(set.readAt) < maxAge {
		return set
	}
	return nil
}

// current returns a set that may be used now, read again if it is time for that. An issuer that is down is no
// trouble as long as the last set is usable.
func (k *keyCache) current(ctx context.Context) (*keySet, error) {
	now := k.now()
	if set := k.fresh(now); set != nil {
		return set, nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if set := k.fresh(now); set != nil { // somebody else read it meanwhile
		return set, nil
	}
	set := k.set.Load()
	usable := set != nil && now.Sub(set.readAt) < maxStale
	wait := initialRetryInterval
	if usable {
		wait = minRefreshInterval
	}
	err := k.failure
	if err == nil || now.Sub(k.failedAt) >= wait {
		var read *keySet
		if read, err = k.read(ctx, now); err == nil {
			return read, nil
		}
	}
	if usable {
		return set, nil
	}
	return nil, unavailable(err)
}

// keyFor returns the public key that the token's header names, and the set it is in. A key id that is not in the set
// has it read again, since issuers sign with new keys as soon as they have published them, but at most once a minute:
// anybody can make up key ids.
func (k *keyCache) keyFor(ctx context.Context, token *jwt.Token) (any, *keySet, error) {
	if _, there := token.Header["crit"]; there {
		return nil, nil, errors.New("the token has header parameters that must be understood, and are not")
	}
	kid, _ := token.Header["kid"].(string)
	if kid == "" {
		return nil, nil, errors.New("the token names no key")
	}
	set, err := k.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	key, found := set.keys[kid]
	if !found {
		if set, err = k.refreshForUnknownKey(ctx, set); err != nil {
			return nil, nil, err
		}
		if key, found = set.keys[kid]; !found {
			return nil, nil, errUnknownKey
		}
	}
	if !slices.Contains(key.algorithms, token.Method.Alg()) {
		return nil, nil, errors.New("the key of the token is not for its algorithm")
	}
	return key.public, set, nil
}

// refreshForUnknownKey returns a set in place of one that lacked a key id.
func (k *keyCache) refreshForUnknownKey(ctx context.Context, lacking *keySet) (*keySet, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if set := k.set.Load(); set != lacking {
		return set, nil
	}
	now := k.now()
	if k.unknownAt.IsZero() || now.Sub(k.unknownAt) >= minRefreshInterval {
		k.unknownAt = now
		_, k.unknownErr = k.read(ctx, now)
	}
	if k.unknownErr != nil { // it may well be a good token, whose key cannot be had
		return nil, unavailable(k.unknownErr)
	}
	return k.set.Load(), nil
}

// read reads the set and keeps it. A reading that fails, or has no key that could verify anything, leaves the last
// one in place. The caller holds k.reading.
func (k *keyCache) read(ctx context.Context, now time.Time) (*keySet, error) {
	document, err := k.source(ctx)
	if err == nil {
		last := k.set.Load()
		next := &keySet{document: document, readAt: now}
		if last != nil && bytes.Equal(last.document, document) {
			next.keys, next.cache = last.keys, last.cache
		} else {
			next.cache = &tokenCache{}
			next.keys, err = parseKeys(document)
		}
		if err == nil {
			k.failure = nil
			k.set.Store(next)
			return next, nil
		}
	}
	if ctx.Err() == nil { // otherwise it was the request, or the initialisation, that had no time left
		k.failedAt, k.failure = k.now(), err // not when it began: one that hangs has taken longer than it is spared for
	}
	return nil, err
}

// parseKeys returns the keys of a JSON Web Key Set that can verify a token. Others in the set, of kinds to come or
// for encryption, are nobody's fault and are left out (RFC 7517, section 5). What a key says of where to get it
// elsewhere (x5u) is never followed.
func parseKeys(document []byte) (map[string]verificationKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := make(map[string]verificationKey, len(set.Keys))
	for _, raw := range set.Keys {
		published, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		jwk := published.Marshal()
		key := verificationKey{published.Key(), algorithmsFor(published.Key())}
		if jwk.ALG != "" {
			key.algorithms = slices.DeleteFunc(key.algorithms, func(a string) bool { return a != string(jwk.ALG) })
		}
		forSignatures := (jwk.USE == "" || jwk.USE == jwkset.UseSig) &&
			(len(jwk.KEYOPS) == 0 || slices.Contains(jwk.KEYOPS, jwkset.KeyOpsVerify))
		_, twice := keys[jwk.KID]
		if jwk.KID != "" && !twice && forSignatures && len(key.algorithms) > 0 {
			keys[jwk.KID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no key in it can verify a token")
	}
	return keys, nil
}

// algorithmsFor returns the algorithms that a key can verify, none for a key that is too weak or of another kind.
func algorithmsFor(key any) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	}
	return nil
}

func unavailable(cause error) error {
	return fault.New(fault.Unavailable, "keys-unavailable",
		"The access token cannot be verified at the moment. Repeat the request in a few seconds.").WithCause(cause)
}
