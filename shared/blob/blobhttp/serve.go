// Package blobhttp provides the HTTP side of blobs: downloads with preconditions, ranges and
// protective headers, and reading and writing file names in Content-Disposition. It makes no access
// decisions and never guesses a content type.
package blobhttp

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

// Content describes the content of a data element.
type Content struct {
	Key         blob.Key // its revision is the entity tag
	FileName    string   // as given by the user; may be empty
	URLFileName string   // the file name of a presigned download; not chosen by a user
	ContentType string   // as stored, with its parameters
	SHA256      string   // of the whole content, hex
	Size        int64    // bytes
}

// ETag returns the entity tag of the content: the revision in double quotes.
func (c Content) ETag() string { return `"` + c.Key.Revision() + `"` }

// Source reads blobs; *blobbucket.Bucket implements it.
type Source interface {
	Get(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)
	PresignGet(ctx context.Context, key blob.Key, contentDisposition string) (blob.PresignedRequest, error)
}

// ServeContent responds to a GET or HEAD of content (RFC 9110) with 200, 206 for a single range, or
// 304. A GET of content over blob.InlineLimit bytes gets 307 with a presigned URL, because a
// function cannot return that much. This also applies to a GET with a Range header: the client
// repeats the header when it follows the redirect.
//
// If ServeContent returns an error, it has written no response. It returns PreconditionFailed if
// If-Match does not match, RangeNotSatisfiable for a range past the end, or an error that wraps
// that of source. blob.ErrNotFound means that the element was replaced or deleted after the caller
// read content; the caller should read the element again.
//
// ServeContent calls beforeSending, if not nil, when it has the content for a 200 or 206, or the
// URL for a 307. It has not written any byte then. If beforeSending fails, ServeContent returns its
// error and sends nothing. The caller can use beforeSending to record a download. ServeContent does
// not call it for HEAD, 304 or a failure, or for a range that ends before the last byte: such a
// response cannot complete a download. sent reports whether ServeContent wrote the content, which
// may be empty, or the URL.
//
// ServeContent reads the content to its end before it writes, so that a wrong checksum is an error
// and never a 200.
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
			"The range starts after the end of the data element, which has %d bytes.", content.Size)
	}
	length := content.Size
	if rng != nil {
		length = rng.Last - rng.First + 1
	}
	var body []byte
	var request blob.PresignedRequest
	if r.Method != http.MethodHead {
		if content.Size > blob.InlineLimit {
			request, err = source.PresignGet(r.Context(), content.Key, disposition(content.URLFileName))
		} else {
			body, err = read(r.Context(), content.Key, source, rng, length)
		}
		if err != nil {
			return false, err
		}
		if beforeSending != nil && (rng == nil || rng.Last == content.Size-1) {
			if err := beforeSending(); err != nil {
				return false, err
			}
		}
	}

	header := w.Header()
	setCaching(header, etag)
	header.Set("Repr-Digest", digest) // of the whole content, for a range too: RFC 9530 section 3
	if request.URL != "" {
		header.Set("Location", request.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true, nil
	}
	header.Set("Content-Type", content.contentType())
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	header.Set("Content-Disposition", disposition(content.FileName))
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
	// A write fails if the client has disconnected. No error response can reach the client, and the
	// download did not happen.
	_, writeErr := w.Write(body)
	return writeErr == nil, nil
}

// contentType returns the value of Content-Type.
func (c Content) contentType() string {
	if application.ValidContentType(c.ContentType) { // checked when stored; checked again because it is sent as a header
		return c.ContentType
	}
	return "application/octet-stream"
}

// setCaching sets the headers that a 304 also has. No cache may store the content.
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

// read returns the content at key, or its range rng. It fails if the result is not length bytes.
func read(ctx context.Context, key blob.Key, source Source, rng *blob.Range, length int64) ([]byte, error) {
	body, err := busy.Read(ctx, length, func(ctx context.Context) (blob.Object, error) { return source.Get(ctx, key, rng) })
	if err != nil {
		return nil, fmt.Errorf("blobhttp: reading %s: %w", key, err)
	}
	return body, nil
}
