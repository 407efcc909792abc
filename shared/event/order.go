package event

import (
	"slices"
	"strings"
	"time"
)

// Sort sorts docs into feed order: by time, and within an instance by number. The times come from
// many clocks, so Sort treats an event as no earlier than its predecessor in the same instance.
func Sort(docs []Encoded) {
	slices.SortFunc(docs, compareInInstance)
	type timed struct {
		Encoded
		at time.Time
	}
	sorted := make([]timed, len(docs))
	for n, doc := range docs {
		sorted[n] = timed{doc, doc.Event.At.Time}
		if n > 0 && doc.InstanceGuid == docs[n-1].InstanceGuid && sorted[n-1].at.After(doc.Event.At.Time) {
			sorted[n].at = sorted[n-1].at
		}
	}
	slices.SortFunc(sorted, func(a, b timed) int {
		if byTime := a.at.Compare(b.at); byTime != 0 {
			return byTime
		}
		return compareInInstance(a.Encoded, b.Encoded)
	})
	for n := range sorted {
		docs[n] = sorted[n].Encoded
	}
}

func compareInInstance(a, b Encoded) int {
	if byGuid := strings.Compare(a.InstanceGuid, b.InstanceGuid); byGuid != 0 {
		return byGuid
	}
	return a.Number - b.Number
}
