package party

import "time"

// The weights of the check digits, from the left: of an identity number's two, the second counting the first, and
// of an organisation number's one.
var (
	ssnFirstWeights  = []int{3, 7, 6, 1, 8, 9, 4, 5, 2}
	ssnSecondWeights = []int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2}
	orgNumberWeights = []int{3, 2, 7, 6, 5, 4, 3, 2}
)

// ValidCheckDigits reports whether the identity is well-formed and its check digits are right, as an application may
// ask for. That a number passes does not mean that anybody has it. User names have no check digits.
//
// Identity numbers: those with a date of birth, D-numbers (day + 40) and synthetic numbers (month + 40, + 65 or + 80),
// with the first check digit of either rule: the one in force, or that of numbers issued from 2032, which allows the
// remainders 0 to 3. A number cannot tell by which rule it was issued, so both hold for all.
//
// Organisation numbers: modulus 11. None begins with 0.
func (i Identity) ValidCheckDigits() bool {
	if !i.WellFormed() {
		return false
	}
	switch i.Kind {
	case SSN:
		first := remainder(i.Value, ssnFirstWeights)
		second := remainder(i.Value, ssnSecondWeights)
		return hasDate(i.Value) && first <= 3 && second == 0
	case OrganizationNumber:
		return i.Value[0] != '0' && remainder(i.Value, orgNumberWeights) == 0
	default:
		return true
	}
}

// remainder returns, modulo 11, the weighted sum of the leading digits plus the check digit that follows them. A right
// check digit makes it 0. Where the rule would want the digit 10, which does not exist, no digit makes it 0.
func remainder(digits string, weights []int) int {
	sum := digit(digits, len(weights))
	for i, weight := range weights {
		sum += weight * digit(digits, i)
	}
	return sum % 11
}

// hasDate reports whether the first six digits, without what D-numbers and synthetic numbers add, are a date. The
// century cannot be told from the number any more, so the 29th of February of year 00 counts, being one in 2000.
func hasDate(digits string) bool {
	two := func(at int) int { return 10*digit(digits, at) + digit(digits, at+1) }
	day, month, year := two(0), two(2), 2000+two(4)
	if day > 40 {
		day -= 40
	}
	switch {
	case month > 80:
		month -= 80
	case month > 65:
		month -= 65
	case month > 40:
		month -= 40
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return date.Day() == day && int(date.Month()) == month // otherwise it was normalised into another month
}

func digit(digits string, at int) int { return int(digits[at] - '0') }
