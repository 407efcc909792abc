// Package blob provides the keys, sizes and digests of the content of data elements, and presigned
// S3 requests. Package blobbucket stores the content.
package blob

import (
	"errors"
	"fmt"
	"io"
)

// InlineLimit is the largest body, in bytes, that a function receives or returns. Lambda accepts
// and returns at most 6 MB (6,291,456 bytes) of JSON. In JSON, a binary body is base64, which is a
// third longer: 4,400,000 bytes become 5,866,668. That leaves about 400 kB for headers and context.
// 4.5 MiB would not fit.
const InlineLimit = 4_400_000

var (
	// ErrNotFound means that no blob has the key.
	ErrNotFound = errors.New("no such blob")
	// ErrExists means that the key already has other content, which is unchanged.
	ErrExists = errors.New("other content is stored under this key")
	// ErrRange means that the range begins at or after the end of the blob.
	ErrRange = errors.New("range is outside the blob")
)

// Info describes a stored blob.
type Info struct {
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// Range is the bytes First to Last, both included, counted from 0. Last may be past the end.
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

// Object is an open blob, or a range of one. The caller must read Body to its end, where a wrong
// checksum is an error, and close it.
type Object struct {
	Body io.ReadCloser
	Size int64 // bytes in Body
}
