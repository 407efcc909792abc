package auth

import (
	"strconv"
	"testing"
	"time"
)

// The cache keeps at most two generations. A token in use stays in it until it expires.
func TestTokenCacheIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var cache tokenCache
	cache.put("in use", Caller{Org: "nav"}, now.Add(time.Hour))
	most := 0
	for n := range 20 * maxCachedTokens {
		cache.put(strconv.Itoa(n), Caller{}, now.Add(time.Hour))
		if c, ok := cache.get("in use", now); !ok || c.Org != "nav" {
			t.Fatalf("dropped after %d others", n)
		}
		most = max(most, len(cache.current)+len(cache.previous))
	}
	if most > 2*maxCachedTokens {
		t.Errorf("%d tokens, want at most %d", most, 2*maxCachedTokens)
	}
	if _, ok := cache.get("0", now); ok {
		t.Error("the oldest token is still there")
	}
	if _, ok := cache.get("in use", now.Add(time.Hour)); ok {
		t.Error("an expired token is still valid")
	}
}
