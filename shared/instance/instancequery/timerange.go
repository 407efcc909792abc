package instancequery

import (
	"strings"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// TimeRange is a range of times with inclusive ends, in microseconds, the resolution of stored
// times. A zero end is unbounded.
type TimeRange struct {
	From, To time.Time
}

// Contains reports whether t is in the range. A nil t, a date that an instance does not have, is
// only in the range without bounds.
func (r TimeRange) Contains(t *time.Time) bool {
	if t == nil {
		return r == TimeRange{}
	}
	return (r.From.IsZero() || !t.Before(r.From)) && (r.To.IsZero() || !t.After(r.To))
}

const dateForms = "use after(…), before(…), between(…,…), gt:, gte:, lt: or lte: with a date (2026-05-01, its start in UTC) " +
	"or a date-time with an offset (2026-05-01T12:00:00Z)"

// splitCondition returns the operator and the operand of a condition such as after(x) or gt:x, or
// empty strings if the condition has neither form.
func splitCondition(condition string) (operator, operand string) {
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

// parseTimeRange returns the range of times for which all conditions of a date parameter hold. It
// returns an Invalid fault if a condition is malformed, or if the conditions exclude every time. An
// empty result would hide the mistake of the caller.
func parseTimeRange(name string, conditions []string) (TimeRange, error) {
	var all TimeRange
	for _, condition := range conditions {
		r, ok := parseCondition(condition)
		if !ok {
			return all, fault.InvalidParameter(name, dateForms)
		}
		if all.From.Before(r.From) {
			all.From = r.From
		}
		if all.To.IsZero() || !r.To.IsZero() && r.To.Before(all.To) {
			all.To = r.To
		}
	}
	if all.From.After(latest) || all.To.Before(time.Time{}) || !all.From.IsZero() && !all.To.IsZero() && all.To.Before(all.From) {
		return all, fault.InvalidParameter(name, "no time meets all of its conditions; use a start before the end")
	}
	return all, nil
}

// parseCondition returns the range of one condition.
func parseCondition(condition string) (r TimeRange, ok bool) {
	operator, operand := splitCondition(condition)
	if operator == "between" {
		from, to, _ := strings.Cut(operand, ",")
		after, ok1 := parseCondition("gte:" + from)
		before, ok2 := parseCondition("lte:" + to)
		return TimeRange{From: after.From, To: before.To}, ok1 && ok2
	}
	t, ok := parseTime(operand)
	floor := t.Truncate(time.Microsecond)
	ceiling := floor
	if floor.Before(t) {
		ceiling = floor.Add(time.Microsecond)
	}
	switch operator {
	case "after", "gt":
		r.From = bound(floor.Add(time.Microsecond))
	case "gte":
		r.From = bound(ceiling)
	case "before", "lt":
		r.To = bound(ceiling.Add(-time.Microsecond))
	case "lte":
		r.To = bound(floor)
	default:
		return r, false
	}
	return r, ok
}

// The earliest and the latest end of a range. No instance has such dates. One microsecond earlier
// is the zero time, which means unbounded; one microsecond later has five digits for the year and
// would sort before 2026 in an index.
var (
	earliest = time.Time{}.Add(time.Microsecond)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// bound returns t, or earliest if t is the zero time.
func bound(t time.Time) time.Time {
	if t.IsZero() {
		return earliest
	}
	return t
}

// parseTime parses a time of a condition, with white space around it. Its year in UTC must be in
// the range 1 to 9999.
func parseTime(text string) (time.Time, bool) {
	t, ok := rfc3339.ParseParameter(strings.TrimSpace(text))
	return t, ok && t.Year() >= 1 && t.Year() <= 9999
}
