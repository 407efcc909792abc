// Package blobhttp provides the HTTP side of blobs: a download with its preconditions, range and protective headers,
// and the file name in a Content-Disposition, read and written. It never decides who may download, and never guesses a
// content type.
package blobhttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

// Content is what the data element says of its bytes.
type Content struct {
	Key         blob.Key // its revision is the entity tag
	FileName    string   // as the user named it; may be empty
	ContentType string   // as it was stored, parameters and all
	SHA256      string   // of all bytes, hex
	Size        int64    // bytes
}

// ContentETag returns the entity tag of the bytes: the revision in double quotes.
func (c Content) ETag() string { return `"` + c.Key.Revision() + `"` }

// Source is where the bytes are; *blobbucket.Bucket is one.
type Source interface {
	Get(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)
	PresignGet(ctx context.Context, key blob.Key, responseHeaders blob.ResponseHeaders) (blob.PresignedRequest, error)
}

// ServeContent answers a GET or HEAD of content (RFC 9110): 200, 206 for a single range, or 304. A GET of more than
// blob.InlineLimit bytes, which no function can return, is answered 307 with a link to the bytes in the store, whether or
// not it asks for a range: that is for the client to repeat there, as clients that follow do. Nothing has been written when
// it returns an error, which is a Stale fault for If-Match, RangeNotSatisfiable for a range past the end, or wraps source's;
// blob.ErrNotFound then means that the element was replaced after content was read, and reading the element again will
// tell.
//
// beforeSending, when not nil, is called once a 200 or 206 has its bytes in hand, or a 307 its link, and before the first
// of it is written; its error is returned and nothing is sent. It is where an owner's download is logged: it is not called
// for HEAD, 304 or any failure. sent reports whether bytes, or the link, were written, an empty body counting as sent.
//
// Bytes that are sent are read to their end first, so that a checksum that does not hold is an error and not a wrong 200.
func ServeContent(w http.ResponseWriter, r *http.Request, content Content, source Source, beforeSending func() error) (sent bool, err error) {
	etag := content.ETag()
	if err := httpapi.CheckIfMatch(r, etag); err != nil {
		return false, err
	}
	if httpapi.NotModified(r, etag) {
		setCaching(w.Header(), etag)
		w.WriteHeader(http.StatusNotModified)
		return false, nil
	}
	digest, err := reprDigest(content.SHA256)
	if err != nil {
		return false, err
	}
	rng, ok := requestedRange(r, etag, content.Size)
	if !ok {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", content.Size))
		return false, fault.New(fault.RangeNotSatisfiable, "range-unsatisfiable",
			"No byte of the range exists: the data element has %d bytes.", content.Size)
	}
	length := content.Size
	if rng != nil {
		length = rng.Last - rng.First + 1
	}
	var body []byte
	var link blob.PresignedRequest
	if r.Method != http.MethodHead {
		if content.Size > blob.InlineLimit {
			link, err = source.PresignGet(r.Context(), content.Key, content.presignedHeaders())
		} else {
			body, err = read(r.Context(), content.Key, source, rng, length)
		}
		if err != nil {
			return false, err
		}
		if beforeSending != nil {
			if err := beforeSending(); err != nil {
				return false, err
			}
		}
	}

	header := w.Header()
	setCaching(header, etag)
	header.Set("Repr-Digest", digest) // of the whole, for a range too: RFC 9530 section 3
	if link.URL != "" {
		header.Set("Location", link.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true, nil
	}
	responseHeaders := content.responseHeaders()
	header.Set("Content-Type", responseHeaders.ContentType)
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	header.Set("Content-Disposition", responseHeaders.ContentDisposition)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Accept-Ranges", "bytes")
	status := http.StatusOK
	if rng != nil {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", rng.First, rng.Last, content.Size))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return false, nil
	}
	// A write that fails has lost its client. There is nobody left to answer, and the download was not one.
	_, writeErr := w.Write(body)
	return writeErr == nil, nil
}

// responseHeaders returns how the content presents itself.
func (c Content) responseHeaders() blob.ResponseHeaders {
	responseHeaders := blob.ResponseHeaders{ContentType: "application/octet-stream", ContentDisposition: disposition(c.FileName)}
	if application.ValidContentType(c.ContentType) { // always, or it would not have been stored; but never a broken header
		responseHeaders.ContentType = c.ContentType
	}
	return responseHeaders
}

// presignedHeaders is shape as the store is asked for it, in an address that whatever is on the way may keep: an identity number
// in the file's name is masked there.
func (c Content) presignedHeaders() blob.ResponseHeaders {
	c.FileName = logging.Redact(c.FileName)
	return c.responseHeaders()
}

// setCaching sets what a 304 carries too. Nothing on the way may keep a copy of somebody's form.
func setCaching(header http.Header, etag string) {
	header.Set("ETag", etag)
	header.Set("Cache-Control", "no-store")
}

// reprDigest returns the value of Repr-Digest (RFC 9530) for a SHA-256 in hex.
func reprDigest(sha256 string) (string, error) {
	sum, err := hex.DecodeString(sha256)
	if err != nil || len(sum) != 32 {
		return "", errors.New("blobhttp: the data element has no valid SHA-256")
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":", nil
}

// read returns the length bytes at key, or of its range.
func read(ctx context.Context, key blob.Key, source Source, rng *blob.Range, length int64) (_ []byte, err error) {
	object, err := source.Get(ctx, key, rng)
	if err != nil {
		return nil, fmt.Errorf("blobhttp: %w", err)
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	if object.Size != length {
		return nil, fmt.Errorf("blobhttp: %s has %d bytes where %d were expected", key, object.Size, length)
	}
	// With room for the read that only meets the end, the buffer is not grown.
	buffer := bytes.NewBuffer(make([]byte, 0, length+bytes.MinRead))
	if _, err := buffer.ReadFrom(object.Body); err != nil {
		return nil, fmt.Errorf("blobhttp: reading %s: %w", key, err)
	}
	if int64(buffer.Len()) != length {
		return nil, fmt.Errorf("blobhttp: %s ended after %d of %d bytes", key, buffer.Len(), length)
	}
	return buffer.Bytes(), nil
}
