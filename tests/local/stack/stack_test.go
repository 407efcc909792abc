package stack

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// received is the request that the front sends to the local AWS.
type received struct {
	host, uri, authorization, body string
	close                          bool
}

func TestFrontForwardsUnchanged(t *testing.T) {
	var got received
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = received{r.Host, r.RequestURI, r.Header.Get("Authorization"), string(body), r.Close}
		w.Header().Set("ETag", `"7"`)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer aws.Close()
	front, err := newFront(aws.URL, "apps", "storage", nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front.Handler)
	defer server.Close()

	const apps, storage = "apps.execute-api.localhost", "storage.execute-api.localhost"
	for _, test := range []struct{ uri, host string }{
		{"/nav/app2018/instances", apps},
		{"/nav/app2018/instances/50001/x?a=1&a=2&b=%2F+c;d", apps},
		{"/nav/app%2F2018/instances", apps},
		{"/storage/instances?lastChangedDateTime=after(2019-05-01)&label=%zz", storage},
		{"/storage", storage},
		{"/storagex/app/instances", apps},
		{"/", apps},
	} {
		req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("\x00\xff body"))
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(test.uri, "?")
		req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+path, query
		req.Header.Set("Authorization", "Bearer x")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if want := (received{test.host, test.uri, "Bearer x", "\x00\xff body", true}); got != want {
			t.Errorf("%s: the API got %+v, want %+v", test.uri, got, want)
		}
		if resp.StatusCode != http.StatusTeapot || resp.Header.Get("ETag") != `"7"` {
			t.Errorf("%s: the response is %s %v, not the API's", test.uri, resp.Status, resp.Header)
		}
	}
}

func TestFrontReportsMissingAWS(t *testing.T) {
	aws := httptest.NewServer(http.NotFoundHandler())
	front, err := newFront(aws.URL, "apps", "storage", nil)
	if err != nil {
		t.Fatal(err)
	}
	aws.Close()
	recorder := httptest.NewRecorder()
	front.Handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/storage/instances", nil))
	if recorder.Code != http.StatusBadGateway || !strings.Contains(recorder.Body.String(), "local AWS") {
		t.Errorf("got %d %q", recorder.Code, recorder.Body)
	}
}

func TestPortInUse(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", ":0"} {
		other, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(other.Addr().String())
		_, err = listen(port)
		if err == nil || !strings.Contains(err.Error(), "port "+port+" is in use") || !strings.Contains(err.Error(), "PORT=") {
			t.Errorf("with a server on %s: got %v", address, err)
		}
		_ = other.Close()
	}
}

func TestIdentityKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	keys := make([]string, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := identityKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if key != keys[0] || len(key) < 32 {
			t.Errorf("concurrently created keys: %q and %q, want one of at least 32 characters", keys[0], key)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	remaining, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(remaining) != 1 {
		t.Errorf("files %v remain, want only the key (%v)", remaining, err)
	}
}
