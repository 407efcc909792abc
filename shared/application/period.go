package application

import (
	"strconv"
	"time"
)

// Period is a length of time in calendar units: an ISO 8601 duration of years, months, weeks and
// days, such as P90D, P2W or P1Y6M. "" is no period.
type Period string

// periodRule describes the valid periods.
const periodRule = "must be an ISO 8601 duration of years, months, weeks or days, from P1D to P100Y, such as P90D"

// Valid reports whether p is at least one day and at most 100 years. Times of day, fractions and
// signs are invalid.
func (p Period) Valid() bool {
	length, ok := p.parse()
	if !ok {
		return false
	}
	// The length of a period varies by a few days with its start, so one start shows both limits.
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	end := length.add(start, 1)
	return end.After(start) && !end.After(start.AddDate(100, 0, 0))
}

// After returns the time one period after t, at the same time of day in UTC. In a shorter month
// the day is the month's last: P1M after 31 January is the end of February. An invalid period has
// no length.
func (p Period) After(t time.Time) time.Time {
	length, _ := p.parse()
	return length.add(t, 1)
}

// Before returns the time one period before t, with the rules of After.
func (p Period) Before(t time.Time) time.Time {
	length, _ := p.parse()
	return length.add(t, -1)
}

// calendarLength is a parsed Period.
type calendarLength struct{ years, months, days int }

// maxPeriodDigits is the maximum number of digits before a unit: enough for 100 years in days.
const maxPeriodDigits = 5

func (p Period) parse() (length calendarLength, ok bool) {
	weeks := 0
	units := []struct {
		name  byte
		count *int
	}{{'Y', &length.years}, {'M', &length.months}, {'W', &weeks}, {'D', &length.days}}
	if len(p) < 3 || p[0] != 'P' {
		return calendarLength{}, false
	}
	for rest := p[1:]; rest != ""; {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > maxPeriodDigits || digits == len(rest) {
			return calendarLength{}, false
		}
		for len(units) > 0 && units[0].name != rest[digits] {
			units = units[1:] // each unit at most once, in this order
		}
		if len(units) == 0 {
			return calendarLength{}, false
		}
		*units[0].count, _ = strconv.Atoi(string(rest[:digits])) // only digits, so never fails
		units, rest = units[1:], rest[digits+1:]
	}
	length.days += 7 * weeks
	return length, true
}

// add returns the time one length after t, or before t if sign is -1.
func (l calendarLength) add(t time.Time, sign int) time.Time {
	t = t.UTC()
	months := time.Month(sign * (12*l.years + l.months))
	first := time.Date(t.Year(), t.Month()+months, 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), lastDay)-1+sign*l.days)
}
