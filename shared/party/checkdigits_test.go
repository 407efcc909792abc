package party_test

import (
	"testing"

	"altinn.no/instanceapi/shared/party"
)

// Every number in TestValidCheckDigits is from public test material or invented. None is known to
// belong to a person.
func TestValidCheckDigits(t *testing.T) {
	for _, test := range []struct {
		name  string
		kind  party.Kind
		value string
		want  bool
	}{
		{"date of birth", party.SSN, "01010150740", true},
		{"D-number", party.SSN, "57019149104", true},
		{"2032 rules, remainder 0", party.SSN, "02013299997", true},
		{"2032 rules, remainder 2", party.SSN, "02013299903", true},
		{"2032 rules, next individual number", party.SSN, "02013299806", true},
		{"2032 rules, born before 2032", party.SSN, "30108299920", true},
		{"2032 rules, born before 2032, remainder 1", party.SSN, "30108299939", true},
		{"synthetic, month + 40", party.SSN, "12515099903", true},
		{"synthetic, month + 65", party.SSN, "12765099968", true},
		{"synthetic, month + 80", party.SSN, "12915099996", true},
		{"synthetic D-number", party.SSN, "52915099998", true},
		{"synthetic D-number, month + 40", party.SSN, "55507608360", true},
		{"leap day", party.SSN, "29020099966", true},
		{"second check digit off by one", party.SSN, "01010150741", false},
		{"first check digit with remainder over 3", party.SSN, "02013299970", false},
		{"no such day", party.SSN, "31020199965", false},
		{"no leap day that year", party.SSN, "29020199987", false},
		{"no such month", party.SSN, "12247918309", false},
		{"all zeros", party.SSN, "00000000000", false},
		{"ten digits", party.SSN, "0101015074", false},
		{"letters", party.SSN, "0101015074x", false},
		{"organisation", party.OrganizationNumber, "974760673", true},
		{"synthetic organisation", party.OrganizationNumber, "310000000", true},
		{"organisation, wrong check digit", party.OrganizationNumber, "123456789", false},
		{"organisation, check digit 5", party.OrganizationNumber, "123456785", true},
		{"organisation without a valid check digit", party.OrganizationNumber, "800000050", false},
		{"organisation, all zeros", party.OrganizationNumber, "000000000", false},
		{"user name", party.UserName, "ola.nordmann", true},
		{"user name with a space", party.UserName, "ola nordmann", false},
		{"no kind", "", "01010150740", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (party.Identity{Kind: test.kind, Value: test.value}).ValidCheckDigits(); got != test.want {
				t.Errorf("ValidCheckDigits = %v, want %v", got, test.want)
			}
		})
	}
}

// TestSingleWrongDigitIsFound changes one digit at a time. With the four remainders of the 2032
// rule, the first check digit misses some errors. The second must find every error in the digits
// that it covers.
func TestSingleWrongDigitIsFound(t *testing.T) {
	for _, valid := range []party.Identity{
		{Kind: party.SSN, Value: "01010150740"},
		{Kind: party.OrganizationNumber, Value: "974760673"},
	} {
		for at := range valid.Value {
			for digit := byte('0'); digit <= '9'; digit++ {
				value := []byte(valid.Value)
				if value[at] == digit {
					continue
				}
				value[at] = digit
				if (party.Identity{Kind: valid.Kind, Value: string(value)}).ValidCheckDigits() {
					t.Errorf("%s %s passes with position %d changed to %c", valid.Kind, valid.Value, at, digit)
				}
			}
		}
	}
}
