// Package partytest provides a party register in memory, for tests of code that uses a register. It
// also provides the conformance suite for this register and the one in DynamoDB.
package partytest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"altinn.no/instanceapi/shared/party"
)

// Memory is a register in memory. The zero Memory is empty and ready for use.
type Memory struct {
	mu       sync.Mutex
	numbers  map[party.Identity]string
	assigned map[string]bool
	lookups  []party.Identity
}

// Find returns the number of the first identity that has one, and links the others to it. found is
// false if none has a number. It fails for a malformed identity.
func (m *Memory) Find(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, found bool, err error) {
	m.record(identities)
	instanceOwnerID, err = m.resolve(ctx, identities, "")
	return instanceOwnerID, instanceOwnerID != "", err
}

// FindOrAssign is like Find, but assigns a random number if no identity has one. It also fails
// without any identity.
func (m *Memory) FindOrAssign(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, err error) {
	if len(identities) == 0 {
		return "", errors.New("party register: no identity to assign a number to")
	}
	m.record(identities)
	return m.resolve(ctx, identities, party.NewNumber())
}

// Lookup returns the number of an identity, or "" if it has none. It fails for a malformed
// identity.
func (m *Memory) Lookup(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error) {
	m.record([]party.Identity{identity})
	return m.resolve(ctx, []party.Identity{identity}, "")
}

// Assign assigns this number to new identities, for tests with fixed numbers.
func (m *Memory) Assign(number string, identities ...party.Identity) error {
	if got, err := m.resolve(context.Background(), identities, number); got != number {
		return errors.Join(err, errors.New("party register: an identity has another number"))
	}
	return nil
}

// Exists reports whether the number is assigned to a party.
func (m *Memory) Exists(ctx context.Context, instanceOwnerID string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned[instanceOwnerID], ctx.Err()
}

// Lookups returns the identities of all calls of Find, FindOrAssign and Lookup so far, in order.
func (m *Memory) Lookups() []party.Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lookups)
}

func (m *Memory) record(identities []party.Identity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups = append(m.lookups, identities...)
}

// resolve returns the number of the first known identity, or else the number next, and gives it to
// the others. It changes nothing if the number is "".
func (m *Memory) resolve(ctx context.Context, identities []party.Identity, next string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var number string
	for _, identity := range identities {
		if !identity.WellFormed() {
			return "", errors.New("party register: an identity is not well-formed")
		}
		if number == "" {
			number = m.numbers[identity.Canonical()]
		}
	}
	if number == "" {
		number = next
	}
	if err := ctx.Err(); number == "" || err != nil {
		return "", err
	}
	if m.numbers == nil {
		m.numbers, m.assigned = make(map[party.Identity]string), make(map[string]bool)
	}
	m.assigned[number] = true
	for _, identity := range identities {
		if m.numbers[identity.Canonical()] == "" {
			m.numbers[identity.Canonical()] = number
		}
	}
	return number, nil
}
