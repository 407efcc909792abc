package blobhttp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

const revision = "0191f3a0-0000-7000-8000-000000000001"

// stored returns a store that contains body, and the content that describes it.
func stored(t *testing.T, body string) (*blobtest.Memory, Content) {
	t.Helper()
	store := &blobtest.Memory{}
	key := blob.KeyOf("nav/app2018", "50001", "instance", revision)
	info, err := store.Put(t.Context(), key, "application/pdf", "", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return store, Content{Key: key, FileName: "søknad.pdf", URLFileName: "vedlegg.pdf", ContentType: "text/html; Charset=UTF-8", SHA256: info.SHA256, Size: info.Size}
}

// serve returns the response to a request with the given headers ("Name: value"), the number of
// calls of beforeSending, and the result of ServeContent.
func serve(t *testing.T, method string, content Content, source Source, headers ...string) (resp *http.Response, recorded int, sent bool) {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) (err error) {
		sent, err = ServeContent(w, r, content, source, func() error { recorded++; return nil })
		return err
	}).ServeHTTP(w, r)
	return w.Result(), recorded, sent
}

func TestServeContent(t *testing.T) {
	const all = "0123456789"
	etag := `"` + revision + `"`
	for _, test := range []struct {
		name    string
		method  string
		headers []string
		status  int
		body    string // also "" for a problem
		rng     string // Content-Range
		sent    bool
	}{
		{"whole", "GET", nil, 200, all, "", true},
		{"head", "HEAD", nil, 200, "", "", false},
		{"head ignores range", "HEAD", []string{"Range: bytes=0-3"}, 200, "", "", false},
		{"first bytes", "GET", []string{"Range: bytes=0-3"}, 206, "0123", "bytes 0-3/10", true},
		{"one byte", "GET", []string{"Range: bytes=9-9"}, 206, "9", "bytes 9-9/10", true},
		{"from", "GET", []string{"Range: bytes=7-"}, 206, "789", "bytes 7-9/10", true},
		{"past the end", "GET", []string{"Range: bytes=7-99999999999999999999"}, 206, "789", "bytes 7-9/10", true},
		{"suffix", "GET", []string{"Range: bytes=-2"}, 206, "89", "bytes 8-9/10", true},
		{"long suffix", "GET", []string{"Range: bytes=-20"}, 206, all, "bytes 0-9/10", true},
		{"unit in capitals", "GET", []string{"Range: Bytes=0-3"}, 206, "0123", "bytes 0-3/10", true},
		{"unsatisfiable", "GET", []string{"Range: bytes=10-"}, 416, "", "bytes */10", false},
		{"unsatisfiable suffix", "GET", []string{"Range: bytes=-0"}, 416, "", "bytes */10", false},
		{"two ranges", "GET", []string{"Range: bytes=0-1,4-5"}, 200, all, "", true},
		{"other unit", "GET", []string{"Range: items=0-1"}, 200, all, "", true},
		{"malformed", "GET", []string{"Range: bytes=a-b"}, 200, all, "", true},
		{"backwards", "GET", []string{"Range: bytes=5-4"}, 200, all, "", true},
		{"signed", "GET", []string{"Range: bytes=+1-4"}, 200, all, "", true},
		{"if-range holds", "GET", []string{"Range: bytes=0-3", "If-Range: " + etag}, 206, "0123", "bytes 0-3/10", true},
		{"if-range of another revision", "GET", []string{"Range: bytes=0-3", `If-Range: "x"`}, 200, all, "", true},
		{"if-range weak", "GET", []string{"Range: bytes=0-3", "If-Range: W/" + etag}, 200, all, "", true},
		{"if-range date", "GET", []string{"Range: bytes=0-3", "If-Range: Sat, 29 Oct 1994 19:43:31 GMT"}, 200, all, "", true},
		{"not modified", "GET", []string{"If-None-Match: " + etag}, 304, "", "", false},
		{"not modified, weak in a list", "GET", []string{`If-None-Match: "x", W/` + etag}, 304, "", "", false},
		{"not modified, before range", "GET", []string{"If-None-Match: " + etag, "Range: bytes=10-"}, 304, "", "", false},
		{"head not modified", "HEAD", []string{"If-None-Match: *"}, 304, "", "", false},
		{"modified", "GET", []string{`If-None-Match: "x"`}, 200, all, "", true},
		{"matches", "GET", []string{"If-Match: " + etag}, 200, all, "", true},
		{"stale", "GET", []string{`If-Match: "x"`}, 412, "", "", false},
		{"stale before not modified", "GET", []string{`If-Match: "x"`, "If-None-Match: " + etag}, 412, "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, content := stored(t, all)
			gets := 0
			store.Hook = func(c blobtest.Call) error { gets++; return nil }
			resp, recorded, sent := serve(t, test.method, content, store, test.headers...)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, test.status, body)
			}
			if got := resp.Header.Get("Content-Range"); got != test.rng {
				t.Errorf("Content-Range %q, want %q", got, test.rng)
			}
			complete := test.sent && test.body[len(test.body)-1] == all[len(all)-1] // a part without the last byte is not recorded
			if sent != test.sent || (recorded == 1) != complete || recorded > 1 {
				t.Errorf("sent %v, recorded %d times, want %v, %v", sent, recorded, test.sent, complete)
			}
			if (gets > 0) != test.sent {
				t.Errorf("the store was called: %v, want %v", gets > 0, test.sent)
			}
			if test.status >= 400 {
				if got := resp.Header.Get("Content-Type"); got != "application/problem+json" || resp.Header.Get("ETag") != "" {
					t.Errorf("a problem with Content-Type %q and ETag %q", got, resp.Header.Get("ETag"))
				}
				return
			}
			if string(body) != test.body {
				t.Errorf("body %q, want %q", body, test.body)
			}
			if got := resp.Header.Get("ETag"); got != etag {
				t.Errorf("ETag %s, want %s", got, etag)
			}
		})
	}
}

