package auth

import (
	"strconv"
	"testing"
	"time"
)

// However many tokens verify, two generations of them are kept, and the one in use is among them until it expires.
func TestSeenTokensAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var seen tokenCache
	seen.put("in use", Caller{Org: "nav"}, now.Add(time.Hour))
	most := 0
	for n := range 20 * maxCachedTokens {
		seen.put(strconv.Itoa(n), Caller{}, now.Add(time.Hour))
		if c, ok := seen.get("in use", now); !ok || c.Org != "nav" {
			t.Fatalf("forgotten after %d others", n)
		}
		most = max(most, len(seen.current)+len(seen.previous))
	}
	if most > 2*maxCachedTokens {
		t.Errorf("%d tokens were kept, want %d at most", most, 2*maxCachedTokens)
	}
	if _, ok := seen.get("0", now); ok {
		t.Error("the first of many is still there")
	}
	if _, ok := seen.get("in use", now.Add(time.Hour)); ok {
		t.Error("a token outlives its expiry")
	}
}
