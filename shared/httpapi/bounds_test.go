package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
)

// bodyLimit is the size of the largest body that any endpoint accepts, in bytes.
const bodyLimit = 4_400_000

// Limits for one body; a function has 512 MB and 25 s. The CPU time is relative to that of a plain
// body of the same size. Allocated bytes include bytes that are no longer in use.
const (
	maxTimes     = 50 // the slowest takes 7 times as long; with quadratic cost it would take thousands
	maxAllocated = 100 << 20
)

// plain returns the CPU time of decoding a JSON body of the largest size with a single long string.
func plain(t *testing.T) time.Duration {
	body := fill(`{"name":"`, `a`, `"}`)
	return cputest.Baseline(t, func() {
		if err := DecodeJSON(post("application/json", body), bodyLimit, &outer{}); err != nil {
			t.Error(err)
		}
	})
}

// bounded runs f and fails the test if f exceeds the limits relative to the baseline.
func bounded(t *testing.T, baseline time.Duration, what string, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took := cputest.Time(t, f)
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%s: %.1f times the baseline, %d MB", what, float64(took)/float64(baseline), allocated>>20)
	if took > maxTimes*baseline || allocated > maxAllocated {
		t.Errorf("%s takes %v, the baseline %v, and %d MB", what, took, baseline, allocated>>20)
	}
}

// fill returns text around as many repetitions of s as fit in a body.
func fill(before, s, after string) string {
	return before + strings.Repeat(s, (bodyLimit-len(before)-len(after))/len(s)) + after
}

// members returns n different members, each preceded by a comma.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%x":1`, i)
	}
	return b.String()
}

