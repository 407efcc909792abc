package partytest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/party"
)

// Register is a party register.
type Register interface {
	Find(ctx context.Context, identity party.Identity) (instanceOwnerID string, found bool, err error)
	FindOrAssign(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error)
	Exists(ctx context.Context, instanceOwnerID string) (bool, error)
}

var numberForm = regexp.MustCompile(`^[1-9][0-9]{4,14}$`)

// Conformance checks the contract of a register. Each call of open must return an empty register.
func Conformance(t *testing.T, open func(t *testing.T) Register) {
	for name, check := range map[string]func(*testing.T, Register){
		"an empty register has no party":            unknownAtFirst,
		"an identity keeps its number":              keepsItsNumber,
		"kinds differ":                              kindsDiffer,
		"a user name keeps its number in capitals":  caseDoesNotCount,
		"concurrent calls for one identity":         sameConcurrently,
		"concurrent calls for different identities": differentConcurrently,
		"a malformed identity has no number":        malformed,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

// ssn returns the n-th invented identity number.
func ssn(n int) party.Identity {
	return party.Identity{Kind: party.SSN, Value: fmt.Sprintf("122479%05d", n)}
}

func assign(t *testing.T, r Register, identity party.Identity) string {
	t.Helper()
	number, err := r.FindOrAssign(t.Context(), identity)
	if err != nil {
		t.Fatal(err)
	}
	if !numberForm.MatchString(number) {
		t.Fatalf("FindOrAssign = %q, want a number of five digits or more", number)
	}
	return number
}

func wantFound(t *testing.T, r Register, identity party.Identity, want string) {
	t.Helper()
	got, found, err := r.Find(t.Context(), identity)
	if err != nil || found != (want != "") || got != want {
		t.Errorf("Find = %q, %v, %v; want %q", got, found, err, want)
	}
}

func wantExists(t *testing.T, r Register, number string, want bool) {
	t.Helper()
	if got, err := r.Exists(t.Context(), number); got != want || err != nil {
		t.Errorf("Exists(%.30q) = %v, %v; want %v", number, got, err, want)
	}
}

func unknownAtFirst(t *testing.T, r Register) {
	wantFound(t, r, ssn(1), "")
	wantExists(t, r, "50001", false)
	if first := assign(t, r, ssn(1)); first != "50001" {
		t.Errorf("the first number is %s, want 50001", first)
	}
}

func keepsItsNumber(t *testing.T, r Register) {
	number := assign(t, r, ssn(1))
	other := assign(t, r, ssn(2))
	if other == number {
		t.Fatalf("two identities got the number %s", number)
	}
	for range 2 {
		if again := assign(t, r, ssn(1)); again != number {
			t.Errorf("assigned again: %s, want %s", again, number)
		}
	}
	wantFound(t, r, ssn(1), number)
	wantFound(t, r, ssn(2), other)
	wantFound(t, r, ssn(3), "")
	wantExists(t, r, number, true)
	wantExists(t, r, other, true)
}

func kindsDiffer(t *testing.T, r Register) {
	digits := "123456789"
	organisation := assign(t, r, party.Identity{Kind: party.OrganizationNumber, Value: digits})
	user := assign(t, r, party.Identity{Kind: party.UserName, Value: digits})
	if organisation == user {
		t.Errorf("an organisation and a user with the same value both got %s", user)
	}
}

func caseDoesNotCount(t *testing.T, r Register) {
	small, capitals := party.Identity{Kind: party.UserName, Value: "ola.åsen"}, party.Identity{Kind: party.UserName, Value: "Ola.Åsen"}
	number := assign(t, r, capitals)
	if other := assign(t, r, small); other != number {
		t.Errorf("a user name got %s, and %s in capitals", other, number)
	}
	wantFound(t, r, small, number)
	wantFound(t, r, capitals, number)
}

func sameConcurrently(t *testing.T, r Register) {
	numbers := assignConcurrently(t, r, func(int) party.Identity { return ssn(1) })
	if len(numbers) != 1 {
		t.Errorf("one identity got the numbers %v", numbers)
	}
	for number := range numbers {
		wantFound(t, r, ssn(1), number)
		wantExists(t, r, number, true)
		if next := assign(t, r, ssn(2)); next == number {
			t.Errorf("the next identity got %s as well", next)
		}
	}
}

func differentConcurrently(t *testing.T, r Register) {
	numbers := assignConcurrently(t, r, ssn)
	if len(numbers) != concurrency {
		t.Errorf("%d identities got %d numbers", concurrency, len(numbers))
	}
	for number, n := range numbers {
		wantFound(t, r, ssn(n), number)
		wantExists(t, r, number, true)
	}
}

const concurrency = 32

// assignConcurrently assigns numbers to 32 identities concurrently. It returns each number with the
// index of an identity that received it.
func assignConcurrently(t *testing.T, r Register, identity func(n int) party.Identity) map[string]int {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		numbers = make(map[string]int)
	)
	for n := range concurrency {
		wg.Go(func() {
			number, err := r.FindOrAssign(t.Context(), identity(n))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			numbers[number] = n
		})
	}
	wg.Wait()
	return numbers
}

func malformed(t *testing.T, r Register) {
	assign(t, r, ssn(1))
	for _, identity := range []party.Identity{{}, {Kind: party.SSN}, {Kind: party.SSN, Value: "1"}, {Kind: "pid", Value: "12247900001"}} {
		wantFound(t, r, identity, "")
		if number, err := r.FindOrAssign(t.Context(), identity); err == nil {
			t.Errorf("a malformed identity got the number %s", number)
		}
	}
	for _, number := range []string{"", "0", "050001", "50001 ", "50001.0", "5e4", "COUNTER", strings.Repeat("9", 3000)} {
		wantExists(t, r, number, false)
	}
}
