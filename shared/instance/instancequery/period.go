package instancequery

import (
	"strings"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// TimeRange is a stretch of time, both ends included, at the microsecond that documents are kept to. A zero end is
// open.
type TimeRange struct {
	From, To time.Time
}

// Contains reports whether t is in the period. A nil t, a date that the instance does not have, is in the period
// that is open at both ends only.
func (p TimeRange) Contains(t *time.Time) bool {
	if t == nil {
		return p == TimeRange{}
	}
	return (p.From.IsZero() || !t.Before(p.From)) && (p.To.IsZero() || !t.After(p.To))
}

const dateForms = "after(2026-05-01), before(…), between(…,…), gt:, gte:, lt: or lte: followed by a date (its start in UTC) " +
	"or a date-time with an offset (2026-05-01T12:00:00Z)"

// operation takes a condition apart: after(x) and gt:x alike.
func operation(condition string) (operator, operand string) {
	if operator, operand, ok := strings.Cut(strings.TrimSuffix(condition, ")"), "("); ok && strings.HasSuffix(condition, ")") {
		switch operator {
		case "after", "before", "between":
			return operator, operand
		}
		return "", ""
	}
	if operator, operand, ok := strings.Cut(condition, ":"); ok {
		switch operator {
		case "gt", "gte", "lt", "lte":
			return operator, operand
		}
	}
	return "", ""
}

// parseTimeRange returns the period in which all the conditions of a repeated date parameter hold.
func parseTimeRange(name string, conditions []string) (TimeRange, error) {
	var p TimeRange
	for _, condition := range conditions {
		q, ok := parseCondition(condition)
		if !ok {
			return p, fault.InvalidParameter(name, dateForms)
		}
		if p.From.Before(q.From) {
			p.From = q.From
		}
		if p.To.IsZero() || !q.To.IsZero() && q.To.Before(p.To) {
			p.To = q.To
		}
	}
	return p, nil
}

func parseCondition(condition string) (p TimeRange, ok bool) {
	operator, operand := operation(condition)
	if operator == "between" {
		from, to, _ := strings.Cut(operand, ",")
		after, ok1 := parseCondition("gte:" + from)
		before, ok2 := parseCondition("lte:" + to)
		return TimeRange{From: after.From, To: before.To}, ok1 && ok2
	}
	t, ok := ParseTime(operand)
	floor := t.Truncate(time.Microsecond)
	ceiling := floor
	if floor.Before(t) {
		ceiling = floor.Add(time.Microsecond)
	}
	switch operator {
	case "after", "gt":
		p.From = within(floor.Add(time.Microsecond))
	case "gte":
		p.From = within(ceiling)
	case "before", "lt":
		p.To = within(ceiling.Add(-time.Microsecond))
	case "lte":
		p.To = within(floor)
	default:
		return p, false
	}
	return p, ok
}

// The earliest and the latest moment that an end of a period can have. Nothing is ever dated so early or so late: the
// moment before would be the zero time, an open end, and the one after sorts before 2026 in an index.
var (
	earliest = time.Time{}.Add(time.Microsecond)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

func within(t time.Time) time.Time {
	if t.Before(earliest) {
		return earliest
	}
	if t.After(latest) {
		return latest
	}
	return t
}

// ParseTime reads a date, which means its start in UTC, or a date-time with an offset. A + that was not encoded
// arrives as a space, and is taken for what it was meant to be.
func ParseTime(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, t.Year() >= 1
	}
	t, ok := rfc3339.Parse(strings.Replace(text, " ", "+", 1))
	return t, ok && t.Year() >= 1 && t.Year() <= 9999
}