// TestJSONIsBounded verifies that DecodeJSON rejects every hostile body quickly and at a cost
// proportional to its size.
func TestJSONIsBounded(t *testing.T) {
	baseline := plain(t)
	longName := strings.Repeat("n", bodyLimit/2)
	for name, body := range map[string]string{
		"a long name with many members under it": `{"any":{"` + longName + `":{"a":1` + members(150_000) + `}},"x":1}`,
		"a long name with many items under it":   fill(`{"any":{"`+longName[:1_000_000]+`":[1`, `,1`, `]},"x":1}`),
		"long names in long names":               `{"any":` + strings.Repeat(`{"`+longName[:60_000]+`":`, 60) + `[1]` + strings.Repeat("}", 60) + `,"x":1}`,
		"many members":                           `{"any":{"a":1` + members(350_000) + `},"x":1}`,
		"many unknown members":                   `{"x":1` + members(350_000) + `}`,
		"many items":                             fill(`{"any":[`, `[],`, `[]],"x":1}`),
		"many documents in a list":               fill(`{"inners":[{}`, `,{}`, `],"x":1}`),
		"one member many times":                  fill(`{`, `"name":"x",`, `"name":"x"}`),
		"nesting that never ends":                fill(`{"any":`, `[`, ``),
		"objects that never end":                 fill(``, `{"any":`, ``),
		"nesting in a raw JSON member":           fill(`{"one":{"schema":`, `[`, ``),
		"a number of megabytes":                  fill(`{"count":`, `9`, `}`),
		"a number of megabytes in an any member": fill(`{"any":`, `9`, `,"x":1}`),
		"an exponent of megabytes":               fill(`{"count":1e`, `9`, `}`),
		"a string that never ends":               fill(`{"name":"`, `a`, ``),
		"escapes":                                fill(`{"name":"`, `\u0000`, `","x":1}`),
		"backslashes and half a surrogate pair":  fill(`{"name":"`, `\\`, `\ud800"}`),
		"surrogate pairs and half a pair":        fill(`{"name":"`, `\ud83d\ude00`, `\ud83d"}`),
		"white space":                            fill(``, ` `, ``),
		"white space and no document":            fill(`{`, "\n", `]`),
		"data after the document":                fill(`{}`, ` {}`, ``),
		"invalid UTF-8 at the end":               fill(`{"name":"`, `a`, "\xff\"}"),
	} {
		bounded(t, baseline, name, func() {
			var into outer
			if err := DecodeJSON(post("application/json", body), bodyLimit, &into); !fault.HasCode(err, "body-invalid") || len(err.Error()) > 500 {
				t.Errorf("%s: %.600v", name, err)
			}
		})
	}
	// Accepted bodies must be bounded too.
	for name, body := range map[string]string{
		"many members":   `{"any":{"a":1` + members(maxValues-3) + `}}`,
		"many items":     `{"any":[[]` + strings.Repeat(",[]", maxValues-3) + `]}`,
		"a long string":  fill(`{"name":"`, `a`, `"}`),
		"many documents": `{"inners":[{}` + strings.Repeat(",{}", maxValues-3) + `]}`,
	} {
		bounded(t, baseline, name+", accepted", func() {
			var into outer
			if err := DecodeJSON(post("application/json", body), bodyLimit, &into); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestFormsAreBounded verifies that the cost of a form is proportional to its size.
func TestFormsAreBounded(t *testing.T) {
	baseline := plain(t)
	const head, end = "--b\r\nContent-Disposition: form-data; name=\"a\"", "\r\n\r\nx\r\n--b--\r\n"
	for name, body := range map[string]string{
		"thousands of parts":               fill("", head+"\r\n\r\nx\r\n", "--b--\r\n"),
		"thousands of boundaries":          fill("", "--b\r\n", "--b--\r\n"),
		"nearly boundaries":                fill(head+"\r\n\r\n", "\r\n--", end),
		"boundaries followed by more text": fill(head+"\r\n\r\n", "\r\n--bb", end),
		"a part that never ends":           fill(head+"\r\n\r\n", "x", ""),
		"a header that never ends":         fill(head+"\r\n", "X: y\r\n", ""),
		"a header line of megabytes":       fill(head+"\r\nX: ", "y", end),
		"a folded header":                  fill(head+"\r\nX: y", "\r\n ", end),
		"thousands of parameters":          fill(head, `; p="x"`, end),
		"a parameter of megabytes":         fill(head+`; filename="`, `\"`, `"`+end),
		"a parameter in 100,000 pieces":    head + continuations(100_000) + end,
		"a parameter that is not closed":   fill(head+`; filename="`, `\\`, end),
		"percent signs":                    fill(head+`; filename*=UTF-8''`, `%41`, end),
	} {
		bounded(t, baseline, name, func() {
			if parts, err := ReadForm(formRequest("multipart/form-data; boundary=b", body), bodyLimit, 201); err != nil && !fault.HasCode(err, "body-invalid") {
				t.Errorf("%s: %d parts, %.300v", name, len(parts), err)
			}
		})
	}
	long := strings.Repeat("-", 9_000)
	bounded(t, baseline, "a boundary of dashes in dashes", func() {
		body := strings.Repeat("-", bodyLimit-3)
		if _, err := ReadForm(formRequest("multipart/form-data; boundary="+long, body), bodyLimit, 201); err != nil && !fault.HasCode(err, "body-invalid") {
			t.Error(err)
		}
		if _, err := Fingerprint(formRequest("multipart/form-data; boundary="+long, body), bodyLimit); err != nil {
			t.Error(err)
		}
	})
}

// continuations returns a parameter in n pieces (RFC 2231).
func continuations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "; filename*%d=x", i)
	}
	return b.String()
}

// TestHeadersAreBounded uses headers and queries of 10,240 bytes, the limit of API Gateway.
func TestHeadersAreBounded(t *testing.T) {
	baseline := plain(t)
	for _, piece := range []string{",", `"`, `"",`, "W/", "*,", ";", "=", `a/b;q="`, "a/b;q=1,", "%", "&", "a=b&", "a[]=&", "\\\"", " ", "é"} {
		value := strings.Repeat(piece, 10_240/len(piece))
		bounded(t, baseline, fmt.Sprintf("%q", piece), func() {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(nil))
			for _, name := range []string{"If-Match", "If-None-Match", "Accept", "Idempotency-Key", "Content-Type", "Content-Disposition"} {
				r.Header.Set(name, value)
			}
			r.URL.RawQuery = value
			_ = CheckIfMatch(r, `"7"`)
			_ = NotModified(r, `"7"`)
			_ = Accepts(r, "application/hal+json")
			_, keyErr := IdempotencyKey(r)
			_, queryErr := ParseQuery(r, "a")
			for _, err := range []error{keyErr, queryErr, DecodeJSON(r, 10, &outer{})} {
				if err != nil && !isCallerError(err) {
					t.Error(err)
				}
			}
			_, _ = Fingerprint(r, 10)
		})
	}
}

// TestProblemsAreSmall verifies that the size of a problem does not depend on the request.
func TestProblemsAreSmall(t *testing.T) {
	for _, body := range []string{`{"` + strings.Repeat("n", 100_000) + `":1}`, `{"any":` + strings.Repeat(`{"`+strings.Repeat("<", 1000)+`":`, 60) + `{"a":1,"a":1}` + strings.Repeat("}", 61)} {
		err := DecodeJSON(post("application/json", body), bodyLimit, &outer{})
		w := httptest.NewRecorder()
		WriteProblem(w, post("", ""), err)
		if !json.Valid(w.Body.Bytes()) || w.Body.Len() > 30_000 {
			t.Errorf("the problem has %d bytes: %.200s", w.Body.Len(), w.Body)
		}
	}
}
