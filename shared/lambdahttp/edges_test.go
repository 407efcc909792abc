package lambdahttp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
)

// TestEdges has one subtest for each known defect of package core's conversion.
func TestEdges(t *testing.T) {
	t.Run("path variables are intact although rawPath is decoded", testPathVariables)
	t.Run("the path omits a stage or mapping prefix of rawPath", testPrefix)
	t.Run("without a route key the path is rawPath", testNoRouteKey)
	t.Run("a conversion error is a 400", testConversionError)
	t.Run("header fields are not split", testHeaderWhole)
	t.Run("clients cannot forge context headers", testForgedContext)
	t.Run("no write is a 200", testEmptyResponse)
	t.Run("the first WriteHeader counts", testWriteHeaderOnce)
	t.Run("header fields do not change after WriteHeader", testHeaderFrozen)
	t.Run("there is no Flusher", testNoFlusher)
	t.Run("HEAD has a length and no body", testHead)
	t.Run("binary both ways", testBinary)
	t.Run("a response too large for Lambda is a problem", testTooLarge)
	t.Run("a truncated body is a problem", testTruncated)
	t.Run("the remote address has a host and a port", testRemoteAddr)
	t.Run("the host is the client's", testHost)
	t.Run("the query is unchanged", testQuery)
	t.Run("cookies", testCookies)
	t.Run("text that is not UTF-8 is rejected", testAlteredText)
	t.Run("every response has the default header fields", testDefaultHeader)
}

func testPathVariables(t *testing.T) {
	for _, tt := range []struct{ value, escaped string }{
		{"app2018", "app2018"},
		{"a?formId=evil", "a%3FformId=evil"},
		{"a#b", "a%23b"},
		{"a%zz", "a%25zz"},
		{"a%2Fb", "a%252Fb"},
		{"a/b", "a%2Fb"},
		{"a\nb", "a%0Ab"},
		{"a\x00b", "a%00b"},
		{"..", ".."},
		{".", "."},
		{"a b+c", "a%20b+c"},
		{"æøå", "%C3%A6%C3%B8%C3%A5"},
		{"a;b,c=d&e", "a%3Bb%2Cc=d&e"},
		{`"<>\^{|}`, "%22%3C%3E%5C%5E%7B%7C%7D"},
		{"", ""},
	} {
		t.Run(tt.value, func(t *testing.T) {
			e := event("nav", tt.value)
			e.RawQueryString = "formId=good"
			r := received(t, e)
			if got := r.PathValue("app"); got != tt.value || r.PathValue("org") != "nav" {
				t.Errorf("app = %q, org = %q", got, r.PathValue("org"))
			}
			if r.URL.Path != "/nav/"+tt.value || r.URL.EscapedPath() != "/nav/"+tt.escaped {
				t.Errorf("path %q, escaped %q", r.URL.Path, r.URL.EscapedPath())
			}
			if r.URL.RawQuery != "formId=good" || r.URL.Fragment != "" || r.URL.Host != "" {
				t.Errorf("URL = %#v", r.URL)
			}
			if r.RequestURI != "/nav/"+tt.escaped+"?formId=good" || r.Pattern != "GET /{org}/{app}" {
				t.Errorf("RequestURI = %q, Pattern = %q", r.RequestURI, r.Pattern)
			}
		})
	}
	e := event("", "")
	e.RouteKey, e.PathParameters = "ANY /docs/{rest+}", map[string]string{"rest": "a/b?c/%2F"}
	if r := received(t, e); r.URL.EscapedPath() != "/docs/a/b%3Fc/%252F" || r.PathValue("rest") != "a/b?c/%2F" {
		t.Errorf("greedy: %s", r.URL.EscapedPath())
	}
}

func testPrefix(t *testing.T) {
	e := event("nav", "app")
	e.RawPath, e.RequestContext.Stage = "/prod/nav/app", "prod"
	if r := received(t, e); r.URL.Path != "/nav/app" {
		t.Errorf("path = %s", r.URL.Path)
	}
	e.RouteKey, e.RawPath = "GET /storagex/{org}/{app}", "/storage/storagex/nav/app"
	if r := received(t, e); r.URL.Path != "/storagex/nav/app" {
		t.Errorf("path = %s", r.URL.Path)
	}
}

