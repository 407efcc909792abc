package partytest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/party"
)

// Register is a party register.
type Register interface {
	Find(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, found bool, err error)
	FindOrAssign(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, err error)
	Lookup(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error)
	Exists(ctx context.Context, instanceOwnerID string) (bool, error)
}

var numberForm = regexp.MustCompile(`^[1-9][0-9]{9}$`)

// Conformance checks the contract of a register. Each call of open must return an empty register.
func Conformance(t *testing.T, open func(t *testing.T) Register) {
	for name, check := range map[string]func(*testing.T, Register){
		"an empty register has no party":            unknownAtFirst,
		"an identity keeps its number":              keepsItsNumber,
		"kinds differ":                              kindsDiffer,
		"a user name keeps its number in capitals":  caseDoesNotCount,
		"concurrent calls for one identity":         sameConcurrently,
		"concurrent calls for different identities": differentConcurrently,
		"identities of one token are linked":        linked,
		"a lookup links nothing":                    lookupLinksNothing,
		"a known identity is never linked again":    neverRelinked,
		"no identity":                               noIdentity,
		"concurrent links of one token":             linkedConcurrently,
		"concurrent links to two parties":           oneLinkWins,
		"a malformed identity has no number":        malformed,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

// ssn returns the n-th invented identity number.
func ssn(n int) party.Identity {
	return party.Identity{Kind: party.SSN, Value: fmt.Sprintf("122479%05d", n)}
}

// user returns the n-th invented user name.
func user(n int) party.Identity {
	return party.Identity{Kind: party.UserName, Value: fmt.Sprintf("user-%d", n)}
}

// org returns the n-th invented organisation number.
func org(n int) party.Identity {
	return party.Identity{Kind: party.OrganizationNumber, Value: fmt.Sprintf("9100%05d", n)}
}

func assign(t *testing.T, r Register, identities ...party.Identity) string {
	t.Helper()
	number, err := r.FindOrAssign(t.Context(), identities...)
	if err != nil {
		t.Fatal(err)
	}
	if !numberForm.MatchString(number) {
		t.Fatalf("FindOrAssign = %q, want a number of ten digits", number)
	}
	return number
}

// wantFound checks what Find returns for identities, which also links them: "" means no number.
func wantFound(t *testing.T, r Register, want string, identities ...party.Identity) {
	t.Helper()
	got, found, err := r.Find(t.Context(), identities...)
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
	wantFound(t, r, "", ssn(1))
	wantExists(t, r, "1000000000", false)
	number := assign(t, r, ssn(1))
	wantExists(t, r, number, true)
	for _, change := range []int{1, -1} {
		n, _ := strconv.Atoi(number)
		wantExists(t, r, strconv.Itoa(n+change), false)
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
	wantFound(t, r, number, ssn(1))
	wantFound(t, r, other, ssn(2))
	wantFound(t, r, "", ssn(3))
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
	wantFound(t, r, number, small)
	wantFound(t, r, number, capitals)
}

func sameConcurrently(t *testing.T, r Register) {
	numbers := assignConcurrently(t, r, func(int) []party.Identity { return []party.Identity{ssn(1)} })
	if len(numbers) != 1 {
		t.Errorf("one identity got the numbers %v", numbers)
	}
	for number := range numbers {
		wantFound(t, r, number, ssn(1))
		wantExists(t, r, number, true)
		if next := assign(t, r, ssn(2)); next == number {
			t.Errorf("the next identity got %s as well", next)
		}
	}
}

func differentConcurrently(t *testing.T, r Register) {
	numbers := assignConcurrently(t, r, func(n int) []party.Identity { return []party.Identity{ssn(n), user(n)} })
	if len(numbers) != concurrency {
		t.Errorf("%d parties got %d numbers", concurrency, len(numbers))
	}
	for number, n := range numbers {
		wantFound(t, r, number, ssn(n))
		wantFound(t, r, number, user(n))
		wantExists(t, r, number, true)
	}
}

// linked resolves identities as the tokens of one person would: first a user name alone, later with
// an identity number.
func linked(t *testing.T, r Register) {
	number := assign(t, r, user(1))
	wantFound(t, r, "", ssn(1))
	wantFound(t, r, number, ssn(1), org(1), user(1))
	for _, each := range []party.Identity{ssn(1), org(1), user(1)} {
		wantFound(t, r, number, each)
	}
	if again := assign(t, r, user(2), user(1)); again != number {
		t.Errorf("a new name with a known one got %s, want %s", again, number)
	}
	wantFound(t, r, number, user(2))

	wantFound(t, r, "", ssn(3), user(3))
	other := assign(t, r, ssn(3), user(3))
	if other == number {
		t.Errorf("two parties have the number %s", number)
	}
	wantFound(t, r, other, ssn(3))
	wantFound(t, r, other, user(3))
	if same := assign(t, r, ssn(4), ssn(4)); same == other {
		t.Errorf("a repeated identity got the number %s of another party", same)
	}
}

// lookupLinksNothing looks identities up before and after they have a number.
func lookupLinksNothing(t *testing.T, r Register) {
	wantLookup := func(want string, identity party.Identity) {
		t.Helper()
		if got, err := r.Lookup(t.Context(), identity); err != nil || got != want {
			t.Errorf("Lookup = %q, %v; want %q", got, err, want)
		}
	}
	for range 2 {
		wantLookup("", ssn(1))
	}
	number := assign(t, r, ssn(1), user(1))
	wantLookup(number, ssn(1))
	wantLookup(number, party.Identity{Kind: party.UserName, Value: "USER-1"})
	wantLookup("", org(1))
	wantFound(t, r, "", org(1))
	if other := assign(t, r, org(1)); other == number {
		t.Errorf("an identity that was looked up got the number %s of another party", other)
	}
}

func neverRelinked(t *testing.T, r Register) {
	first, second := assign(t, r, ssn(1)), assign(t, r, user(1))
	for range 2 {
		wantFound(t, r, first, ssn(1), org(1), user(1))
		if got := assign(t, r, ssn(1), user(1)); got != first {
			t.Errorf("the identity number with another party's name got %s, want %s", got, first)
		}
		if got := assign(t, r, user(1), ssn(1)); got != second {
			t.Errorf("the name with another party's identity number got %s, want %s", got, second)
		}
	}
	wantFound(t, r, first, ssn(1))
	wantFound(t, r, second, user(1))
	wantFound(t, r, first, org(1))
}

func noIdentity(t *testing.T, r Register) {
	wantFound(t, r, "")
	if number, err := r.FindOrAssign(t.Context()); err == nil {
		t.Errorf("no identity got the number %s", number)
	}
}

// linkedConcurrently resolves the same three identities in several ways at the same time.
func linkedConcurrently(t *testing.T, r Register) {
	numbers := assignConcurrently(t, r, func(n int) []party.Identity {
		return [][]party.Identity{{ssn(1), org(1), user(1)}, {ssn(1), user(1)}, {ssn(1), org(1)}, {ssn(1)}}[n%4]
	})
	if len(numbers) != 1 {
		t.Errorf("one identity number got the numbers %v", numbers)
	}
	for number := range numbers {
		wantFound(t, r, number, ssn(1), org(1), user(1))
		wantFound(t, r, number, user(1))
		wantFound(t, r, number, org(1))
	}
}

// oneLinkWins links one name to two parties at the same time. The calls for each party must return
// its own number, and the name must get one of the two.
func oneLinkWins(t *testing.T, r Register) {
	parties := []party.Identity{ssn(1), ssn(2)}
	want := []string{assign(t, r, parties[0]), assign(t, r, parties[1])}
	var wg sync.WaitGroup
	for n := range concurrency {
		wg.Go(func() { wantFound(t, r, want[n%2], parties[n%2], user(1)) })
	}
	wg.Wait()
	number, found, err := r.Find(t.Context(), user(1))
	if !found || err != nil || !slices.Contains(want, number) {
		t.Errorf("the name has the number %q, %v, %v; want one of %v", number, found, err, want)
	}
	for n := range parties {
		wantFound(t, r, want[n], parties[n])
	}
}

const concurrency = 32

// assignConcurrently calls FindOrAssign 32 times concurrently, for the identities of the n-th
// token. It returns each number with the index of a token that received it.
func assignConcurrently(t *testing.T, r Register, token func(n int) []party.Identity) map[string]int {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		numbers = make(map[string]int)
	)
	for n := range concurrency {
		wg.Go(func() {
			number, err := r.FindOrAssign(t.Context(), token(n)...)
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
		if number, found, err := r.Find(t.Context(), ssn(1), identity); found || err == nil {
			t.Errorf("found %s with a malformed identity", number)
		}
		if number, err := r.FindOrAssign(t.Context(), identity); err == nil {
			t.Errorf("a malformed identity got the number %s", number)
		}
		if number, err := r.Lookup(t.Context(), identity); err == nil {
			t.Errorf("a lookup of a malformed identity found %q", number)
		}
	}
	for _, number := range []string{"", "0", "050001", "50001 ", "50001.0", "5e4", "WARM-UP", strings.Repeat("9", 3000)} {
		wantExists(t, r, number, false)
	}
}
