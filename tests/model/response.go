package model

import (
	"slices"
	"time"
)

// Refusal is one way to refuse a request.
type Refusal struct {
	Status int
	Code   string
}

// Refusals are what is wrong with a request. Empty: nothing is.
type Refusals []Refusal

func (r *Refusals) add(when bool, status int, code string) {
	if when {
		*r = append(*r, Refusal{status, code})
	}
}

// Allow reports whether the answer with this status and code is one of them.
func (r Refusals) Allow(status int, code string) bool {
	return slices.Contains(r, Refusal{status, code})
}

// Answer is what a request should be answered: one of Refusals, or when there are none, Status and what of the rest is set.
type Answer struct {
	Refusals Refusals
	Status   int
	Instance *Instance // the body is this instance, whole, with its ContentETag
	Changed  bool      // this request has made a new version of it
	Moved    bool      // and has moved its lastChangedDateTime to the present
	Location string    // of the Location header

	Steps  *Steps   // the body, of GET …/workflow
	Issues []Issue  // the body, of a validation, or of the refusal data-invalid
	Bytes  *Element // the body is the bytes of this element
	Upload *Upload  // the body is the announcement of this upload

	Again *Answer // an answer given before, which is given again
}

func refused(status int, code string) Answer { return Answer{Refusals: Refusals{{status, code}}} }

// Seen is what only an answer can tell.
type Seen struct {
	ID    string    // of what was made
	Owner string    // the number of its party
	Data  []string  // ids of the data elements, in the order of the document
	At    time.Time // lastChangedDateTime
}

// lastOf returns the n-th id of what was added at the end, of count in all.
func (s Seen) added(n, count int) string {
	if at := len(s.Data) - count + n; at >= 0 && at < len(s.Data) {
		return s.Data[at]
	}
	return ""
}
