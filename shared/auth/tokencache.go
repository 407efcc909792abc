package auth

import (
	"sync"
	"time"
)

// maxCachedTokens is how many verified tokens a generation holds. Two generations of tokens of a usual size are a megabyte,
// and of the largest size eight.
const maxCachedTokens = 512

// tokenCache remembers verified tokens until they expire, so that only a token's first sight costs a verification. It
// keeps two generations and drops the elder when the younger is full, so a token in use stays. Only what verified gets
// in: nobody can fill it with made-up ones.
type tokenCache struct {
	mu                sync.Mutex
	current, previous map[string]cachedToken // by the token as sent, compared whole
}

type cachedToken struct {
	caller Caller
	until  time.Time
}

func (s *tokenCache) get(token string, now time.Time) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.current[token]
	if !ok {
		if seen, ok = s.previous[token]; ok {
			s.add(token, seen)
		}
	}
	if !ok || !now.Before(seen.until) {
		return Caller{}, false
	}
	return seen.caller, true
}

func (s *tokenCache) put(token string, c Caller, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(token, cachedToken{c, until})
}

// add puts an entry among the younger. The caller holds s.mu.
func (s *tokenCache) add(token string, seen cachedToken) {
	if len(s.current) >= maxCachedTokens {
		s.previous, s.current = s.current, nil
	}
	if s.current == nil {
		s.current = make(map[string]cachedToken)
	}
	s.current[token] = seen
}
