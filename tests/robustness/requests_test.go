package robustness

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

// queries are none that any route takes but where mayBeFine says so.
var queries = []struct {
	raw       string
	mayBeFine bool
}{
	{raw: "%"}, {raw: "%zz"}, {raw: "%ff=1"}, {raw: "label=%ff"}, {raw: "after=%C3%28"}, {raw: "a;b"}, {raw: "="}, {raw: "x=1"}, {raw: "Hard=true"}, {raw: "hard=maybe"}, {raw: "hard=true&hard=true"},
	{raw: "size=99999999999999999999"}, {raw: "size=-1"}, {raw: "size=1e3"}, {raw: "size="}, {raw: "page=AAAA"}, {raw: "page=-1"}, {raw: "page=%00"}, {raw: "page=" + strings.Repeat("A", 50)},
	{raw: "after=zzz"}, {raw: "after=c" + strings.Repeat("A", 60)}, {raw: "after=2019-02-30"}, {raw: "label=%00"}, {raw: "label=" + strings.Repeat("x", 5000)}, {raw: "label=a&label="},
	{raw: "lastChangedDateTime=between(((,)"}, {raw: "dueDateTime=gt:0000-00-00"}, {raw: "appId=..%2F..%2Fx"}, {raw: "appId=nav/%23"}, {raw: "instanceOwnerId=1%27--"},
	{raw: "order=desc&order=asc"}, {raw: "workflow.currentStep=" + strings.Repeat("x", 9000), mayBeFine: true}, {raw: "workflow.currentStep=%23%00", mayBeFine: true},
	{raw: "formId=..%2F"}, {raw: "formId=%00"}, {raw: "formId=any&upload=" + strings.Repeat("0", 9000)}, {raw: "__proto__=1"}, {raw: strings.Repeat("a=1&", 2000)}, {raw: strings.Repeat("label=a%2C", 500)},
	{raw: "$where=1"}, {raw: "a%5B%5D=1"}, {raw: "%E2%80%AE=1"},
}

func TestQueries(t *testing.T) {
	w := system
	for _, route := range w.distinct(t) {
		strict := !reads(route) || slices.Contains(lists, route.Path)
		ask := func() {
			for _, q := range queries {
				r := w.to(route)
				r.query = strings.TrimPrefix(r.query+"&"+q.raw, "&")
				if strict && !q.mayBeFine || !reads(route) {
					w.refuse(t, "query", r)
				} else {
					w.try(t, "query", r)
				}
			}
		}
		if strict {
			w.unchanged(t, ask)
		} else {
			ask()
		}
	}
}

// segments stand in the path where a name or a number should.
var segments = []string{
	"..", ".", "%2e%2e", "%2F", "a%2Fb", "..%2F..%2Fetc%2Fpasswd", "%00", "%0D%0AX-Evil:%20y", "%FF", "%C3%28", "%EF%BF%BD", "%ED%A0%80", strings.Repeat("a", 3000), "x%3Fy", "%23", "nav%23x", "-1", "0", "00",
	"99999999999999999999", "%D9%A5", "Null", "undefined()", "%7B%7B7*7%7D%7D", "'%20OR%201=1", "*", "%25%32%46", "%20", "%C2%A0", "%E2%80%AE", "INSTANCE%2301", "WARM-UP", "{instanceGuid}", ";a=b", "a:b", "@", "~", "$default",
}

func TestPaths(t *testing.T) {
	w := system
	for _, route := range w.distinct(t) {
		w.unchanged(t, func() {
			for name, value := range w.variables {
				if !strings.Contains(route.Path, "{"+name+"}") {
					continue
				}
				for _, segment := range append([]string{strings.ToUpper(value) + "x", value + "%20", "%20" + value, value + "%00", value + "%2F"}, segments...) {
					r := w.to(route)
					r.path = strings.Replace(r.path, "/"+value, "/"+segment, 1)
					a, refused := w.try(t, name, r)
					// A user's query for another's, or nobody's, is an empty one.
					if !refused && (route.Path != "/storage/instances/{instanceOwnerId}" || !bytes.Contains(a.body, []byte(`"instances":[]`))) {
						t.Errorf("%s %s: %d %.300s", name, r, a.status, a.body)
					}
				}
			}
		})
	}
}

// fields are header fields that nobody should send. HTTP clients and servers let these through.
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
	"Transfer-Encoding":             {"chunked"}, // made of the client's own: the body comes in chunks
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

// harmless returns the request of a route as one that is refused for what it asks, whatever its header is.
func (w *env) harmless(r request) request {
	r.path = strings.Replace(r.path, w.variables["instanceGuid"], "019a0000-0000-7000-8000-000000000000", 1)
	if strings.HasPrefix(r.body, "{") {
		r.body = `{"unknown":1}`
	}
	return r
}

