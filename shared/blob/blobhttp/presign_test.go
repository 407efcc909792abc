package blobhttp

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
)

// large returns content too large for a response of a function, and a store that fails the test if
// its content is read.
func large(t *testing.T) (*blobtest.Memory, Content) {
	t.Helper()
	store, content := stored(t, "never read")
	content.Size = 5 << 30
	store.Hook = func(c blobtest.Call) error {
		if c.Operation != "PresignGet" {
			t.Errorf("%s of a large blob", c.Operation)
		}
		return nil
	}
	return store, content
}

func TestLargeContentIsRedirected(t *testing.T) {
	etag := `"` + revision + `"`
	for _, test := range []struct {
		name    string
		method  string
		headers []string
		status  int
		sent    bool
		records bool
	}{
		{"whole", "GET", nil, 307, true, true},
		{"the first bytes", "GET", []string{"Range: bytes=0-3"}, 307, true, false},
		{"the rest", "GET", []string{"Range: bytes=3-"}, 307, true, true},
		{"matches", "GET", []string{"If-Match: " + etag}, 307, true, true},
		{"unsatisfiable", "GET", []string{"Range: bytes=5368709120-"}, 416, false, false},
		{"not modified", "GET", []string{"If-None-Match: " + etag}, 304, false, false},
		{"stale", "GET", []string{`If-Match: "x"`}, 412, false, false},
		{"head", "HEAD", nil, 200, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, content := large(t)
			resp, recorded, sent := serve(t, test.method, content, store, test.headers...)
			if resp.StatusCode != test.status || sent != test.sent || (recorded == 1) != test.records || recorded > 1 {
				t.Errorf("status %d, sent %v, recorded %d times; want %d, %v, %v", resp.StatusCode, sent, recorded, test.status, test.sent, test.records)
			}
			if (resp.Header.Get("Location") != "") != (test.status == 307) {
				t.Errorf("Location %q", resp.Header.Get("Location"))
			}
			if test.status < 400 && resp.Header.Get("ETag") != etag {
				t.Errorf("ETag %s", resp.Header.Get("ETag"))
			}
		})
	}
}

// Proxies may log the URL of a redirect, so it contains no text that the sender of the content has
// chosen.
func TestPresignedURLHasNoTextOfTheSender(t *testing.T) {
	store, content := large(t)
	content.ContentType = `text/html; name="12247918309.pdf"`
	resp, _, _ := serve(t, "GET", content, store)
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if location.Path != "/"+content.Key.String() || strings.Contains(location.String(), "12247918309") ||
		location.Query().Get("content-disposition") != `attachment; filename="vedlegg.pdf"; filename*=UTF-8''vedlegg.pdf` {
		t.Errorf("Location %s", location)
	}
	// The 307 itself has no content headers, because it has no body, and must not be cached.
	for name, want := range map[string]string{
		"Content-Type": "", "Content-Length": "", "Content-Disposition": "", "Accept-Ranges": "", "Cache-Control": "no-store",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	head, _, _ := serve(t, "HEAD", content, store)
	if digest := resp.Header.Get("Repr-Digest"); !strings.HasPrefix(digest, "sha-256=:") || head.Header.Get("Repr-Digest") != digest {
		t.Errorf("Repr-Digest %s, and for HEAD %s", digest, head.Header.Get("Repr-Digest"))
	}
	if got := head.Header.Get("Content-Length"); got != "5368709120" || head.Header.Get("Content-Type") != content.ContentType || !strings.Contains(head.Header.Get("Content-Disposition"), "s_knad.pdf") {
		t.Errorf("HEAD: Content-Length %s, headers %v", got, head.Header)
	}
}

func TestInlineLimit(t *testing.T) {
	for size, status := range map[int]int{blob.InlineLimit: 200, blob.InlineLimit + 1: 307} {
		store, content := stored(t, strings.Repeat("a", size))
		resp, _, _ := serve(t, "GET", content, store)
		if resp.StatusCode != status {
			t.Errorf("%d bytes: status %d, want %d", size, resp.StatusCode, status)
		}
		if status == 200 && resp.Header.Get("Content-Length") != strconv.Itoa(size) {
			t.Errorf("%d bytes: Content-Length %s", size, resp.Header.Get("Content-Length"))
		}
	}
}

func TestNoRedirectIfRecordingFails(t *testing.T) {
	store, content := large(t)
	errBusy := errors.New("busy")
	w := httptest.NewRecorder()
	sent, err := ServeContent(w, httptest.NewRequest(http.MethodGet, "/", nil), content, store, func() error { return errBusy })
	if !errors.Is(err, errBusy) || sent || len(w.Header()) > 0 {
		t.Errorf("sent %v, error %v, header %v", sent, err, w.Header())
	}
	sent, err = ServeContent(w, httptest.NewRequest(http.MethodGet, "/", nil), content, oneObject{}, func() error {
		t.Error("beforeSending was called without a URL")
		return nil
	})
	if err == nil || sent {
		t.Errorf("without a URL: sent %v, error %v", sent, err)
	}
}

// The memory that a download needs does not depend on the size of the blob.
func TestMemoryOfALargeDownload(t *testing.T) {
	small, content := stored(t, "small")
	cost := func(source Source, content Content) uint64 {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, err := ServeContent(httptest.NewRecorder(), request, content, source, nil); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / 100
	}
	store, largeContent := large(t)
	if smallCost, largeCost := cost(small, content), cost(store, largeContent); largeCost > smallCost+16<<10 {
		t.Errorf("5 GiB allocate %d bytes, 5 bytes allocate %d", largeCost, smallCost)
	}
}
