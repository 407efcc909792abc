package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Digest is the SHA-256 of a data element's content.
type Digest [32]byte

// Content is a download in progress.
type Content struct {
	ETag   string // of this content
	Digest Digest // of the complete content
	From   int64  // offset of the first byte of Body: 0, or the requested offset
	Body   io.ReadCloser
}

// stallTimeout is how long a download may deliver nothing before it is cancelled.
const stallTimeout = time.Minute

func elementPath(ref Ref, element string) string { return ref.path() + "/data/" + element }

// DigestOf returns the digest of a data element's content without downloading the content.
func (c *Client) DigestOf(ctx context.Context, ref Ref, element string) (Digest, error) {
	header, err := c.call(ctx, http.MethodHead, elementPath(ref, element), nil, nil, nil)
	if err != nil {
		return Digest{}, err
	}
	return reprDigest(header)
}

// Download fetches the content of a data element, with one attempt: the caller retries and
// resumes. It resumes at the offset from if the content still has this entity tag, and otherwise
// restarts.
//
// For content that a function cannot send, the API responds with a redirect. Download follows the
// redirect without the token and without a condition.
func (c *Client) Download(ctx context.Context, ref Ref, element, etag string, from int64) (*Content, error) {
	ctx, cancel := context.WithCancel(ctx)
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		header.Set("If-Range", etag)
	}
	headers := time.AfterFunc(requestTimeout, cancel)
	content, err := c.start(ctx, elementPath(ref, element), header, etag, from)
	headers.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	content.Body = &stallReader{content.Body, time.AfterFunc(stallTimeout, cancel), cancel}
	return content, nil
}

func (c *Client) start(ctx context.Context, path string, header http.Header, etag string, from int64) (*Content, error) {
	resp, err := c.authorized(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return nil, err
	}
	content := &Content{ETag: resp.Header.Get("ETag")}
	if content.Digest, err = reprDigest(resp.Header); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	if resp.StatusCode == http.StatusTemporaryRedirect {
		location := resp.Header.Get("Location")
		_ = resp.Body.Close()
		if content.ETag != etag {
			header.Del("Range")
		}
		header.Del("If-Range")
		if resp, err = c.followRedirect(ctx, location, header); err != nil {
			return nil, err
		}
	}
	content.Body = resp.Body
	switch resp.StatusCode {
	case http.StatusOK:
		return content, nil
	case http.StatusPartialContent:
		content.From = from
		if strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return content, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("the content was sent with status %d and a range that was not requested", resp.StatusCode), resp.Body.Close())
}

// ErrObjectDenied reports that the object store responded with 403 or 404. It may not know the
// result of the malware scan for some seconds after the API does.
var ErrObjectDenied = errors.New("the object store responded with")

// followRedirect requests the content at the address of the redirect. The address is a secret: no
// error repeats it.
func (c *Client) followRedirect(ctx context.Context, location string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, errors.New("the address of the redirect is invalid")
	}
	req.Header = header.Clone()
	resp, err := c.send(req)
	if err == nil {
		return resp, nil
	}
	var problem *Problem
	if errors.As(err, &problem) {
		// Retryable even for statuses that otherwise are not: the address is valid for some
		// minutes, and the next attempt gets a new one.
		if problem.Status == http.StatusForbidden || problem.Status == http.StatusNotFound {
			return nil, fmt.Errorf("%w %d", ErrObjectDenied, problem.Status)
		}
		return nil, fmt.Errorf("the object store responded with %d", problem.Status)
	}
	return nil, fmt.Errorf("the object store at %s did not respond", req.URL.Host)
}

// reprDigest reads the SHA-256 of Repr-Digest (RFC 9530).
func reprDigest(header http.Header) (digest Digest, err error) {
	for _, member := range strings.Split(strings.Join(header.Values("Repr-Digest"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		if name != "sha-256" {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
		if err == nil && len(sum) == len(digest) {
			return Digest(bytes.Clone(sum)), nil
		}
	}
	return digest, errors.New("the response has no Repr-Digest with a SHA-256")
}

// stallReader is a body that is cancelled when no byte arrives for stallTimeout.
type stallReader struct {
	io.ReadCloser
	timer  *time.Timer
	cancel context.CancelFunc
}

func (w *stallReader) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.timer.Reset(stallTimeout)
	return n, err
}

func (w *stallReader) Close() error {
	w.timer.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}
