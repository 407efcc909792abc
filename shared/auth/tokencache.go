package auth

import (
	"sync"
	"time"
)

// maxCachedTokens is the number of tokens in a generation. Two full generations take one megabyte
// with tokens of the usual size, and eight with the largest.
const maxCachedTokens = 512

// tokenCache remembers verified tokens until they expire, so that only the first request with a
// token verifies it. It keeps two generations and drops the previous one when the current one is
// full. A get moves a token to the current generation, so tokens in use stay. The cache contains
// only verified tokens, so no caller can fill it with invented ones.
type tokenCache struct {
	mu                sync.Mutex
	current, previous map[string]cachedToken // by the complete token as sent
}

type cachedToken struct {
	caller  Caller
	expires time.Time
}

// get returns the caller of a cached token. ok is false if the token is not cached or has expired.
func (c *tokenCache) get(token string, now time.Time) (caller Caller, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.current[token]
	if !ok {
		if entry, ok = c.previous[token]; ok {
			c.add(token, entry)
		}
	}
	if !ok || !now.Before(entry.expires) {
		return Caller{}, false
	}
	return entry.caller, true
}

// put caches a verified token until expires.
func (c *tokenCache) put(token string, caller Caller, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(token, cachedToken{caller, expires})
}

// add adds an entry to the current generation. The caller holds c.mu.
func (c *tokenCache) add(token string, entry cachedToken) {
	if len(c.current) >= maxCachedTokens {
		c.previous, c.current = c.current, nil
	}
	if c.current == nil {
		c.current = make(map[string]cachedToken)
	}
	c.current[token] = entry
}