func testNoRouteKey(t *testing.T) {
	for _, tt := range []struct{ key, contextKey, raw, want string }{
		{"$default", "$default", "/nav/app", "/nav/app"},
		{"", "", "/nav/app", "/nav/app"},
		{"", "", "", "/from/context"},
		{"$default", "", "//elsewhere.no/x", "//elsewhere.no/x"},
		{"$default", "", "/a?b#c%zz", "/a%3Fb%23c%25zz"},
		{"$default", "", "*", "/%2A"},
		{"GET /{missing}", "", "/nav/app", "/nav/app"},
		{"GET", "", "/nav/app", "/nav/app"},
		{"", "GET /{org}/{app}", "/x", "/nav/a"}, // from an emulator that sends the key only in the context
	} {
		e := event("nav", "a")
		e.RouteKey, e.RequestContext.RouteKey, e.RawPath, e.RequestContext.HTTP.Path = tt.key, tt.contextKey, tt.raw, "/from/context"
		r := received(t, e)
		if r.URL.EscapedPath() != tt.want || r.URL.Host != "" || r.URL.RawQuery != "" {
			t.Errorf("%+v: got %s", tt, r.URL)
		}
		if r.PathValue("org") != "nav" {
			t.Errorf("%+v: org = %q", tt, r.PathValue("org"))
		}
	}
}

func testConversionError(t *testing.T) {
	for name, corrupt := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"bad base64":         func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "!", true },
		"no method":          func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "" },
		"method with spaces": func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "GET /" },
		"domain with spaces": func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.DomainName = "a b" },
		"domain with path":   func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.DomainName = "a/b" },
		"no HTTP event": func(e *events.APIGatewayV2HTTPRequest) {
			*e = events.APIGatewayV2HTTPRequest{RequestContext: events.APIGatewayV2HTTPRequestContext{RequestID: "x"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := event("nav", "app")
			corrupt(&e)
			response := handle(t, e, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
			wantProblem(t, response, 400, "request-malformed")
		})
	}
}

func testHeaderWhole(t *testing.T) {
	values := map[string]string{
		"If-Match": `"a,b", "c"`, "If-None-Match": `W/"1"`, "If-Range": "Fri, 20 Nov 2026 10:11:12 GMT", "Date": "Fri, 20 Nov 2026 10:11:12 GMT",
		"Idempotency-Key": `"a,b"`, "X-Forwarded-For": "192.0.2.1, 198.51.100.7", "Content-Disposition": `attachment; filename="a,b"`,
		"Accept": "text/html, */*;q=0.1", "Authorization": "Bearer x",
	}
	for _, spelling := range []func(string) string{strings.ToLower, strings.ToUpper, http.CanonicalHeaderKey} {
		e := event("nav", "app")
		for name, value := range values {
			e.Headers[spelling(name)] = value
		}
		r := received(t, e)
		for name, value := range values {
			if got := r.Header.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s = %q, want %q", name, got, value)
			}
		}
		if at, err := http.ParseTime(r.Header.Get("Date")); err != nil || at.Year() != 2026 {
			t.Errorf("Date: %v %v", at, err)
		}
	}
	e := event("nav", "app")
	e.Headers["x-a"], e.Headers["X-A"], e.Headers["transfer-encoding"] = "lower", "upper", "chunked"
	for range 10 {
		r := received(t, e)
		if got := r.Header["X-A"]; !slices.Equal(got, []string{"upper", "lower"}) {
			t.Fatalf("two spellings: %q", got)
		}
		if r.Header.Get("Transfer-Encoding") != "" {
			t.Error("the handler got Transfer-Encoding")
		}
	}
}

func testForgedContext(t *testing.T) {
	e := event("nav", "app")
	e.RequestContext.AccountID = "the gateway's"
	for _, name := range []string{core.APIGwContextHeader, strings.ToLower(core.APIGwContextHeader), core.APIGwStageVarsHeader, "x-golambdaproxy-later"} {
		e.Headers[name] = `{"accountId":"forged"}`
	}
	r := received(t, e)
	for name := range maps.Keys(r.Header) {
		if strings.HasPrefix(strings.ToLower(name), "x-golambdaproxy") {
			t.Errorf("%s reached the handler", name)
		}
	}
	if _, err := new(core.RequestAccessorV2).GetAPIGatewayContextV2(r); err == nil {
		t.Error("core reads a context from the header")
	}
	if c, ok := core.GetAPIGatewayV2ContextFromContext(r.Context()); !ok || c.AccountID != "the gateway's" {
		t.Errorf("context form: %v %q", ok, c.AccountID)
	}
}

