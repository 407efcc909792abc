// Package blob provides what the bytes of data elements are known by: immutable keys, sizes and digests, and the requests
// to S3 that are signed beforehand. Package blobbucket keeps the bytes.
package blob

import (
	"errors"
	"fmt"
	"io"
)

// InlineLimit is the largest body, in bytes, that goes through a function. Lambda takes and returns at most 6 MB
// (6,291,456 bytes) of JSON, in which a binary body is base64, a third longer: 4,400,000 bytes become 5,866,668, which leaves
// some 400 kB for headers and context. 4.5 MiB would not fit.
const InlineLimit = 4_400_000

var (
	// ErrNotFound means that there is nothing at the key.
	ErrNotFound = errors.New("no such blob")
	// ErrExists means that other bytes are at the key already. They are as they were.
	ErrExists = errors.New("other bytes are stored under this key")
	// ErrRange means that the range begins at or after the end of the bytes.
	ErrRange = errors.New("range is outside the blob")
)

// Info is what was stored.
type Info struct {
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// Range is the bytes First to Last, both included, counted from 0. Last may lie beyond the end.
type Range struct {
	First, Last int64
}

// Check returns an error unless 0 <= First <= Last.
func (r Range) Check() error {
	if r.First < 0 || r.Last < r.First {
		return fmt.Errorf("blob: invalid range %d-%d", r.First, r.Last)
	}
	return nil
}

// Object is an open blob, or a range of one. The reader of Body must read it to its end, where a checksum that does
// not hold is an error, and close it.
type Object struct {
	Body io.ReadCloser
	Size int64 // bytes in Body
}
