package auth

import (
	"strconv"
	"testing"
	"time"
)

// TestTokenCacheIsBounded checks that the cache keeps at most two generations, and a token in use
// until it expires.
func TestTokenCacheIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var cache tokenCache
	cache.put("in use", Caller{Org: "nav"}, now.Add(time.Hour))
	most := 0
	for n := range 20 * maxCachedTokens {
		cache.put(strconv.Itoa(n), Caller{}, now.Add(time.Hour))
		if c, ok := cache.get("in use", now); !ok || c.Org != "nav" {
			t.Fatalf("dropped after %d other tokens", n)
		}
		most = max(most, len(cache.current)+len(cache.previous))
	}
	if most > 2*maxCachedTokens {
		t.Errorf("%d tokens, want at most %d", most, 2*maxCachedTokens)
	}
	if _, ok := cache.get("0", now); ok {
		t.Error("the oldest token is still cached")
	}
	if _, ok := cache.get("in use", now.Add(time.Hour)); ok {
		t.Error("an expired token is still valid")
	}
}