func testEmptyResponse(t *testing.T) {
	response := handle(t, event("nav", "app"), func(http.ResponseWriter, *http.Request) {})
	if response.StatusCode != 200 || response.Body != "" || response.IsBase64Encoded || response.Headers["Content-Type"] != "" {
		t.Errorf("response = %+v", response)
	}
	response = handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"1"`) })
	if response.StatusCode != 200 || response.Headers["Etag"] != `"1"` {
		t.Errorf("response = %+v", response)
	}
}

func testWriteHeaderOnce(t *testing.T) {
	lines := captureLog(t)
	response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusContinue)
		w.WriteHeader(http.StatusInternalServerError)
		w.WriteHeader(http.StatusOK)
	})
	if response.StatusCode != 500 {
		t.Errorf("status = %d", response.StatusCode)
	}
	if logged := lines(); len(logged) != 1 || logged[0]["superfluousStatus"] != 200.0 {
		t.Errorf("log = %v", logged)
	}
	for _, status := range []int{0, -1, 99, 600, 1000} {
		response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		wantProblem(t, response, 500, "internal")
	}
	for _, status := range []int{204, 304} {
		response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(status)
			if _, err := io.WriteString(w, "abc"); err != http.ErrBodyNotAllowed {
				t.Errorf("%d: err = %v", status, err)
			}
		})
		if response.StatusCode != status || response.Body != "" || response.Headers["Content-Length"] != "" {
			t.Errorf("response = %+v", response)
		}
	}
}

func testHeaderFrozen(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"by WriteHeader": func(w http.ResponseWriter) { w.WriteHeader(200) },
		"by Write":       func(w http.ResponseWriter) { io.WriteString(w, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Before", "1")
				w.Header().Add("X-Twice", "1")
				begin(w)
				w.Header().Set("X-After", "1")
				w.Header().Add("X-Twice", "2")
				w.Header().Del("X-Before")
			})
			if h := response.Headers; h["X-Before"] != "1" || h["X-After"] != "" || h["X-Twice"] != "1" {
				t.Errorf("headers = %v", h)
			}
		})
	}
	response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Link", "<a>; rel=next")
		w.Header().Add("Link", "<b>; rel=self")
		w.Header().Set("X-Split", "a\r\nSet-Cookie: evil=1")
		w.Header().Add("Set-Cookie", "a=1; Expires=Fri, 20 Nov 2026 10:11:12 GMT")
		w.Header().Add("Set-Cookie", "b=2")
	})
	if h := response.Headers; h["Link"] != "<a>; rel=next,<b>; rel=self" || h["X-Split"] != "a  Set-Cookie: evil=1" || h["Set-Cookie"] != "" {
		t.Errorf("headers = %v", h)
	}
	if len(response.Cookies) != 2 {
		t.Errorf("cookies = %q", response.Cookies)
	}
}

func testNoFlusher(t *testing.T) {
	handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err == nil {
			t.Error("Flush succeeded, although the response stays in memory")
		}
	})
}

func testHead(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		h          http.HandlerFunc
	}{
		{"length of the body", "5", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "12345") }},
		{"declared length", "7", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "7") }},
		{"length of a file", "9000000", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, 9_000_000)))
		}},
		{"larger than the limit", "9000000", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 9_000_000)) }},
		{"unknown length", "", func(http.ResponseWriter, *http.Request) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := event("nav", "app")
			e.RequestContext.HTTP.Method = "HEAD"
			response := handle(t, e, tt.h)
			if response.StatusCode != 200 || response.Body != "" || response.Headers["Content-Length"] != tt.want {
				t.Errorf("%d %q %v", response.StatusCode, response.Body, response.Headers)
			}
		})
	}
}

func testBinary(t *testing.T) {
	allBytes := make([]byte, 256)
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	for _, tt := range []struct {
		name, contentType string
		body              []byte
		base64            bool
	}{
		{"every byte", "application/octet-stream", allBytes, true},
		{"a PDF that is ASCII", "application/pdf", []byte("%PDF-1.7"), true},
		{"JSON", "application/json; charset=utf-8", []byte(`{"a":"æ\u2028` + "\u2028" + `"}`), false},
		{"problem", "application/problem+json", []byte(`{}`), false},
		{"XML with a byte order mark", "application/xml", []byte("\uFEFF<a/>"), false},
		{"declared Latin-1", "text/xml; charset=iso-8859-1", []byte("<a>\xe6</a>"), true},
		{"half a character", "text/plain", []byte("\xc3"), true},
		{"a surrogate", "text/plain", []byte("\xed\xa0\x80"), true},
		{"a replacement character", "text/plain", []byte("\uFFFD"), false},
		{"zeros over the limit for text", "text/plain", make([]byte, short+1), true},
		{"a few zeros", "text/plain", make([]byte, short), false},
		{"no content type", "", []byte("<script>"), true},
		{"invalid content type", ";;", []byte("x"), true},
		{"empty", "application/pdf", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := event("nav", "app")
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(tt.body), true
			e.RequestContext.HTTP.Method = "PUT"
			response := handle(t, e, func(w http.ResponseWriter, r *http.Request) {
				in, err := io.ReadAll(r.Body)
				if err != nil || !bytes.Equal(in, tt.body) || r.ContentLength != int64(len(tt.body)) {
					t.Errorf("in: %q %v", in, err)
				}
				if tt.contentType != "" {
					w.Header().Set("Content-Type", tt.contentType)
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(in)))
				w.Write(in[:len(in)/2])
				w.Write(in[len(in)/2:])
			})
			if response.IsBase64Encoded != tt.base64 || !bytes.Equal(bytesOf(t, response), tt.body) {
				t.Errorf("out: %v %q", response.IsBase64Encoded, response.Body)
			}
			want := tt.contentType
			if want == "" {
				want = "application/octet-stream"
			}
			if response.Headers["Content-Type"] != want || response.Headers["Content-Length"] != "" {
				t.Errorf("headers = %v", response.Headers)
			}
		})
	}
	e := event("nav", "app")
	e.Body = "text, ikke base64: æ"
	if in, _ := io.ReadAll(received(t, e).Body); string(in) != e.Body {
		t.Errorf("text in: %q", in)
	}
}

func testTooLarge(t *testing.T) {
	serve := func(size int, contentType string) events.APIGatewayV2HTTPResponse {
		return handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for chunk := make([]byte, 1<<20); size > 0; size -= len(chunk) {
				if size < len(chunk) {
					chunk = chunk[:size]
				}
				for i := range chunk {
					chunk[i] = 'x'
				}
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	}
	for _, tt := range []struct {
		size        int
		contentType string
		ok          bool
	}{
		{4_400_000, "application/pdf", true}, // the limit of an inline body
		{4_800_000, "application/pdf", false},
		{6_200_000, "text/plain", true},
		{6_290_000, "text/plain", false},
		{50_000_000, "text/plain", false},
	} {
		t.Run(fmt.Sprintf("%d of %s", tt.size, tt.contentType), func(t *testing.T) {
			lines := captureLog(t)
			response := serve(tt.size, tt.contentType)
			if tt.ok {
				if got := len(bytesOf(t, response)); response.StatusCode != 200 || got != tt.size {
					t.Errorf("status %d, %d bytes", response.StatusCode, got)
				}
				return
			}
			wantProblem(t, response, 500, "response-too-large")
			if logged := lines(); len(logged) != 1 || !strings.Contains(fmt.Sprint(logged[0]["cause"]), "bytes") {
				t.Errorf("log = %v", logged)
			}
		})
	}
}

func testTruncated(t *testing.T) {
	for _, declared := range []string{"4", "2", "x"} {
		response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", declared)
			io.WriteString(w, "abc")
		})
		wantProblem(t, response, 500, "internal")
	}
}

func testRemoteAddr(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "192.0.2.1:4711": "192.0.2.1", "": "0.0.0.0", "a]b": "0.0.0.0",
	} {
		e := event("nav", "app")
		e.RequestContext.HTTP.SourceIP = ip
		r := received(t, e)
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || host != want {
			t.Errorf("%q: %q %v", ip, r.RemoteAddr, err)
		}
	}
}

func testHost(t *testing.T) {
	e := event("nav", "app")
	e.Headers["host"] = "nav.apps.altinn.no"
	if r := received(t, e); r.Host != "nav.apps.altinn.no" || r.Header.Get("Host") != "" || r.URL.Host != "" {
		t.Errorf("Host = %q %q", r.Host, r.URL.Host)
	}
	delete(e.Headers, "host")
	if r := received(t, e); r.Host != "platform.altinn.no" {
		t.Errorf("Host = %q", r.Host)
	}
	e.RequestContext.DomainName = ""
	if r := received(t, e); r.URL.Path != "/nav/app" {
		t.Errorf("without a domain: %s", r.URL)
	}
}

func testQuery(t *testing.T) {
	for _, q := range []string{
		"", "lastChangedDateTime=after(2019-05-01)&label=a&label=b", "a=b+c%20d&e=%C3%A6", "a;b=c", "a=%zz", "=&&=", "a=b#c", "a=æ", "a=\x00\n", "?", "a=b?c",
	} {
		e := event("nav", "app")
		e.RawQueryString = q
		e.QueryStringParameters = map[string]string{"label": "a,b"} // decoded and joined, so unusable
		if q == "" {
			e.QueryStringParameters = nil
		}
		r := received(t, e)
		if r.URL.RawQuery != q || r.URL.Path != "/nav/app" || r.URL.Fragment != "" {
			t.Errorf("%q: got %q, path %q, fragment %q", q, r.URL.RawQuery, r.URL.Path, r.URL.Fragment)
		}
	}
	e := event("nav", "app")
	e.QueryStringParameters = map[string]string{"label": "a&b", "x": ""}
	if got := received(t, e).URL.Query(); got.Get("label") != "a&b" || len(got) != 2 {
		t.Errorf("from the map: %v", got)
	}
	// Only the raw query shows the invalid escape.
	e.RawQueryString = "a=%zz&b=1"
	if _, err := url.ParseQuery(received(t, e).URL.RawQuery); err == nil {
		t.Error("the invalid escape is missing")
	}
}

func testCookies(t *testing.T) {
	e := event("nav", "app")
	e.Cookies = []string{"a=1", "b=2"}
	for range 2 {
		r := received(t, e)
		if got := r.Cookies(); len(got) != 2 || got[0].String() != "a=1" || got[1].String() != "b=2" {
			t.Errorf("cookies = %v", got)
		}
		e.Headers["Cookie"] = "a=1; b=2" // an emulator sends the cookies twice
	}
	e.Cookies = nil // another emulator sends only the header field
	if got := received(t, e).Cookies(); len(got) != 2 {
		t.Errorf("cookies = %v", got)
	}
}

func testAlteredText(t *testing.T) {
	e := event("nav", "app")
	e.RequestContext.HTTP.Method = "PUT"
	e.Body = "<a>\uFFFD</a>" // Latin-1 of eight bytes
	e.Headers["content-length"] = "8"
	response := handle(t, e, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	wantProblem(t, response, 400, "body-not-utf8")
	for _, way := range []string{"application/octet-stream", "multipart/form-data", "base64", "announced upload"} {
		if !strings.Contains(response.Body, way) {
			t.Errorf("the detail does not name %s: %s", way, response.Body)
		}
	}

	e.Headers["content-length"] = "10" // the client itself sent the replacement character
	received(t, e)
	delete(e.Headers, "content-length") // chunked, so the length is unknown
	wantProblem(t, handle(t, e, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }), 400, "body-not-utf8")
	e.Body = "<a>æ</a>"
	received(t, e)
}

func testDefaultHeader(t *testing.T) {
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
	}
	bad := event("nav", "app")
	bad.Body, bad.IsBase64Encoded = "!", true
	for name, response := range map[string]events.APIGatewayV2HTTPResponse{
		"empty":     handle(t, event("nav", "app"), func(http.ResponseWriter, *http.Request) {}),
		"panic":     handle(t, event("nav", "app"), func(http.ResponseWriter, *http.Request) { panic(1) }),
		"malformed": handle(t, bad, nil),
	} {
		for field, value := range want {
			if response.Headers[field] != value {
				t.Errorf("%s: %s = %q", name, field, response.Headers[field])
			}
		}
	}
	response := handle(t, event("nav", "app"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header()["Strict-Transport-Security"] = nil // the handler suppresses the default
	})
	if h := response.Headers; h["Cache-Control"] != "max-age=60" || h["Strict-Transport-Security"] != "" {
		t.Errorf("headers = %v", h)
	}
}
