package party_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/party"
)

func TestWellFormed(t *testing.T) {
	for _, test := range []struct {
		kind  party.Kind
		value string
		want  bool
	}{
		{party.SSN, "12247918309", true},
		{party.SSN, "1224791830", false},
		{party.SSN, "122479183090", false},
		{party.SSN, "1224791830x", false},
		{party.SSN, "12247x18309", false},
		{party.SSN, "12247918309\n", false},
		{party.SSN, "١٢٣٤٥٦٧٨٩٠١", false},
		{party.OrganizationNumber, "123456789", true},
		{party.OrganizationNumber, "12345678", false},
		{party.OrganizationNumber, "1234-6789", false},
		{party.OrganizationNumber, "", false},
		{party.UserName, "ola.nordmann-1_x@example.no", true},
		{party.UserName, "bjørn.ÅSEN", true},
		{party.UserName, strings.Repeat("å", 64), true},
		{party.UserName, strings.Repeat("å", 65), false},
		{party.UserName, "", false},
		{party.UserName, "ola nordmann", false},
		{party.UserName, "ola#1", false},
		{party.UserName, "ola\xff", false},
		{party.UserName, "olé", false},
		{party.UserName, "kar\u0130", false},  // a capital I with a dot
		{party.UserName, "kari\u0307", false}, // its lower case
		{party.UserName, "\u212aari", true},   // the Kelvin sign is a K
		{party.UserName, "ｏｌａ．ｎｏｒｄｍａｎｎ", true},
		{party.UserName, "A\u030asen", true},
		{party.UserName, strings.Repeat("a\u030a", 64), true},
		{party.UserName, "o\u030a", false},
		{party.UserName, "\u030aola", false},
		{party.UserName, "ola\u3000nordmann", false},
		{party.SSN, "１２２４７９１８３０９", false},
		{"pid", "12247918309", false},
		{"", "", false},
	} {
		if got := (party.Identity{Kind: test.kind, Value: test.value}).WellFormed(); got != test.want {
			t.Errorf("%s %q: WellFormed = %v, want %v", test.kind, test.value, got, test.want)
		}
	}
}

func TestValidNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "50012": true, "999999999999999": true,
		"": false, "0": false, "050012": false, "1234567890123456": false, "-1": false, "1.0": false, "1e3": false, " 1": false, "1\n": false, "٥": false,
	} {
		if got := party.ValidNumber(text); got != want {
			t.Errorf("ValidNumber(%q) = %v, want %v", text, got, want)
		}
	}
}

// Numbers that follow each other, or a low first digit only, would reveal the order of
// registration.
func TestNewNumberIsRandom(t *testing.T) {
	seen, firstDigits := map[string]bool{}, map[byte]bool{}
	for range 1000 {
		number := party.NewNumber()
		if len(number) != 10 || !party.ValidNumber(number) {
			t.Fatalf("NewNumber = %q, want ten digits without a leading zero", number)
		}
		seen[number], firstDigits[number[0]] = true, true
	}
	if len(seen) < 999 || len(firstDigits) != 9 { // two of 1000 numbers are equal once in 18,000 runs
		t.Errorf("1000 calls return %d numbers with %d first digits, want 1000 and 9", len(seen), len(firstDigits))
	}
}

func TestDigest(t *testing.T) {
	key, otherKey := []byte("the key of the digests in this test"), []byte("another key of the digests in tests")
	ssn := party.Identity{Kind: party.SSN, Value: "12247918309"}
	digest := ssn.Digest(key)
	if len(digest) != 64 || digest != ssn.Digest(key) {
		t.Errorf("Digest = %q, want the same 64 characters each time", digest)
	}
	for change, other := range map[string]string{
		"another key":   ssn.Digest(otherKey),
		"another kind":  party.Identity{Kind: party.UserName, Value: ssn.Value}.Digest(key),
		"another value": party.Identity{Kind: party.SSN, Value: "12247918317"}.Digest(key),
	} {
		if other == digest {
			t.Errorf("%s has the same digest", change)
		}
	}
}

// All spellings of a user name are one identity, and no other name is.
func TestUserNamesAreFolded(t *testing.T) {
	key := []byte("the key of the digests in this test")
	user := func(name string) party.Identity { return party.Identity{Kind: party.UserName, Value: name} }
	for name, spellings := range map[string][]string{
		"ola.nordmann": {"ola.nordmann", "Ola.Nordmann", "OLA.NORDMANN", "oLA.nordmanN", "Ｏla.Ｎordmann"},
		"bjørn.åsen":   {"Bjørn.Åsen", "BJØRN.ÅSEN", "bjørn.a\u030asen", "BJØRN.A\u030aSEN", "bjørn.\u212bsen"},
		"æ_1@x-y.no":   {"Æ_1@X-Y.NO"},
	} {
		for _, spelling := range spellings {
			if got := user(spelling); !got.WellFormed() || got.Canonical() != user(name) || got.Digest(key) != user(name).Digest(key) {
				t.Errorf("%q is %q, want the identity of %q", spelling, got.Canonical().Value, name)
			}
		}
	}
	for a, b := range map[string]string{"kari": "kar\u0130", "ola": "0la", "å": "a", "aa": "å", "æ": "ae", "ola.n": "olan", "ø": "o"} {
		if user(a).Digest(key) == user(b).Digest(key) {
			t.Errorf("%q and %q are one identity", a, b)
		}
	}
}

func TestIdentityIsNeverPrinted(t *testing.T) {
	ssn := party.Identity{Kind: party.SSN, Value: "12247918309"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "identity", ssn)
	text := log.String() + fmt.Sprintf("%v %+v %#v %s %q %v", ssn, ssn, ssn, ssn, ssn, struct{ Who party.Identity }{ssn})
	if strings.Contains(text, ssn.Value) {
		t.Errorf("printed as %s", text)
	}
}
