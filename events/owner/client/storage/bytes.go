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

// Digest is the SHA-256 of a data element's bytes.
type Digest [32]byte

// Bytes is a download under way.
type Bytes struct {
	ETag   string // of these bytes; others have another
	Digest Digest // of the whole
	From   int64  // what the first byte of Body is: 0, or where it was asked to go on
	Body   io.ReadCloser
}

// stalled is how long a download may give nothing before it is given up.
const stalled = time.Minute

func elementPath(ref Ref, element string) string { return ref.path() + "/data/" + element }

// DigestOf asks what the bytes of a data element are, without downloading them.
func (c *Client) DigestOf(ctx context.Context, ref Ref, element string) (Digest, error) {
	header, err := c.read(ctx, http.MethodHead, elementPath(ref, element), nil, nil)
	if err != nil {
		return Digest{}, err
	}
	return reprDigest(header)
}

// Download fetches the bytes of a data element, once: for the caller to try again, from where it has come. It goes on
// after the first from bytes if they are of the bytes with this entity tag, and else begins anew.
//
// What no function can send is answered with a redirection, which is followed without the token and without a condition.
func (c *Client) Download(ctx context.Context, ref Ref, element, etag string, from int64) (*Bytes, error) {
	ctx, cancel := context.WithCancel(ctx)
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		header.Set("If-Range", etag)
	}
	headers := time.AfterFunc(quiet, cancel)
	got, err := c.start(ctx, elementPath(ref, element), header, etag, from)
	headers.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	got.Body = &watched{got.Body, time.AfterFunc(stalled, cancel), cancel}
	return got, nil
}

func (c *Client) start(ctx context.Context, path string, header http.Header, etag string, from int64) (*Bytes, error) {
	resp, err := c.authorized(ctx, http.MethodGet, path, header)
	if err != nil {
		return nil, err
	}
	got := &Bytes{ETag: resp.Header.Get("ETag")}
	if got.Digest, err = reprDigest(resp.Header); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	if resp.StatusCode == http.StatusTemporaryRedirect {
		location := resp.Header.Get("Location")
		_ = resp.Body.Close()
		if got.ETag != etag {
			header.Del("Range")
		}
		header.Del("If-Range")
		if resp, err = c.follow(ctx, location, header); err != nil {
			return nil, err
		}
	}
	got.Body = resp.Body
	switch resp.StatusCode {
	case http.StatusOK:
		return got, nil
	case http.StatusPartialContent:
		got.From = from
		if strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return got, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("the bytes were answered with %d and another range than asked for", resp.StatusCode), resp.Body.Close())
}

// follow asks at the address of the bytes. The address is a secret: no error repeats it.
func (c *Client) follow(ctx context.Context, location string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, errors.New("the redirection leads nowhere")
	}
	req.Header = header.Clone()
	resp, err := c.send(req)
	if err == nil {
		return resp, nil
	}
	var problem *Problem
	if errors.As(err, &problem) {
		// Also what says never elsewhere: the address was good for some minutes, and the next try gets another.
		return nil, fmt.Errorf("the store of the bytes answered %d", problem.Status)
	}
	return nil, fmt.Errorf("the store of the bytes at %s did not answer", req.URL.Host)
}

// Temporary reports whether a download that failed so may succeed when it is tried again.
func Temporary(err error) bool { return worthAgain(err) }

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
	return digest, errors.New("the answer has no Repr-Digest with a SHA-256")
}

// watched is a body that is given up when nothing comes for a while.
type watched struct {
	io.ReadCloser
	timer  *time.Timer
	cancel context.CancelFunc
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.timer.Reset(stalled)
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}
