package robustness

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An application with as many steps and shards as there may be can be queried, and several of them when the query says which: no
// registration makes queries that end in a 503.
func TestWideQueries(t *testing.T) {
	w := system
	token, err := w.Authenticator.Owner("wide", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var steps, ways []string
	for n := range 19 {
		steps = append(steps, fmt.Sprintf(`{"name":"x%d","completes":true}`, n))
		ways = append(ways, fmt.Sprintf(`{"from":"start","to":"x%d","by":["user"]}`, n))
	}
	body := `{"indexShards":64,"workflow":{"steps":[{"name":"start"},` + strings.Join(steps, ",") + `],"transitions":[` + strings.Join(ways, ",") + `]}}`
	for n := range 4 {
		r := request{method: "PUT", path: fmt.Sprintf("/storage/applications/wide/app%d", n), token: token, contentType: "application/json", body: body}
		if a, refused := w.try(t, "registration", r); refused {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	query := func(query string) request {
		return request{method: "GET", path: "/storage/instances", query: query, token: token}
	}
	if a := w.refuse(t, "everything", query("")); a.status != 400 || !strings.Contains(string(a.body), `"code":"query-too-wide"`) {
		t.Errorf("everything: %d %s", a.status, a.body)
	}
	for _, narrowed := range []string{"appId=wide/app1", "workflow.currentStep=start", "instanceOwnerId=50001", "appId=wide/app1&label=a,b&workflow.currentStep=x1&order=desc&page=last"} {
		if a, refused := w.try(t, narrowed, query(narrowed)); refused {
			t.Errorf("%s: %d %s", narrowed, a.status, a.body)
		}
	}
}

// What a Content-Type and a file name say is said again when the bytes are fetched, however unusual.
func TestTypesAndNamesComeBack(t *testing.T) {
	w := system
	a, refused := w.try(t, "an instance", request{method: "POST", path: "/nav/app2018/instances", contentType: "application/json", body: `{"instanceOwnerId":"` + w.variables["instanceOwnerId"] + `"}`})
	if refused {
		t.Fatalf("%d %s", a.status, a.body)
	}
	_, self, _ := strings.Cut(a.header.Get("Location"), w.BaseURL)
	for contentType, disposition := range map[string]string{
		`text/plain;  a="x  y"`:                     `attachment; filename="a  b.txt"`,
		`Text/HTML;charset=UTF-8`:                   `attachment; filename*=UTF-8''%E2%80%AE%22%3B%20x%3D%22`,
		`application/x+y.z-1; q="\"; filename=\"b"`: "attachment; filename=\"\xe6.txt\"",
		`a/b;c=` + strings.Repeat("d", 240):         `attachment; filename="` + strings.Repeat("ø", 300) + `.txt"`,
		`image/svg+xml`:                             `form-data; filename=%3Cscript%3E.svg`,
	} {
		a, refused := w.try(t, contentType, request{method: "POST", path: self + "/data", query: "formId=any", contentType: contentType, body: "hei",
			header: map[string]string{"Content-Disposition": disposition}})
		if refused {
			t.Errorf("%s: %d %s", contentType, a.status, a.body)
			continue
		}
		_, element, _ := strings.Cut(a.header.Get("Location"), w.BaseURL)
		got, _ := w.try(t, contentType, request{method: "GET", path: element})
		if sent := got.header.Get("Content-Disposition"); got.header.Get("Content-Type") != contentType || string(got.body) != "hei" || got.header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(sent, "attachment") || strings.Trim(sent, printable) != "" {
			t.Errorf("%s comes back with %d, %v", contentType, got.status, got.header)
		}
	}
}

const printable = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_abcdefghijklmnopqrstuvwxyz{|}~` + "`"
