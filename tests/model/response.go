package model

import (
	"slices"
	"time"
)

// Rejection is one way to reject a request.
type Rejection struct {
	Status int
	Code   string
}

// Rejections are the errors of a request; empty if it has none.
type Rejections []Rejection

func (r *Rejections) add(when bool, status int, code string) {
	if when {
		*r = append(*r, Rejection{status, code})
	}
}

// Allow reports whether one of the rejections has this status and code.
func (r Rejections) Allow(status int, code string) bool {
	return slices.Contains(r, Rejection{status, code})
}

// Response is the expected response: one of Rejections, or if there are none, Status and the other
// fields that are set.
type Response struct {
	Rejections Rejections
	Status     int
	Instance   *Instance // the body is this complete instance, with its ETag
	Changed    bool      // the request has made a new version of it
	Moved      bool      // and has set its lastChangedDateTime to the current time
	Creates    bool      // the request has created it
	Location   string    // the Location header

	Steps  *Steps   // the body, of GET …/workflow
	Issues []Issue  // the body, of a validation or of a data-invalid problem; nil: unknown
	Bytes  *Element // the body is the content of this element
	Upload *Upload  // the body starts this upload

	Again *Response // an earlier response, repeated
}

func rejected(status int, code string) Response {
	return Response{Rejections: Rejections{{status, code}}}
}

// Seen has the values that the model can learn only from a response.
type Seen struct {
	ID    string    // of the created resource
	Owner string    // number of the instance owner
	Data  []string  // ids of the data elements, in the order of the document
	At    time.Time // lastChangedDateTime
}

// added returns the n-th of count ids that were added at the end.
func (s Seen) added(n, count int) string {
	if at := len(s.Data) - count + n; at >= 0 && at < len(s.Data) {
		return s.Data[at]
	}
	return ""
}
