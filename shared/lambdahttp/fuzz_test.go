package lambdahttp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// FuzzHandle sends events that a gateway or an emulator might send, in Lambda's JSON, to a
// handler that echoes the body. The response must always be an HTTP response, and the handler
// must get the request that the client sent.
func FuzzHandle(f *testing.F) {
	f.Add("GET", "GET /{org}/{app}", "/nav/app", "nav", "app", "a=b", "accept", "*/*", "192.0.2.1", "x.no", []byte("body"), false)
	f.Add("HEAD", "$default", "/a?b#c%zz", "a?b", "c#d", "a=%zz;b", "x-golambdaproxy-apigw-context", "{}", "", "", []byte{0xff, 0}, true)
	f.Add("PUT", "ANY /x/{org+}", "//y", "a/b/../c", "%2F", "#", "if-match", `"a,b"`, "::1", "x.no:80", []byte("\uFFFD"), false)
	f.Add("", "GET /{missing}", "", "", "\n", "\x00", "Content-Length", "1", "1.2.3.4:5", "a b", []byte(nil), true)
	f.Fuzz(func(t *testing.T, method, key, raw, org, app, query, name, value, ip, domain string, body []byte, isBase64 bool) {
		for _, s := range []string{method, key, raw, org, app, query, name, value, ip, domain} {
			if !utf8.ValidString(s) {
				t.Skip("JSON cannot contain this text")
			}
		}
		e := event(org, app)
		e.RouteKey, e.RawPath, e.RawQueryString, e.Headers = key, raw, query, map[string]string{name: value}
		e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP, e.RequestContext.DomainName = method, ip, domain
		e.Body, e.IsBase64Encoded = string(body), isBase64
		want := body
		if !isBase64 {
			if !utf8.Valid(body) {
				t.Skip("JSON cannot contain this text")
			}
		} else if decoded, err := base64.StdEncoding.DecodeString(string(body)); err == nil {
			want = decoded
		} else {
			e.Body = base64.StdEncoding.EncodeToString(body)
		}
		payload, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		called := false
		h := func(w http.ResponseWriter, r *http.Request) {
			called = true
			if r.PathValue("org") != org || r.PathValue("app") != app || r.URL.RawQuery != query || r.URL.Host != "" || r.URL.Fragment != "" {
				t.Errorf("request %#v", r.URL)
			}
			if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil {
				t.Error(err)
			}
			for field := range r.Header {
				if len(field) >= len(contextHeaderPrefix) && field[:len(contextHeaderPrefix)] == contextHeaderPrefix {
					t.Errorf("%s reached the handler", field)
				}
			}
			in, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(in, want) {
				t.Errorf("body %q %v, want %q", in, err, want)
			}
			w.Header().Set("Content-Type", value)
			w.Write(in)
		}
		out, err := New(http.HandlerFunc(h)).Invoke(t.Context(), payload)
		if err != nil {
			t.Fatal(err)
		}
		var response events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(out, &response); err != nil {
			t.Fatal(err)
		}
		switch {
		case !called:
			if response.StatusCode != 400 {
				t.Errorf("not called, status %d", response.StatusCode)
			}
		case response.StatusCode != 200:
			t.Errorf("status %d: %s", response.StatusCode, response.Body)
		case method != "HEAD" && !bytes.Equal(bytesOf(t, response), want):
			t.Errorf("out %q, want %q", bytesOf(t, response), want)
		}
	})
}

// FuzzEvent sends events that no gateway would send, and payloads that are not JSON. Every event
// must get a response, and the handler must get a request that a net/http server could have
// created.
func FuzzEvent(f *testing.F) {
	valid, err := json.Marshal(event("nav", "app"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(valid), `{}`, `null`, `[]`, `{"version":"1.0","httpMethod":"GET","path":"/"}`, `{"requestContext":{"http":{"method":"GET"}}}`,
		`{"routeKey":"GET /{a}/{b+}","pathParameters":{"a":"..","b":"../%2e/\u0000"},"requestContext":{"domainName":"x","http":{"method":"GET"}}}`,
		`{"routeKey":"$default","rawPath":"//evil.example/..","rawQueryString":"a=%","requestContext":{"domainName":"x","http":{"method":"TRACE","sourceIp":"::ffff:1.2.3.4"}}}`,
		`{"headers":{"Host":"a","host":"b","HOST":"","\u0000":"\n","content-length":"-1"},"cookies":["a=b","c"],"body":"=","isBase64Encoded":true,"requestContext":{"domainName":"x","http":{"method":"POST"}}}`,
		`{"body":"\ufffd","headers":{"Content-Length":"99999999999999999999"},"requestContext":{"domainName":"a@b","http":{"method":"POST"}}}`,
		`{"stageVariables":{"a":"b"},"requestContext":{"authorizer":{"jwt":{"claims":{"sub":"x"},"scopes":null},"lambda":{"a":[1,{"b":1e999}]},"iam":{"cognitoIdentity":{"amr":["x"]}}},"authentication":{"clientCert":{}}}}`,
	} {
		f.Add([]byte(seed))
	}
	h := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL == nil || len(r.URL.Path) == 0 || r.URL.Path[0] != '/' || r.URL.Host != "" || r.Method == "" || r.Header == nil || r.RequestURI == "" {
			panic("not a request of net/http's server")
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.Copy(w, r.Body) // both are in memory
	}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want events.APIGatewayV2HTTPRequest
		isEvent := json.Unmarshal(payload, &want) == nil
		out, err := h.Invoke(t.Context(), payload)
		if err != nil {
			if isEvent {
				t.Fatalf("Invoke fails for an event: %v", err)
			}
			return
		}
		var response events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(out, &response); err != nil || response.StatusCode != 200 && response.StatusCode != 400 {
			t.Fatalf("%d %s (%v)", response.StatusCode, out, err)
		}
		if response.StatusCode == 400 && !bytes.Contains([]byte(response.Body), []byte(`"code":"request-malformed"`)) && !bytes.Contains([]byte(response.Body), []byte(`"code":"body-not-utf8"`)) {
			t.Errorf("400 with another code: %s", response.Body)
		}
	})
}
