package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

func get(target string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	return r
}

func TestParseQuery(t *testing.T) {
	values, err := ParseQuery(get("/?a=1&a=2&b=%C3%A6+%2B&c="), "a", "b", "c", "d")
	if err != nil || values.Encode() != "a=1&a=2&b=%C3%A6+%2B&c=" {
		t.Errorf("%v, %v", values, err)
	}
	if values, err := ParseQuery(get("/")); err != nil || len(values) > 0 {
		t.Errorf("%v, %v", values, err)
	}
	for query, code := range map[string]string{
		"A=1": "parameter-unknown", "a[]=1": "parameter-unknown", "a=1&x=2": "parameter-unknown", "=1": "parameter-unknown", "a%00=1": "parameter-unknown",
		"a=%": "query-invalid", "a=%zz": "query-invalid", "%zz=1": "query-invalid", "a=1;b=2": "query-invalid",
		"a=%ff": "query-invalid", "a=1&b=%C3": "query-invalid", "a%ff=1": "query-invalid", "a=%ED%A0%80": "query-invalid",
	} {
		_, err := ParseQuery(get("/?"+query), "a", "b")
		if !fault.Is(err, fault.Invalid) || !fault.HasCode(err, code) {
			t.Errorf("%s: %v, want %s", query, err, code)
		}
		if code == "parameter-unknown" && !strings.Contains(err.Error(), "a, b") {
			t.Errorf("%s: the error does not list the known parameters: %v", query, err)
		}
	}
	if _, err := ParseQuery(get("/?" + strings.Repeat("x", 5000) + "=1")); err == nil || len(err.Error()) > 300 {
		t.Errorf("a long name: %v", err)
	}
	if _, err := ParseQuery(get("/?x=1")); err == nil || !strings.Contains(err.Error(), "has no parameters") {
		t.Errorf("a resource without parameters: %v", err)
	}
}

