package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHarness tests the verbs against a small server that provides what each of them checks.
func TestHarness(t *testing.T) {
	server := httptest.NewServer(fakeServer())
	t.Cleanup(server.Close)
	// Scripts run in parallel after this function has returned. The group ends them before the
	// server is closed.
	t.Run("verbs", func(t *testing.T) {
		runScripts(t, "testdata/harness", api{base: server.URL, appsBase: server.URL}, fakeToken, false)
	})
}

func fakeToken(_ context.Context, vars map[string]string) (string, error) {
	return "token-of-" + vars["ORG"], nil
}

// fakeServer serves the requests of testdata/harness.
func fakeServer() http.Handler {
	var polled atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/echo/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Authorization", r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/storage/rejected", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"type":"urn:x","title":"Conflict","status":409,"detail":"d","instance":"urn:y","code":"data-locked","traceId":"t"}`)
	})
	mux.HandleFunc("/storage/slow", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `[%s]`, strings.TrimSuffix(strings.Repeat("1,", int(polled.Add(1))), ","))
	})
	mux.HandleFunc("/storage/hal", func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.FormValue("page"))
		body := map[string]any{"_links": map[string]any{}, "_embedded": map[string]any{"instances": []any{map[string]any{"id": page}}}}
		if page < 2 {
			body["_links"] = map[string]any{"next": map[string]any{"href": fmt.Sprintf("https://elsewhere.example/storage/hal?page=%d", page+1)}}
		}
		_ = json.NewEncoder(w).Encode(body)
	})
	mux.HandleFunc("/storage/feed", func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.FormValue("after"))
		next := min(after+1, 3)
		w.Header().Set("Link", fmt.Sprintf(`</ignored>; rel="prev", <https://elsewhere.example/storage/feed?after=%d>; rel="next"`, next))
		if after == 1 || after == 3 { // a page that the filter left empty, and the last page
			_, _ = io.WriteString(w, `[]`)
			return
		}
		_, _ = fmt.Fprintf(w, `[{"id":"e%d"}]`, after)
	})
	return mux
}

// TestChecksFail runs every check with values for which it must hold, and with values for which it
// must not.
func TestChecksFail(t *testing.T) {
	x := &exchange{
		status: 404,
		header: http.Header{"Etag": {`"1"`}, "Content-Type": {"application/json"}},
		body:   []byte(`{"id":"a","n":12345678901234567890,"list":[{"k":"x"},{"k":"y"}],"empty":[],"null":null,"html":"<&>"}`),
	}
	holds := []string{
		`status 404`, `header ETag == "1"`, `header Link absent`, `json .id == a`, `json .n == 12345678901234567890`,
		`json .list[1].k == y`, `json .list[*].k contains y`, `json .list[*].k == ["x","y"]`, `json .list[*].none == []`,
		`count .list 2`, `count .empty 0`, `count .list[*].k 2`, `json .none absent`, `json .null exists`, `json .null == null`,
		`json .html == <&>`, `json .id matches ^a$`, `body contains 1234`, `members .list[0] k`, `status 404 and json .id == a`,
		`json .list[*].k lacks z`, `json .id != b`,
	}
	fails := []string{
		`status 200`, `status`, `problem 404`, `header ETag == "2"`, `header ETag == 1`, `header ETag absent`, `header Link exists`,
		`header Link matches .*`, `json .id == b`, `json .id absent`, `json .none == ""`, `json .none != x`, `json .none lacks x`,
		`json .none matches .*`, `json .list[2].k exists`, `json .list[*].k contains z`, `json .list[*].k contains xy`,
		`count .list 1`, `count .none 0`, `count .id 1`, `count .null 0`, `json id == a`, `json .id = a`, `json .id == a b`,
		`members .list[0] k l`, `members . id`, `members .none k`, `body absent`, `body == testdata/none`, `body lacks 1234`,
		`json .id matches (`, `status 404 and json .id == b`, `status 404 and`, `and status 404`, `call GET /`, ``,
	}
	for _, words := range holds {
		if err := checkAll(discard{}, x, strings.Fields(words)); err != nil {
			t.Errorf("%q does not hold: %v", words, err)
		}
	}
	for _, words := range fails {
		if err := checkAll(discard{}, x, strings.Fields(words)); err == nil {
			t.Errorf("%q holds", words)
		}
	}
}

// TestProblemIsComplete removes each member of a problem in turn.
func TestProblemIsComplete(t *testing.T) {
	whole := map[string]any{"type": "urn:x", "title": "t", "status": 401, "detail": "d", "instance": "i", "code": "c", "traceId": "r"}
	for without := range whole {
		part := map[string]any{}
		for name, value := range whole {
			if name != without {
				part[name] = value
			}
		}
		if err := checkProblem(discard{}, problemOf(t, part), []string{"401"}); err == nil {
			t.Errorf("a problem without %s passes", without)
		}
	}
	x := problemOf(t, whole)
	if err := checkProblem(discard{}, x, []string{"401", "c"}); err != nil {
		t.Error(err)
	}
	if err := checkProblem(discard{}, x, []string{"401", "d"}); err == nil {
		t.Error("another code passes")
	}
	x.header.Del("WWW-Authenticate")
	if err := checkProblem(discard{}, x, []string{"401"}); err == nil {
		t.Error("a 401 without WWW-Authenticate passes")
	}
}

func problemOf(t *testing.T, members map[string]any) *exchange {
	t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/problem+json"}, "Www-Authenticate": {"Bearer"}}
	return &exchange{status: http.StatusUnauthorized, header: header, body: body}
}

// TestExchangeHidesTokens prints an exchange whose request has a token, set by -as and by -H.
func TestExchangeHidesTokens(t *testing.T) {
	server := httptest.NewServer(fakeServer())
	t.Cleanup(server.Close)
	target := api{base: server.URL, appsBase: server.URL}
	req := request{method: "POST", target: "/echo/x", as: "owner", header: http.Header{"Authorization": {"Bearer by-header"}}}
	for _, token := range []string{"", "by-name"} {
		x, err := target.do(t.Context(), req, token)
		if err != nil {
			t.Fatal(err)
		}
		x.header.Del("X-Authorization") // the fake server repeats the token in it
		if text := x.String(); strings.Contains(text, "by-") {
			t.Errorf("the token is printed:\n%s", text)
		}
	}
}

// discard implements files and keeps nothing.
type discard struct{}

func (discard) Setenv(string, string)                {}
func (discard) readFile(name string) ([]byte, error) { return os.ReadFile(name) }
func (discard) writeFile(string, []byte) error       { return nil }
