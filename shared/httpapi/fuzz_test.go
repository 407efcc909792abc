package httpapi

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

// isCallerError reports whether err is an error that the caller can correct.
func isCallerError(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind != fault.Internal && f.Kind != fault.Unavailable && f.Code != "" && f.Detail != ""
}

// FuzzReadForm verifies that the parts of an accepted form occur unchanged and in order in the
// body, and that there are not too many. A different boundary must not change the fingerprint.
func FuzzReadForm(f *testing.F) {
	const part = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x.pdf\"\r\nContent-Type: text/plain\r\n\r\nhei\r\n"
	for _, body := range []string{
		part + "--b--\r\n", part + part + "--b--", part, part + "--b\r\n", "--b--", "preamble\r\n" + part + "--b--\r\nepilogue", strings.Repeat(part, 4) + "--b--",
		strings.ReplaceAll(part, "\r", "") + "--b--\n", "--b\r\n\r\n--b--", strings.Replace(part, "a\"", "\\\"\r\n", 1) + "--b--", "--b \t\r\nContent-Disposition:\r\n form-data;\r\n name=a\r\n\r\n--b--",
		strings.Replace(part, "Content-Type", "content-transfer-encoding: BASE64\r\nContent-Type", 1) + "--b--", part + "--bc\r\n" + part + "--b--",
	} {
		f.Add("multipart/form-data; boundary=b", []byte(body))
	}
	f.Add(`multipart/form-data; boundary="a b\"c"`, []byte("--a b\"c--"))
	f.Add("multipart/form-data; boundary=--", []byte("------"))
	f.Add("multipart/mixed; boundary*0=a; boundary*1=b", []byte("--ab--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		const maxParts = 3
		parts, err := ReadForm(formRequest(contentType, string(body)), 1000, maxParts)
		if err != nil {
			if !isCallerError(err) || parts != nil {
				t.Fatalf("%d parts, %v", len(parts), err)
			}
			return
		}
		if len(parts) > maxParts || len(body) > 1000 {
			t.Fatalf("%d parts of %d bytes", len(parts), len(body))
		}
		rest := body
		for n, part := range parts {
			_, after, found := bytes.Cut(rest, part.Body)
			if !found || part.Name == "" || part.number != n+1 {
				t.Fatalf("part %d is %+v", n, part)
			}
			rest = after
			if strings.ContainsAny(part.String(), "\r\n") {
				t.Fatalf("the text %q of a part has a line break", part)
			}
		}
		// The same form with a new boundary must have the same fingerprint.
		_, parameters, err := mime.ParseMediaType(contentType)
		if err != nil {
			t.Fatalf("Content-Type %q is accepted: %v", contentType, err)
		}
		const newBoundary = "0123456789-that-is-nowhere"
		if !IsForm(formRequest(contentType, "")) || bytes.Contains(body, []byte(newBoundary)) {
			return
		}
		old := []byte("--" + parameters["boundary"])
		again := formRequest("multipart/form-data; boundary="+newBoundary, string(bytes.ReplaceAll(body, old, []byte("--"+newBoundary))))
		first, firstErr := Fingerprint(formRequest(contentType, string(body)), 100_000)
		second, secondErr := Fingerprint(again, 100_000)
		if first != second || firstErr != nil || secondErr != nil {
			t.Fatalf("%s and %s (%v, %v)", first, second, firstErr, secondErr)
		}
	})
}

// FuzzHeaders verifies that a header value matches only what it contains, and that the caller can
// correct every error about a header.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{``, `"7"`, `W/"7"`, `*`, `"6", "7"`, `"7`, `7`, `,,"7",`, ` * `, `"a,"7",b"`, `W/W/"7"`, "8e03978e-40d5", `"k"`, `""`, `"""`, "a\tb", "æ", strings.Repeat("x", 256),
		"application/hal+json;q=0.5", "application/hal+json; q=NaN", "text/html, */*;q=0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		const etag = `"7"`
		r := &http.Request{Header: http.Header{}}
		for _, name := range []string{"If-Match", "If-None-Match", "Idempotency-Key", "Accept"} {
			r.Header[name] = []string{value}
		}
		if err := CheckIfMatch(r, etag); err != nil {
			if !fault.Is(err, fault.PreconditionFailed) || !isCallerError(err) {
				t.Fatalf("If-Match: %s: %v", value, err)
			}
		} else if !strings.Contains(value, etag) && !strings.Contains(value, "*") || !NotModified(r, etag) {
			t.Fatalf("If-Match: %s matches %s", value, etag)
		}
		if NotModified(r, etag) && !strings.Contains(value, etag) && !strings.Contains(value, "*") {
			t.Fatalf("If-None-Match: %s matches %s", value, etag)
		}
		key, err := IdempotencyKey(r)
		if err != nil {
			if !isCallerError(err) || key != "" {
				t.Fatalf("Idempotency-Key: %s: %q, %v", value, key, err)
			}
		} else if len(key) < 1 || len(key) > 255 || !strings.Contains(value, key) || strings.Trim(key, printable) != "" {
			t.Fatalf("Idempotency-Key: %s is read as %q", value, key)
		}
		if Accepts(r, "application/hal+json") && !strings.Contains(strings.ToLower(value), "application/hal+json") {
			t.Fatalf("Accept: %s accepts HAL", value)
		}
	})
}

var printable = func() string {
	var all []byte
	for c := byte(' '); c <= '~'; c++ {
		all = append(all, c)
	}
	return string(all)
}()