func TestSingleValueAndPageSize(t *testing.T) {
	for query, want := range map[string]string{"": "", "a=x": "x", "a=%20": " "} {
		if got, err := SingleValue(get("/?"+query).URL.Query(), "a"); err != nil || got != want {
			t.Errorf("%s: %q, %v", query, got, err)
		}
	}
	for _, query := range []string{"a=", "a", "a=x&a=x", "a=&a="} {
		if _, err := SingleValue(get("/?"+query).URL.Query(), "a"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: %v", query, err)
		}
	}
	for query, want := range map[string]int{"": 100, "size=1": 1, "size=100": 100, "size=1000": 1000} {
		if got, err := PageSize(get("/?" + query).URL.Query()); err != nil || got != want {
			t.Errorf("%s: %d, %v", query, got, err)
		}
	}
	for _, query := range []string{"size=0", "size=-1", "size=1001", "size=", "size=01", "size=+5", "size=%2B5", "size=1e2", "size=5.0", "size=0x5", "size=1_0",
		"size=five", "size=5&size=5", "size=99999999999999999999", "size=%205", "size=%D9%A5"} {
		if _, err := PageSize(get("/?" + query).URL.Query()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"size"`) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestEntityTags(t *testing.T) {
	if tag := VersionTag(7); tag != `"7"` {
		t.Error(tag)
	}
	if r := get("/", "Accept", "*/*"); CheckIfMatch(r, `"7"`) != nil || NotModified(r, `"7"`) {
		t.Error("a request without conditions")
	}
	for header, want := range map[string]struct{ match, none bool }{ // whether If-Match and If-None-Match match "7"
		"":                     {false, false},
		`"7"`:                  {true, true},
		`W/"7"`:                {false, true},
		`*`:                    {true, true},
		`"6"`:                  {false, false},
		`7`:                    {false, false},
		`"77"`:                 {false, false},
		`"6", "7"`:             {true, true},
		`"6","7" , "8"`:        {true, true},
		` "7" `:                {true, true},
		`W/"6", W/"7"`:         {false, true},
		`w/"7"`:                {false, false},
		`"7`:                   {false, false},
		`"", "6"`:              {false, false},
		`,,"7"`:                {true, true},
		`"0193511e-4a4c.7d5f"`: {false, false},
	} {
		if err := CheckIfMatch(get("/", "If-Match", header), `"7"`); (err == nil) != want.match || err != nil && !fault.Is(err, fault.PreconditionFailed) {
			t.Errorf("If-Match %s: %v", header, err)
		}
		if got := NotModified(get("/", "If-None-Match", header), `"7"`); got != want.none {
			t.Errorf("If-None-Match %s: %v", header, got)
		}
		for _, method := range []string{"PUT", "PATCH", "DELETE", "POST"} {
			r := get("/", "If-None-Match", header)
			r.Method = method
			if err := CheckConditions(r, `"7"`); (err != nil) != (want.none && method != "POST") || err != nil && !fault.Is(err, fault.PreconditionFailed) {
				t.Errorf("%s with If-None-Match %s: %v", method, header, err)
			}
			r = get("/", "If-Match", header)
			r.Method = method
			if err := CheckConditions(r, `"7"`); (err == nil) != want.match {
				t.Errorf("%s with If-Match %s: %v", method, header, err)
			}
		}
	}
}

func TestAccepts(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "*/*": false, "application/*": false, "application/hal+json": true, "Application/HAL+JSON; charset=utf-8": true,
		"text/html, application/hal+json;q=0.5": true, "application/hal+json;q=0": false, "application/hal+json;q=0.0, */*": false,
		"application/hal+json;q=x": false, "application/hal": false, "xapplication/hal+json": false, ",,": false,
	} {
		if got := Accepts(get("/", "Accept", header), "application/hal+json"); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestLinks(t *testing.T) {
	base := BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"}
	if got := base.AppsFor("nav"); got != "https://nav.apps.altinn.no" {
		t.Error(got)
	}
	if got := (BaseURLs{Apps: "http://localhost:8080"}).AppsFor("nav"); got != "http://localhost:8080" {
		t.Error(got)
	}
	r := get("http://evil.example/storage/instances/%C3%A6?x=1", "Host", "evil.example", "X-Forwarded-Host", "evil.example")
	for query, want := range map[string]string{
		"": "https://platform.altinn.no/storage/instances/%C3%A6", "label=a%2Cb": "https://platform.altinn.no/storage/instances/%C3%A6?label=a%2Cb",
	} {
		if got := base.PlatformURL(r, query); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	if key, err := IdempotencyKey(get("/")); err != nil || key != "" {
		t.Errorf("without a header: %q, %v", key, err)
	}
	for header, want := range map[string]string{
		"k": "k", ` "8e03978e-40d5" `: "8e03978e-40d5", `"`: `"`, `a"b`: `a"b`, "a b": "a b", strings.Repeat("x", 255): strings.Repeat("x", 255),
	} {
		if key, err := IdempotencyKey(get("/", "Idempotency-Key", header)); err != nil || key != want {
			t.Errorf("%q: %q, %v", header, key, err)
		}
	}
	for _, header := range []string{"", " ", `""`, strings.Repeat("x", 256), "æ", "a\tb", "a\x00"} {
		if key, err := IdempotencyKey(get("/", "Idempotency-Key", header)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %q, %v", header, key, err)
		}
	}
}

// TestFingerprint verifies that each part of a request affects the fingerprint, and that the body
// can be read afterwards.
func TestFingerprint(t *testing.T) {
	request := func(method, target, contentType, body string) *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return r
	}
	nameOf := map[string]string{}
	for name, r := range map[string]*http.Request{
		"one": request("POST", "/a?x=1", "text/plain", "b"), "method": request("PUT", "/a?x=1", "text/plain", "b"), "path": request("POST", "/b?x=1", "text/plain", "b"),
		"query": request("POST", "/a?x=2", "text/plain", "b"), "type": request("POST", "/a?x=1", "text/html", "b"), "body": request("POST", "/a?x=1", "text/plain", "c"),
		"no body": request("POST", "/a?x=1", "text/plain", ""), "shifted": request("POST", "/a?x=1", "text/plai", "nb"),
	} {
		fingerprint, err := Fingerprint(r, 10)
		if err != nil || len(fingerprint) != 64 || nameOf[fingerprint] != "" {
			t.Errorf("%s: fingerprint %q, already that of %q, %v", name, fingerprint, nameOf[fingerprint], err)
		}
		nameOf[fingerprint] = name
		if again, err := Fingerprint(r, 10); err != nil || again != fingerprint {
			t.Errorf("%s: a second time %q, %v", name, again, err)
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Fingerprint(request("POST", "/", "text/plain", "12345678901"), 10); !fault.Is(err, fault.TooLarge) {
		t.Errorf("too large: %v", err)
	}
}
