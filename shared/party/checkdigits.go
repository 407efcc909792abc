package party

import "time"

// Weights of the digits from the left. An identity number has two check digits, and the second also
// covers the first. An organisation number has one check digit.
var (
	ssnFirstWeights  = []int{3, 7, 6, 1, 8, 9, 4, 5, 2}
	ssnSecondWeights = []int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2}
	orgNumberWeights = []int{3, 2, 7, 6, 5, 4, 3, 2}
)

// ValidCheckDigits reports whether the identity is well-formed and its check digits are correct. An
// application can require valid check digits. A number with valid check digits need not belong to a
// person. A well-formed user name is always valid, because user names have no check digits.
//
// Valid identity numbers contain a date of birth. D-numbers add 40 to the day, and synthetic
// numbers add 40, 65 or 80 to the month. Their first check digit follows the current rule, or the
// rule for numbers issued from 2032, which allows the remainders 0 to 3. A number does not show
// under which rule it was issued, so ValidCheckDigits accepts both rules for all numbers.
//
// Organisation numbers use modulus 11. None begins with 0.
func (i Identity) ValidCheckDigits() bool {
	if !i.WellFormed() {
		return false
	}
	switch i.Kind {
	case SSN:
		first, second := remainder(i.Value, ssnFirstWeights), remainder(i.Value, ssnSecondWeights)
		return hasDate(i.Value) && first <= 3 && second == 0
	case OrganizationNumber:
		return i.Value[0] != '0' && remainder(i.Value, orgNumberWeights) == 0
	default:
		return true
	}
}

// remainder returns the weighted sum of the leading digits plus the following check digit, modulo
// 11. It is 0 for the correct check digit. If the rule requires the nonexistent digit 10, no digit
// gives 0.
func remainder(digits string, weights []int) int {
	sum := digit(digits, len(weights))
	for i, weight := range weights {
		sum += weight * digit(digits, i)
	}
	return sum % 11
}

// hasDate reports whether the first six digits, without the offsets of D-numbers and synthetic
// numbers, are a date. The number does not show the century, so 29 February of year 00 is valid:
// that day exists in 2000.
func hasDate(digits string) bool {
	twoDigits := func(at int) int { return 10*digit(digits, at) + digit(digits, at+1) }
	day, month, year := twoDigits(0), twoDigits(2), 2000+twoDigits(4)
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
	return date.Day() == day && int(date.Month()) == month // time.Date normalises an invalid date into another month
}

func digit(digits string, at int) int { return int(digits[at] - '0') }
