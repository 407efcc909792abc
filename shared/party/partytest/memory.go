// Package partytest provides a party register in memory, for tests of code that uses a register. It
// also provides the conformance suite for this register and the one in DynamoDB.
package partytest

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"altinn.no/instanceapi/shared/party"
)

// Memory is a register in memory. The zero Memory is empty and ready for use.
type Memory struct {
	mu      sync.Mutex
	numbers map[party.Identity]string
}

// seed is the first number minus one.
const seed = 50000

// Find returns the number of the identity, and whether it has one.
func (m *Memory) Find(ctx context.Context, identity party.Identity) (instanceOwnerID string, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	instanceOwnerID, found = m.numbers[identity.Canonical()]
	return instanceOwnerID, found, ctx.Err()
}

// FindOrAssign returns the number of the identity, and assigns the next number if the identity has
// none. It fails for a malformed identity.
func (m *Memory) FindOrAssign(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error) {
	if !identity.WellFormed() {
		return "", errors.New("party register: the identity is not well-formed")
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	identity = identity.Canonical()
	number, found := m.numbers[identity]
	if !found {
		if m.numbers == nil {
			m.numbers = make(map[party.Identity]string)
		}
		number = strconv.Itoa(seed + len(m.numbers) + 1)
		m.numbers[identity] = number
	}
	return number, nil
}

// Exists reports whether the number is assigned to a party.
func (m *Memory) Exists(ctx context.Context, instanceOwnerID string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, number := range m.numbers {
		if number == instanceOwnerID {
			return true, ctx.Err()
		}
	}
	return false, ctx.Err()
}
