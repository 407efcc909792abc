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

// Times after which a request reads the key set again. There is no background refresh, because
// Lambda freezes the process between requests.
const (
	// maxAge is the age at which a request reads the set again. A withdrawn key verifies tokens for
	// at most this long.
	maxAge = time.Hour
	// maxStale is the age up to which the last set is used while the issuer is unavailable.
	maxStale = 24 * time.Hour
	// minRefreshInterval is the time between a failed read and the next one, and between reads for
	// unknown key ids.
	minRefreshInterval = time.Minute
	// initialRetryInterval is the time between failed reads while there is no usable set.
	initialRetryInterval = 2 * time.Second
)

const minRSABits = 2048

// errUnknownKey means that the key of a token is not in the issuer's set, which was read recently.
var errUnknownKey = errors.New("the key of the token is not in the key set")

// keySet holds the issuer's keys as of one read. It is immutable except for its cache.
type keySet struct {
	keys     map[string]verificationKey // by kid
	document []byte                     // as read, for comparison with the next one
	readAt   time.Time
	cache    *tokenCache // the tokens that these keys have verified
}

// verificationKey is a public key with the algorithms for which it may be used.
type verificationKey struct {
	public     any // *rsa.PublicKey or *ecdsa.PublicKey
	algorithms []string
}

// keyCache reads the issuer's key set when necessary and keeps the last one.
type keyCache struct {
	source source
	now    func() time.Time

	set atomic.Pointer[keySet] // nil until the first successful read

	reading    sync.Mutex // held during a read; guards the fields below
	failedAt   time.Time  // the end of the last read that failed
	lastErr    error      // the error of the last read, or nil
	unknownAt  time.Time  // the start of the last read for an unknown key id
	unknownErr error      // the result of that read
}

// fresh returns the set, or nil if there is none or it is older than maxAge.
func (k *keyCache) fresh(now time.Time) *keySet {
	if set := k.set.Load(); set != nil && now.Sub(set.readAt) < maxAge {
		return set
	}
	return nil
}

// current returns a usable set. It reads the set again after maxAge. If that fails, it returns
// the last set as long as that is younger than maxStale, else a fault.Unavailable.
func (k *keyCache) current(ctx context.Context) (*keySet, error) {
	now := k.now()
	if set := k.fresh(now); set != nil {
		return set, nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if set := k.fresh(now); set != nil { // another request has just read it
		return set, nil
	}
	set := k.set.Load()
	usable := set != nil && now.Sub(set.readAt) < maxStale
	wait := initialRetryInterval
	if usable {
		wait = minRefreshInterval
	}
	err := k.lastErr
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

// keyFor returns the public key that the token's header names, and the set that contains the key.
// If the set lacks the key id, keyFor reads the set again, because issuers may sign with a new key
// immediately after publishing it. It does so at most once a minute, because any caller can invent
// key ids. It fails if there is no such key or the key is not for the token's algorithm.
func (k *keyCache) keyFor(ctx context.Context, token *jwt.Token) (any, *keySet, error) {
	if _, ok := token.Header["crit"]; ok {
		return nil, nil, errors.New("the token has critical header parameters (crit), none of which are supported")
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

// refreshForUnknownKey returns the latest set after a key id was not found in previous. It reads
// the set at most once per minRefreshInterval. It fails with a fault.Unavailable if the last read
// for an unknown key id failed.
func (k *keyCache) refreshForUnknownKey(ctx context.Context, previous *keySet) (*keySet, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if set := k.set.Load(); set != previous {
		return set, nil
	}
	now := k.now()
	if k.unknownAt.IsZero() || now.Sub(k.unknownAt) >= minRefreshInterval {
		k.unknownAt = now
		_, k.unknownErr = k.read(ctx, now)
	}
	if k.unknownErr != nil { // the token may be valid, but its key is not available
		return nil, unavailable(k.unknownErr)
	}
	return k.set.Load(), nil
}

// read reads the set and stores it. It fails, and keeps the last set, if the source fails or the
// new set has no key that can verify a token. The caller holds k.reading.
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
			k.lastErr = nil
			k.set.Store(next)
			return next, nil
		}
	}
	// If ctx has ended, the request or the initialisation ran out of time; that is not a failure of
	// the issuer.
	if ctx.Err() == nil {
		// Use the end of the read, not its start: a hanging issuer takes longer than the retry
		// interval, and the next request would wait for it again.
		k.failedAt, k.lastErr = k.now(), err
	}
	return nil, err
}

// parseKeys returns the keys of a JSON Web Key Set that can verify a token. It ignores other keys,
// such as keys of unknown types or for encryption (RFC 7517, section 5). It never follows the URL
// of a key (x5u). It fails if no key can verify a token.
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
		_, duplicate := keys[jwk.KID]
		if jwk.KID != "" && !duplicate && forSignatures && len(key.algorithms) > 0 {
			keys[jwk.KID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no key in it can verify a token")
	}
	return keys, nil
}

// algorithmsFor returns the algorithms for which a key may be used: none if it is weak or of an
// unknown type.
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
		"The access token cannot be verified at the moment. Retry in a few seconds.").WithCause(cause)
}
