package robustness

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/token/issuer"
)

// limitsPage is the document with the table of limits.
const limitsPage = "functions/README.md"

// limit is a limit of the table.
type limit struct {
	row     string // text that only this row of the table contains
	maximum int
	status  int // of a request over the limit
	code    string
	request func(n int) request // for something of size n
}

// limits returns the limits that a request can reach. self is the path of an instance without data.
func (e *env) limits(self string) []limit {
	owner := `"instanceOwnerId":"` + e.variables["instanceOwnerId"] + `"`
	create := func(body string) request { return post("/nav/app2018/instances", body) }
	register := func(name, body string) request { return put("/storage/applications/nav/"+name, body) }
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
	subscription := routes.Subscribe(e.client, e.owner, map[string]string{"org": "nav", "app": "app2018", "endpoint": "limits"})
	patch := func(body string) request {
		return request{method: "PATCH", path: "/storage/subscriptions/" + subscription, contentType: "application/json", body: body}
	}
	return []limit{
		{"body of a create", 4_400_000, 413, "body-too-large", func(n int) request { return padded(create(`{`+owner+`}`), n) }},
		{"of `batch` or of", 4_400_000, 413, "body-too-large", func(n int) request { return padded(post("/nav/app2018/batch", `{"items":[{"key":"a",`+owner+`}]}`), n) }},
		{"items of one `batch`", 100, 400, "body-invalid", func(n int) request {
			return post("/nav/app2018/batch", `{"items":[`+list(n, ",", `{"key":"#"}`)+`]}`)
		}},
		{"with 400 data elements together", 400, 400, "body-invalid", func(n int) request {
			element := list(n/2, ",", `{"formId":"form","contentType":"text/plain","content":"aGVp"}`)
			return post("/nav/app2018/batch", `{"items":[{"key":"a","data":[`+element+`]},{"key":"b","data":[`+element+strings.Repeat(`,{"formId":"form"}`, n%2)+`]}]}`)
		}},
		{"`key` of an item", 255, 400, "body-invalid", func(n int) request {
			return post("/nav/app2018/batch", `{"items":[{"key":"`+plain(n)+`"}]}`)
		}},
		{"or of a data element", 4_400_000, 413, "body-too-large", func(n int) request { return data("any", "application/octet-stream", plain(n)) }},
		{"body of `PATCH`", 32_768, 413, "body-too-large", func(n int) request {
			return padded(request{method: "PATCH", path: self, contentType: "application/json", body: `{}`}, n)
		}},
		{"`uploads`", 16_384, 413, "body-too-large", func(n int) request {
			return padded(post(self+"/uploads?formId=any", `{"contentType":"a/b","size":1,"sha256":"`+strings.Repeat("0", 64)+`"}`), n)
		}},
		{"`workflow`", 16_384, 413, "body-too-large", func(n int) request {
			return padded(put(self+"/workflow", `{"currentStep":"FormFilling"}`), n)
		}},
		{"and subscriptions", 16_384, 413, "body-too-large", func(n int) request { return padded(patch(`{}`), n) }},
		{"URL of an endpoint", 500, 400, "endpoint-invalid", func(n int) request {
			const before = "https://example.com/"
			return patch(`{"endpoint":"` + before + plain(n-len(before)) + `"}`)
		}},
		{"`lookup`", 4_096, 413, "body-too-large", func(n int) request {
			return padded(post("/storage/parties/lookup", `{"reportee":{"ssn":"12247918309"}}`), n)
		}},
		{"JSON body", 64, 400, "body-invalid", func(n int) request { // the registration has four levels around the schema
			return register("limits-depth", `{"dataTypes":[{"formId":"a","schema":`+strings.Repeat(`{"not":`, n-3)+"{}"+strings.Repeat("}", n-3)+`}]}`)
		}},
		{"| form |", 200, 400, "body-invalid", func(n int) request {
			part := "--b\r\nContent-Disposition: form-data; name=\"any\"\r\nContent-Type: text/plain\r\n\r\nx\r\n"
			document := strings.NewReplacer("any", "instance", "text/plain", "application/json", "\r\n\r\nx", "\r\n\r\n{"+owner+"}").Replace(part)
			return request{method: "POST", path: "/nav/app2018/instances", contentType: "multipart/form-data; boundary=b", body: document + strings.Repeat(part, n) + "--b--\r\n"}
		}},
		{"[large file]", 5_368_709_120, 413, "data-too-large", func(n int) request {
			return post(self+"/uploads?formId=any", fmt.Sprintf(`{"contentType":"a/b","size":%d,"sha256":"%064d"}`, n, 0))
		}},
		{"data elements of an instance", 200, 409, "data-count", func(n int) request {
			return create(`{` + owner + `,"data":[` + list(n, ",", `{"formId":"any","contentType":"text/plain","content":"aGVp"}`) + `]}`)
		}},
		{"content type of a data element", 255, 415, "content-type-invalid", func(n int) request { return data("any", "a/"+plain(n-2), "x") }},
		{"`formId`", 64, 400, "form-id-invalid", func(n int) request {
			return post("/nav/limits-any/instances", `{`+owner+`,"data":[{"formId":"`+plain(n)+`","contentType":"text/plain","content":"aGVp"}]}`)
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
		{"registration, as sent", 4_400_000, 413, "body-too-large", func(n int) request { return padded(register("limits-size", `{}`), n) }},
		{"name of an application", 60, 400, "application-id-invalid", func(n int) request { return register(plain(n), `{}`) }},
		{"data types", 100, 400, "application-invalid", func(n int) request {
			return register("limits-types", `{"dataTypes":[`+list(n, ",", `{"formId":"#"}`)+`]}`)
		}},
		{"· steps", 20, 400, "application-invalid", func(n int) request {
			more := list(n-1, ",", `{"name":"#","completes":true}`)
			transitions := list(n-1, ",", `{"from":"start","to":"#","by":["user"]}`)
			return register("limits-steps", `{"workflow":{"steps":[{"name":"start"},`+more+`],"transitions":[`+transitions+`]}}`)
		}},
		{"| `indexShards` |", 64, 400, "application-invalid", func(n int) request { return register("limits-shards", fmt.Sprintf(`{"indexShards":%d}`, n)) }},
		{"XML Schema of a data type", 1_048_576, 400, "application-invalid", func(n int) request {
			const before, after = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='a'/><!--", "--></xs:schema>"
			return register("limits-xsd", `{"dataTypes":[{"formId":"a","xsd":"`+before+strings.Repeat("x", n-len(before)-len(after))+after+`"}]}`)
		}},
		{"schema of a data type", 262_144, 400, "application-invalid", func(n int) request {
			const around = len(`{"description":""}`)
			return register("limits-schema", `{"dataTypes":[{"formId":"a","schema":{"description":"`+plain(n-around)+`"}}]}`)
		}},
	}
}

// A request at each limit of the table succeeds. A request over it gets the table's status and
// code, and has no effect.
func TestLimits(t *testing.T) {
	e := system
	rows := limitRows(t)
	e.accept(t, put("/storage/applications/nav/limits-any", `{}`))
	for _, limit := range e.limits(e.newInstance(t)) {
		t.Run(strings.Trim(limit.row, "`| ·"), func(t *testing.T) {
			row := ""
			for _, r := range rows {
				if strings.Contains(r, limit.row) {
					row = r
					break
				}
			}
			if want := grouped(limit.maximum); !strings.Contains(row, want) && !strings.Contains(row, fmt.Sprint(limit.maximum)) ||
				!strings.Contains(row, fmt.Sprint(limit.status, " `", limit.code, "`")) {
				t.Errorf("%s has the row\n%s\nwant %s, and %d `%s`", limitsPage, row, want, limit.status, limit.code)
			}
			e.unchanged(t, func() {
				if got := e.reject(t, "over the limit", limit.request(limit.maximum+1)); got.Status != limit.status || got.Code() != limit.code {
					t.Errorf("over the limit: %v", got)
				}
			})
			e.accept(t, limit.request(limit.maximum))
		})
	}
}

// An instance accepts the table's number of announced uploads, and one more after a commit.
func TestUploadCount(t *testing.T) {
	e := system
	self := e.newInstance(t)
	row := "| announced uploads of an instance, neither committed nor expired | 20 | 409 `upload-count` |"
	if !slices.Contains(limitRows(t), row) {
		t.Errorf("%s has no row\n%s", limitsPage, row)
	}
	content := "a"
	announce := post(self+"/uploads?formId=any", client.Announcement(content))
	var last client.Upload
	for range 20 {
		last = e.accept(t, announce).Upload()
	}
	e.unchanged(t, func() {
		if got := e.reject(t, "over the limit", announce); got.Status != 409 || got.Code() != "upload-count" {
			t.Errorf("over the limit: %v", got)
		}
	})
	client.Client{}.Must(t, 200, last.Put(content))
	e.accept(t, post(self+"/data?formId=any&upload="+last.ID, ""))
	e.accept(t, announce)
}

// An organisation has at most the table's number of subscriptions, each with at most the table's
// number of applications.
func TestSubscriptionCount(t *testing.T) {
	e := system
	for _, row := range []string{"| subscriptions of an organisation | 20 | 409 `subscription-count` |", "| applications of a subscription | 40 | 400 `body-invalid` |"} {
		if !slices.Contains(limitRows(t), row) {
			t.Errorf("%s has no row\n%s", limitsPage, row)
		}
	}
	token, err := e.Authenticator.Owner("subscriber", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	subscribe := func(endpoint, apps int) request {
		ids := make([]string, apps)
		for n := range ids {
			ids[n] = fmt.Sprintf(`"subscriber/app%d"`, n)
		}
		r := post("/storage/subscriptions", fmt.Sprintf(`{"endpoint":"https://example.com/%d","appIds":[%s]}`, endpoint, strings.Join(ids, ",")))
		r.token = token
		return r
	}
	for n := range 40 {
		r := put(fmt.Sprint("/storage/applications/subscriber/app", n), `{}`)
		r.token = token
		e.accept(t, r)
	}
	e.unchanged(t, func() {
		if got := e.reject(t, "too many applications", subscribe(0, 41)); got.Status != 400 || got.Code() != "body-invalid" {
			t.Errorf("too many applications: %v", got)
		}
	})
	for n := range 20 {
		e.accept(t, subscribe(n, 40))
	}
	e.unchanged(t, func() {
		if got := e.reject(t, "over the limit", subscribe(20, 1)); got.Status != 409 || got.Code() != "subscription-count" {
			t.Errorf("over the limit: %v", got)
		}
		e.accept(t, subscribe(19, 40)) // the existing one
	})
}

// limitRows returns the rows of the table of limits.
func limitRows(t *testing.T) []string {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	markdown, err := os.ReadFile(filepath.Join(root, limitsPage))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(markdown), "\n## Limits\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "| ") {
			rows = append(rows, line)
		}
	}
	return rows
}

// newInstance creates an instance without data and returns its path on the Application API.
func (e *env) newInstance(t *testing.T) string {
	t.Helper()
	return e.accept(t, post("/nav/app2018/instances", `{"instanceOwnerId":"`+e.variables["instanceOwnerId"]+`"}`)).Instance().Apps()
}

// grouped returns a number with a comma as the thousands separator.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// A token of the maximum length is accepted, a longer one is rejected.
func TestTokenLimit(t *testing.T) {
	e := system
	token := func(padding int) string {
		t.Helper()
		now := time.Now().Unix()
		signed, err := e.Authenticator.Sign(map[string]any{"iss": issuer.Issuer, "aud": issuer.Audience, "iat": now, "nbf": now, "exp": now + 600,
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
		if got, _ := e.try(t, "a long token", request{method: "GET", path: "/storage/instances", query: "size=1", token: signed}); got.Status != want {
			t.Errorf("a token of %d bytes: %v", len(signed), got)
		}
	}
}