func TestServeContentHeaders(t *testing.T) {
	sum := sha256.Sum256([]byte("<script>"))
	want := map[string]string{
		"Content-Type":            "text/html; Charset=UTF-8", // exactly as stored
		"Content-Length":          "8",
		"Content-Disposition":     `attachment; filename="s_knad.pdf"; filename*=UTF-8''s%C3%B8knad.pdf`,
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox",
		"Repr-Digest":             "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		"Accept-Ranges":           "bytes",
		"Cache-Control":           "no-store",
		"Etag":                    `"` + revision + `"`,
	}
	store, content := stored(t, "<script>")
	for _, method := range []string{"GET", "HEAD"} {
		resp, _, _ := serve(t, method, content, store)
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s: %s, want %s", method, name, got, value)
			}
		}
		if len(resp.Header) != len(want) {
			t.Errorf("%s: headers %v, want only %v", method, resp.Header, want)
		}
	}
	resp, _, _ := serve(t, "GET", content, store, "Range: bytes=1-3")
	if got := resp.Header.Get("Repr-Digest"); got != want["Repr-Digest"] || resp.Header.Get("Content-Length") != "3" {
		t.Errorf("range: Repr-Digest %s, Content-Length %s", got, resp.Header.Get("Content-Length"))
	}
	content.ContentType = "text/html\r\nX-Evil: 1"
	if resp, _, _ := serve(t, "GET", content, store); resp.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("an invalid content type is sent as %q", resp.Header.Get("Content-Type"))
	}
}

func TestServeEmptyContent(t *testing.T) {
	store, content := stored(t, "")
	for _, headers := range [][]string{nil, {"Range: bytes=-5"}} {
		resp, recorded, sent := serve(t, "GET", content, store, headers...)
		if resp.StatusCode != 200 || recorded != 1 || !sent || resp.Header.Get("Content-Length") != "0" {
			t.Errorf("%v: status %d, recorded %d, sent %v", headers, resp.StatusCode, recorded, sent)
		}
	}
	if resp, recorded, _ := serve(t, "GET", content, store, "Range: bytes=0-"); resp.StatusCode != 416 || recorded != 0 {
		t.Errorf("status %d, recorded %d, want 416 and 0", resp.StatusCode, recorded)
	}
}

// oneObject is a source that returns the same object for every key.
type oneObject blob.Object

func (o oneObject) Get(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
	return blob.Object(o), nil
}

func (o oneObject) PresignGet(context.Context, blob.Key, string) (blob.PresignedRequest, error) {
	return blob.PresignedRequest{}, errors.New("presigning fails")
}

// If the content differs from its description, ServeContent writes nothing and records no download.
func TestServeContentFailures(t *testing.T) {
	broken := errors.New("broken")
	body := func(size int64, r io.Reader) Source {
		return oneObject{Body: io.NopCloser(r), Size: size}
	}
	for _, test := range []struct {
		name   string
		change func(*Content)
		source Source // nil: a store with the content
		want   error  // nil: any
	}{
		{"replaced", func(c *Content) { c.Key = blob.NewKey("nav/app2018", "50001", "instance") }, nil, blob.ErrNotFound},
		{"another size", func(c *Content) { c.Size++ }, nil, nil},
		{"no digest", func(c *Content) { c.SHA256 = "" }, nil, nil},
		{"digest of another length", func(c *Content) { c.SHA256 = hex.EncodeToString([]byte("short")) }, nil, nil},
		{"connection lost", nil, body(10, iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"short", nil, body(10, strings.NewReader("01234")), nil},
		{"checksum at the end", nil, body(10, io.MultiReader(strings.NewReader("0123456789"), iotest.ErrReader(broken))), broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, content := stored(t, "0123456789")
			if test.source == nil {
				test.source = store
			}
			if test.change != nil {
				test.change(&content)
			}
			w := httptest.NewRecorder()
			sent, err := ServeContent(w, httptest.NewRequest("GET", "/", nil), content, test.source, func() error {
				t.Error("beforeSending was called")
				return nil
			})
			if err == nil || sent || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("sent %v, error %v, want %v", sent, err, test.want)
			}
			if len(w.Header()) > 0 || w.Body.Len() > 0 {
				t.Errorf("written: %v %q", w.Header(), w.Body)
			}
		})
	}
}

func TestServeContentSendsNothingIfRecordingFails(t *testing.T) {
	store, content := stored(t, "0123456789")
	w := httptest.NewRecorder()
	errBusy := fault.New(fault.Unavailable, "busy", "Try again.")
	sent, err := ServeContent(w, httptest.NewRequest("GET", "/", nil), content, store, func() error { return errBusy })
	if !errors.Is(err, errBusy) || sent || len(w.Header()) > 0 || w.Body.Len() > 0 {
		t.Errorf("sent %v, error %v, written %v %q", sent, err, w.Header(), w.Body)
	}
	if sent, err := ServeContent(w, httptest.NewRequest("GET", "/", nil), content, store, nil); err != nil || !sent {
		t.Errorf("without beforeSending: sent %v, error %v", sent, err)
	}
}