func TestHeaderFields(t *testing.T) {
	w := system
	for _, route := range w.distinct(t) {
		ask := func() {
			for name, values := range fields {
				for _, value := range values {
					r := w.to(route)
					if !reads(route) {
						r = w.harmless(r)
					}
					r.header = map[string]string{name: value}
					if name == "Content-Type" {
						r.contentType = value
						r.header = nil
					}
					if reads(route) {
						w.try(t, name+": "+value, r)
					} else {
						w.refuse(t, name+": "+value, r)
					}
				}
			}
		}
		if reads(route) {
			ask()
		} else {
			w.unchanged(t, ask)
		}
	}
}

// A write is not made under a condition that nobody can have meant.
func TestConditionsOfWrites(t *testing.T) {
	w := system
	for _, route := range w.routes(t) {
		if reads(route) {
			continue
		}
		w.unchanged(t, func() {
			for _, value := range fields["If-Match"] {
				if value == "" || route.Path == "/{org}/{app}/instances" { // no condition, and nothing to have one on
					continue
				}
				r := w.to(route)
				r.header = map[string]string{"If-Match": value}
				w.refuse(t, "If-Match: "+value, r)
			}
			if route.Method != "POST" {
				return
			}
			for _, value := range fields["Idempotency-Key"] {
				r := w.to(route)
				r.header = map[string]string{"Idempotency-Key": value}
				w.refuse(t, "Idempotency-Key: "+value, r)
			}
		})
	}
}

// A compressed body is refused wherever one is taken: it is not what its Content-Type says.
func TestCompressedBodies(t *testing.T) {
	w := system
	for _, route := range w.routes(t) {
		r := w.to(route)
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
			w.unchanged(t, func() {
				// Where a gateway takes it for text, it is found to be none before its encoding is looked at.
				if a := w.refuse(t, what, r); a.status != 415 && (what != "packed" || !bytes.Contains(a.body, []byte("body-not-utf8"))) {
					t.Errorf("%s, %s: %d %s", what, r, a.status, a.body)
				}
			})
		}
	}
}

// Nobody gets in with what is no token.
func TestAuthorization(t *testing.T) {
	w := system
	signed := strings.Split(w.owner, ".")
	for _, route := range w.routes(t) {
		if a, _ := w.try(t, "open", request{method: route.Method, path: w.to(route).path, token: "-"}); a.status < 400 && reads(route) {
			continue // for everybody, such as the documentation
		}
		w.unchanged(t, func() {
			for _, value := range []string{
				"", "Bearer", "Bearer ", "Basic bmF2Om5hdg==", "Bearer a.b", "Bearer ..", "Bearer \xff.\xff.\xff", "Bearer " + strings.Repeat("a", 8500), "Bearer " + strings.Repeat("a.", 3000), w.owner,
				"Bearer " + w.owner + "," + w.owner, "Bearer " + signed[0] + "." + signed[1] + ".", "Bearer " + signed[0] + "." + signed[1] + "." + signed[2] + "A", "Bearer " + signed[0] + ".e30." + signed[2],
				"Bearer eyJhbGciOiJub25lIn0." + signed[1] + ".", "Bearer eyJhbGciOiJub25lIn0." + signed[1] + "." + signed[2], "Bearer " + signed[0] + "." + strings.Repeat("W", 5000) + "." + signed[2], "Bearer null", "Bearer undefined",
			} {
				r := w.to(route)
				r.header = map[string]string{"Authorization": value}
				if a := w.refuse(t, "Authorization", r); a.status != 401 || r.method != "HEAD" && !bytes.Contains(a.body, []byte(`"code":"token-`)) || a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("Authorization: %.100s: %s: %d %s", value, r, a.status, a.body)
				}
			}
		})
	}
}

// What is over API Gateway's limits is its own to refuse.
func TestOverTheGatewaysLimits(t *testing.T) {
	w := system
	for _, route := range w.routes(t) {
		r := w.to(route)
		r.header = map[string]string{"X-Large": strings.Repeat("x", 10_300)}
		w.unchanged(t, func() {
			if a := w.refuse(t, "a large header", r); a.status != 431 {
				t.Errorf("%s: %d", r, a.status)
			}
			if r.header = nil; !reads(route) {
				r.body = strings.Repeat("x", 10<<20+1)
				if a := w.refuse(t, "a large body", r); a.status != 413 {
					t.Errorf("%s: %d", r, a.status)
				}
			}
		})
	}
}
