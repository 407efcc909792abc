package robustness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// limit is one that the README states in the row that has its words.
type limit struct {
	words  string // of the row: what is limited
	most   int
	status int // for one more
	code   string
	ask    func(n int) request // for something of n
}

// limits returns those that can be asked for; self is the path of an instance that is filled in.
func (w *env) limits(self string) []limit {
	owner := `"instanceOwnerId":"` + w.variables["instanceOwnerId"] + `"`
	create := func(body string) request {
		return request{method: "POST", path: "/nav/app2018/instances", contentType: "application/json", body: body}
	}
	register := func(name, body string) request {
		return request{method: "PUT", path: "/storage/applications/nav/" + name, contentType: "application/json", body: body}
	}
	query := func(format string, args ...any) request {
		return request{method: "GET", path: "/storage/instances", query: fmt.Sprintf(format, args...)}
	}
	data := func(formID, contentType, body string) request {
		return request{method: "POST", path: self + "/data", query: "formId=" + formID, contentType: contentType, body: body}
	}
	list := func(n int, separator, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(format, "#", fmt.Sprint("x", i))
		}
		return strings.Join(items, separator)
	}
	padded := func(r request, n int) request {
		r.body += strings.Repeat(" ", n-len(r.body))
		return r
	}
	letters := func(n int) string { return strings.Repeat("æ", n) }
	plain := func(n int) string { return strings.Repeat("a", n) }
	return []limit{
		{"body of a create", 4_400_000, 413, "body-too-large", func(n int) request { return padded(create(`{`+owner+`}`), n) }},
		{"or of a data element", 4_400_000, 413, "body-too-large", func(n int) request { return data("any", "application/octet-stream", plain(n)) }},
		{"body of `PATCH`", 32_768, 413, "body-too-large", func(n int) request {
			return padded(request{method: "PATCH", path: self, contentType: "application/json", body: `{}`}, n)
		}},
		{"`uploads`", 16_384, 413, "body-too-large", func(n int) request {
			return padded(request{method: "POST", path: self + "/uploads", contentType: "application/json", body: `{"contentType":"a/b","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}`}, n)
		}},
		{"`workflow`", 4_096, 413, "body-too-large", func(n int) request {
			return padded(request{method: "PUT", path: self + "/workflow", contentType: "application/json", body: `{"currentStep":"FormFilling"}`}, n)
		}},
		{"JSON body", 64, 400, "body-invalid", func(n int) request { // four of the levels are the registration's
			return register("limits-depth", `{"dataTypes":[{"formId":"a","schema":`+strings.Repeat(`{"not":`, n-3)+"{}"+strings.Repeat("}", n-3)+`}]}`)
		}},
		{"| form |", 200, 400, "body-invalid", func(n int) request {
			part := "--b\r\nContent-Disposition: form-data; name=\"any\"\r\nContent-Type: text/plain\r\n\r\nx\r\n"
			document := strings.NewReplacer("any", "instance", "text/plain", "application/json", "\r\n\r\nx", "\r\n\r\n{"+owner+"}").Replace(part)
			return request{method: "POST", path: "/nav/app2018/instances", contentType: "multipart/form-data; boundary=b", body: document + strings.Repeat(part, n) + "--b--\r\n"}
		}},
		{"[large file]", 5_368_709_120, 413, "data-too-large", func(n int) request {
			return request{method: "POST", path: self + "/uploads", contentType: "application/json", body: fmt.Sprintf(`{"contentType":"a/b","size":%d,"sha256":"%064d"}`, n, 0)}
		}},
		{"data elements of an instance", 200, 409, "data-count", func(n int) request {
			return create(`{` + owner + `,"data":[` + list(n, ",", `{"formId":"any","contentType":"text/plain","content":"aGVp"}`) + `]}`)
		}},
		{"content type of a data element", 255, 415, "content-type-invalid", func(n int) request { return data("any", "a/"+plain(n-2), "x") }},
		{"`formId`", 64, 400, "form-id-invalid", func(n int) request {
			return request{method: "POST", path: "/nav/limits-any/instances", contentType: "application/json",
				body: `{` + owner + `,"data":[{"formId":"` + plain(n) + `","contentType":"text/plain","content":"aGVp"}]}`}
		}},
		{"| labels", 20, 400, "labels-invalid", func(n int) request { return create(`{` + owner + `,"labels":[` + list(n, ",", `"#"`) + `]}`) }},
		{"| label |", 64, 400, "text-invalid", func(n int) request { return create(`{` + owner + `,"labels":["` + letters(n) + `"]}`) }},
		{"`presentationField`", 200, 400, "text-invalid", func(n int) request { return create(`{` + owner + `,"presentationField":"` + letters(n) + `"}`) }},
		{"`dueDateTime`", 9998, 400, "date-invalid", func(n int) request { return create(fmt.Sprintf(`{%s,"dueDateTime":"%d-12-31T23:59:59Z"}`, owner, n)) }},
		{"`userName`", 64, 400, "reportee-invalid", func(n int) request { return create(`{"reportee":{"userName":"` + letters(n) + `"}}`) }},
		{"`Idempotency-Key`", 255, 400, "idempotency-key-invalid", func(n int) request {
			r := create(`{` + owner + `}`)
			r.header = map[string]string{"Idempotency-Key": plain(n)}
			return r
		}},
		{"`size` of a page", 1_000, 400, "parameter-invalid", func(n int) request { return query("size=%d", n) }},
		{"`page` as a number", 10_000, 400, "parameter-invalid", func(n int) request { return query("size=1&page=%d", n) }},
		{"`appId` in a query", 20, 400, "parameter-invalid", func(n int) request { return query("appId=%s", list(n, ",", "nav/#")) }},
		{"`label` in a query", 20, 400, "parameter-invalid", func(n int) request { return query("label=%s", list(n, ",", "#")) }},
		{"registration", 380_000, 413, "body-too-large", func(n int) request { return padded(register("limits-size", `{}`), n) }},
		{"name of an application", 60, 400, "application-id-invalid", func(n int) request { return register(plain(n), `{}`) }},
		{"data types", 100, 400, "application-invalid", func(n int) request {
			return register("limits-types", `{"dataTypes":[`+list(n, ",", `{"formId":"#"}`)+`]}`)
		}},
		{"· steps", 20, 400, "application-invalid", func(n int) request {
			more := list(n-1, ",", `{"name":"#","completes":true}`)
			ways := list(n-1, ",", `{"from":"start","to":"#","by":["user"]}`)
			return register("limits-steps", `{"workflow":{"steps":[{"name":"start"},`+more+`],"transitions":[`+ways+`]}}`)
		}},
		{"| `indexShards` |", 64, 400, "application-invalid", func(n int) request { return register("limits-shards", fmt.Sprintf(`{"indexShards":%d}`, n)) }},
		{"schema of a data type", 262_144, 400, "application-invalid", func(n int) request {
			const around = len(`{"description":""}`)
			return register("limits-schema", `{"dataTypes":[{"formId":"a","schema":{"description":"`+plain(n-around)+`"}}]}`)
		}},
	}
}

