package robustness

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

// queries are invalid for every route, unless maybeValid is true.
var queries = []struct {
	raw        string
	maybeValid bool
}{
	{raw: "%"}, {raw: "%zz"}, {raw: "%ff=1"}, {raw: "label=%ff"}, {raw: "after=%C3%28"}, {raw: "a;b"}, {raw: "="}, {raw: "x=1"}, {raw: "Hard=true"}, {raw: "hard=maybe"}, {raw: "hard=true&hard=true"},
	{raw: "size=99999999999999999999"}, {raw: "size=-1"}, {raw: "size=1e3"}, {raw: "size="}, {raw: "page=AAAA"}, {raw: "page=-1"}, {raw: "page=%00"}, {raw: "page=" + strings.Repeat("A", 50)},
	{raw: "after=zzz"}, {raw: "after=c" + strings.Repeat("A", 60)}, {raw: "after=2019-02-30"}, {raw: "label=%00"}, {raw: "label=" + strings.Repeat("x", 5000)}, {raw: "label=a&label="},
	{raw: "lastChangedDateTime=between(((,)"}, {raw: "dueDateTime=gt:0000-00-00"}, {raw: "appId=..%2F..%2Fx"}, {raw: "appId=nav/%23"}, {raw: "instanceOwnerId=1%27--"},
	{raw: "order=desc&order=asc"}, {raw: "workflow.currentStep=" + strings.Repeat("x", 9000), maybeValid: true}, {raw: "workflow.currentStep=%23%00", maybeValid: true},
	{raw: "formId=..%2F"}, {raw: "formId=%00"}, {raw: "formId=any&upload=" + strings.Repeat("0", 9000)}, {raw: "__proto__=1"}, {raw: strings.Repeat("a=1&", 2000)}, {raw: strings.Repeat("label=a%2C", 500)},
	{raw: "$where=1"}, {raw: "a%5B%5D=1"}, {raw: "%E2%80%AE=1"},
}

func TestQueries(t *testing.T) {
	e := system
	for _, route := range e.withoutHead(t) {
		// A read of one resource ignores unknown parameters.
		strict := !route.Reads() || len(route.Parameters) > 0
		send := func() {
			for _, q := range queries {
				r := e.to(route)
				r.query = strings.TrimPrefix(r.query+"&"+q.raw, "&")
				if strict && !q.maybeValid || !route.Reads() {
					e.reject(t, "query", r)
				} else {
					e.try(t, "query", r)
				}
			}
		}
		if strict {
			e.unchanged(t, send)
		} else {
			send()
		}
	}
}

// segments replace a name or a number in the path.
var segments = []string{
	"..", ".", "%2e%2e", "%2F", "a%2Fb", "..%2F..%2Fetc%2Fpasswd", "%00", "%0D%0AX-Evil:%20y", "%FF", "%C3%28", "%EF%BF%BD", "%ED%A0%80", strings.Repeat("a", 3000), "x%3Fy", "%23", "nav%23x", "-1", "0", "00",
	"99999999999999999999", "%D9%A5", "Null", "undefined()", "%7B%7B7*7%7D%7D", "'%20OR%201=1", "*", "%25%32%46", "%20", "%C2%A0", "%E2%80%AE", "INSTANCE%2301", "WARM-UP", "{instanceGuid}", ";a=b", "a:b", "@", "~", "$default",
}

func TestPaths(t *testing.T) {
	e := system
	for _, route := range e.withoutHead(t) {
		e.unchanged(t, func() {
			for name, value := range e.variables {
				if !strings.Contains(route.Path, "{"+name+"}") {
					continue
				}
				for _, segment := range append([]string{strings.ToUpper(value) + "x", value + "%20", "%20" + value, value + "%00", value + "%2F"}, segments...) {
					r := e.to(route)
					r.path = strings.Replace(r.path, "/"+value, "/"+segment, 1)
					got, rejected := e.try(t, name, r)
					// A user's query for another party is empty.
					if !rejected && (route.Path != "/storage/instances/{instanceOwnerId}" || !bytes.Contains(got.Body, []byte(`"instances":[]`))) {
						t.Errorf("%s %s: %v", name, r, got)
					}
				}
			}
		})
	}
}

