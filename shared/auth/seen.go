package auth

import (
	"sync"
	"time"
)

// maxSeen is how many verified tokens a generation holds. Two generations of tokens of a usual size are a megabyte,
// and of the largest size eight.
const maxSeen = 512

// seenTokens remembers verified tokens until they expire, so that only a token's first sight costs a verification. It
// keeps two generations and drops the elder when the younger is full, so a token in use stays. Only what verified gets
// in: nobody can fill it with made-up ones.
type seenTokens struct {
	mu             sync.Mutex
	younger, elder map[string]seenToken // by the token as sent, compared whole
}

type seenToken struct {
	caller Caller
	until  time.Time
}

func (s *seenTokens) get(token string, now time.Time) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.younger[token]
	if !ok {
		if seen, ok = s.elder[token]; ok {
			s.add(token, seen)
		}
	}
	if !ok || !now.Before(seen.until) {
		return Caller{}, false
	}
	return seen.caller, true
}

func (s *seenTokens) put(token string, c Caller, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(token, seenToken{c, until})
}

// add puts an entry among the younger. The caller holds s.mu.
func (s *seenTokens) add(token string, seen seenToken) {
	if len(s.younger) >= maxSeen {
		s.elder, s.younger = s.younger, nil
	}
	if s.younger == nil {
		s.younger = make(map[string]seenToken)
	}
	s.younger[token] = seen
}