// Each limit of the README takes exactly as much as it says, and of one more it answers what it says, with no effect.
func TestLimits(t *testing.T) {
	w := system
	rows := limitRows(t)
	if a, refused := w.try(t, "an application", request{method: "PUT", path: "/storage/applications/nav/limits-any", contentType: "application/json", body: `{}`}); refused {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a, _ := w.try(t, "an instance", request{method: "POST", path: "/nav/app2018/instances", contentType: "application/json", body: `{"instanceOwnerId":"` + w.variables["instanceOwnerId"] + `"}`})
	var made struct{ ID, InstanceOwnerID string }
	if err := json.Unmarshal(a.body, &made); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	for _, limit := range w.limits("/nav/app2018/instances/" + made.InstanceOwnerID + "/" + made.ID) {
		t.Run(strings.Trim(limit.words, "`| ·"), func(t *testing.T) {
			row := ""
			for _, r := range rows {
				if strings.Contains(r, limit.words) {
					row = r
					break
				}
			}
			if want := grouped(limit.most); !strings.Contains(row, want) && !strings.Contains(row, fmt.Sprint(limit.most)) ||
				!strings.Contains(row, fmt.Sprint(limit.status, " `", limit.code, "`")) {
				t.Errorf("the README says\n%s\nwant %s, and %d `%s`", row, want, limit.status, limit.code)
			}
			w.unchanged(t, func() {
				r := limit.ask(limit.most + 1)
				if a := w.refuse(t, "one more", r); a.status != limit.status || !strings.Contains(string(a.body), `"code":"`+limit.code+`"`) {
					t.Errorf("one more: %d %.500s", a.status, a.body)
				}
			})
			if a, refused := w.try(t, "exactly as much", limit.ask(limit.most)); refused {
				t.Errorf("exactly as much: %d %.500s", a.status, a.body)
			}
		})
	}
}

// limitRows returns the rows of the README's table, each what is limited first.
func limitRows(t *testing.T) []string {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Limits\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "| ") {
			rows = append(rows, line)
		}
	}
	return rows
}

// grouped returns a number with a comma before every three digits.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// A token as long as may be is read, and one that is longer is not.
func TestTokenLimit(t *testing.T) {
	w := system
	token := func(padding int) string {
		t.Helper()
		now := time.Now().Unix()
		signed, err := w.Authenticator.Sign(map[string]any{"iss": issuer.Issuer, "aud": issuer.Audience, "iat": now, "nbf": now, "exp": now + 600,
			"urn:altinn:org": "nav", "scope": issuer.OwnerScope, "x": strings.Repeat("x", padding)})
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	base := len(token(0))
	padding := (8192 - base) * 3 / 4
	for len(token(padding)) > 8192 {
		padding--
	}
	for n, want := range map[int]int{padding: 200, padding + 3: 401} {
		signed := token(n)
		if a, _ := w.try(t, "a long token", request{method: "GET", path: "/storage/instances", query: "size=1", token: signed}); a.status != want {
			t.Errorf("a token of %d bytes: %d %s", len(signed), a.status, a.body)
		}
	}
}