// fields are malformed or unexpected header fields that HTTP clients and servers pass on.
var fields = map[string][]string{
	"If-Match":                      {"", "7", `"7`, `W/"1"`, `"`, strings.Repeat(`"x",`, 2000), "\xff", `"1" "2"`, "%22*%22", "null"},
	"If-None-Match":                 {"", `"7`, `W/W/"1"`, strings.Repeat("W/", 3000), strings.Repeat(",", 8000), "\xff"},
	"Range":                         {"", "bytes", "bytes=", "bytes=-", "bytes=9-1", "bytes=-99999999999999999999", "bytes=99999999999999999999-", strings.Repeat("bytes=0-1,", 900), "lines=1-2", "bytes=0-0,-1", "bytes=\xff", "bytes=0-1-2"},
	"If-Range":                      {"", `W/"1"`, "Tue, 99 Foo 2026 00:00:00 GMT"},
	"Accept":                        {"", ",", "*", "/", "a/b;q=NaN", "application/x-ndjson;q=1e999", strings.Repeat("application/hal+json;q=0.0,", 350), strings.Repeat(`"`, 8000), "\xff/\xff", "text/html;level=\""},
	"Prefer":                        {"wait", "wait=", "wait=-1", "wait=1e9", "wait=99999999999999999999", "wait=0x10", strings.Repeat("wait=0,", 1000), "wait=\"0", ";;;", "\xff"},
	"Content-Disposition":           {"", "attachment; filename=", `attachment; filename="` + strings.Repeat("../", 2500), "attachment; filename*=UTF-8''%zz", "attachment; filename*=utf-16''%00a", "\xff\xfe", `x; filename*0="a"; filename*2="b"`, `attachment; filename="a" ; filename="b"`},
	"Content-Type":                  {";", "a", "a/b; c", "application/json; charset=utf-16", "multipart/form-data", `multipart/form-data; boundary=""`, "multipart/form-data; boundary=" + strings.Repeat("b", 5000), "application/json, application/json", "\xff/x", strings.Repeat("a", 300) + "/b"},
	"Content-Encoding":              {"gzip", "br, gzip", "x", "\xff"},
	"Transfer-Encoding":             {"chunked"}, // the client ignores the field and sends the body with its length
	"Idempotency-Key":               {"", `""`, strings.Repeat("k", 256), "a\tb", "æ", "\xff"},
	"X-Forwarded-Host":              {"evil.example"},
	"X-Forwarded-For":               {"127.0.0.1, ::1", strings.Repeat("1.2.3.4,", 900)},
	"X-Amzn-Trace-Id":               {"Root=1-67891233-abcdef012345678912345678;Sampled=1", "Root=\xff", strings.Repeat("Root=;", 1000)},
	"X-Golambdaproxy-Apigw-Context": {`{"authorizer":{"jwt":{"claims":{"urn:altinn:org":"skd"}}}}`, "{"},
	"X-Http-Method-Override":        {"DELETE"},
	"Cookie":                        {"", "a", strings.Repeat("a=b; ", 1500), "\xff=\xff"},
	"Origin":                        {"null", "https://evil.example"},
	"Accept-Encoding":               {"gzip;q=x", "\xff"},
	"Te":                            {"trailers, \xff"},
}

// harmless changes a request so that its content is rejected, for any header fields.
func (e *env) harmless(r request) request {
	const unknown = "019a0000-0000-7000-8000-000000000000"
	r.path = strings.NewReplacer(e.variables["instanceGuid"], unknown, e.variables["subscriptionId"], unknown).Replace(r.path)
	if strings.HasPrefix(r.body, "{") {
		r.body = `{"unknown":1}`
	}
	return r
}

func TestHeaderFields(t *testing.T) {
	e := system
	for _, route := range e.withoutHead(t) {
		send := func() {
			for name, values := range fields {
				for _, value := range values {
					r := e.to(route)
					if !route.Reads() {
						r = e.harmless(r)
					}
					r.header = map[string]string{name: value}
					if name == "Content-Type" {
						r.contentType = value
						r.header = nil
					}
					if route.Reads() {
						e.try(t, name+": "+value, r)
					} else {
						e.reject(t, name+": "+value, r)
					}
				}
			}
		}
		if route.Reads() {
			send()
		} else {
			e.unchanged(t, send)
		}
	}
}

// A write with an invalid condition or key is rejected. The items of a batch have their own, and
// requests about subscriptions need no key.
func TestConditionsOfWrites(t *testing.T) {
	e := system
	for _, route := range e.routes(t) {
		if route.Reads() || route.Batch() {
			continue
		}
		e.unchanged(t, func() {
			for _, value := range fields["If-Match"] {
				if value == "" || route.Path == "/{org}/{app}/instances" || route.Path == "/storage/subscriptions" {
					continue // no condition, or no resource that it could apply to
				}
				r := e.to(route)
				r.header = map[string]string{"If-Match": value}
				e.reject(t, "If-Match: "+value, r)
			}
			if route.Method != "POST" || route.Subscribed {
				return
			}
			for _, value := range fields["Idempotency-Key"] {
				r := e.to(route)
				r.header = map[string]string{"Idempotency-Key": value}
				e.reject(t, "Idempotency-Key: "+value, r)
			}
		})
	}
}

// Every route rejects a compressed body: the content does not have the stated Content-Type.
func TestCompressedBodies(t *testing.T) {
	e := system
	for _, route := range e.routes(t) {
		r := e.to(route)
		if r.body == "" {
			continue
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write([]byte(r.body + strings.Repeat(" ", 50_000_000))) // in memory
		_ = z.Close()
		for what, body := range map[string]string{"packed": packed.String(), "not packed": r.body} {
			r := r
			r.body, r.header = body, map[string]string{"Content-Encoding": "gzip"}
			e.unchanged(t, func() {
				// The gateway passes some types as text. Then the UTF-8 check comes before the
				// check of the encoding.
				if got := e.reject(t, what, r); got.Status != 415 && (what != "packed" || got.Code() != "body-not-utf8") {
					t.Errorf("%s, %s: %v", what, r, got)
				}
			})
		}
	}
}

// API Gateway rejects requests over its own limits.
func TestGatewayLimits(t *testing.T) {
	e := system
	for _, route := range e.routes(t) {
		r := e.to(route)
		r.header = map[string]string{"X-Large": strings.Repeat("x", 10_300)}
		e.unchanged(t, func() {
			if got := e.reject(t, "a large header", r); got.Status != 431 {
				t.Errorf("%s: %d", r, got.Status)
			}
			if r.header = nil; !route.Reads() {
				r.body = strings.Repeat("x", 10<<20+1)
				if got := e.reject(t, "a large body", r); got.Status != 413 {
					t.Errorf("%s: %d", r, got.Status)
				}
			}
		})
	}
}
