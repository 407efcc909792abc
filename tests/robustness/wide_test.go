package robustness

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An application with the maximum number of steps and shards can be queried. Queries over too many
// steps and shards get 400. No registration leads to queries that fail with 503.
func TestWideQueries(t *testing.T) {
	e := system
	token, err := e.Authenticator.Owner("wide", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var steps, transitions []string
	for n := range 19 {
		steps = append(steps, fmt.Sprintf(`{"name":"x%d","completes":true}`, n))
		transitions = append(transitions, fmt.Sprintf(`{"from":"start","to":"x%d","by":["user"]}`, n))
	}
	body := `{"indexShards":64,"workflow":{"steps":[{"name":"start"},` + strings.Join(steps, ",") + `],"transitions":[` + strings.Join(transitions, ",") + `]}}`
	for n := range 4 {
		r := put(fmt.Sprintf("/storage/applications/wide/app%d", n), body)
		r.token = token
		e.accept(t, r)
	}
	query := func(query string) request {
		return request{method: "GET", path: "/storage/instances", query: query, token: token}
	}
	if got := e.reject(t, "everything", query("")); got.Status != 400 || got.Code() != "query-too-wide" {
		t.Errorf("everything: %v", got)
	}
	for _, narrowed := range []string{"appId=wide/app1", "workflow.currentStep=start", "instanceOwnerId=50001", "appId=wide/app1&label=a,b&workflow.currentStep=x1&order=desc&page=last"} {
		e.accept(t, query(narrowed))
	}
}

// The history of an instance with the maximum number of data elements is longer than a response.
// Each of its pages succeeds, and together they are complete. Each event has 50 links and the
// number of the others.
func TestLongHistory(t *testing.T) {
	e := system
	e.accept(t, put("/storage/applications/nav/long-history", `{}`))
	element := `{"formId":"` + strings.Repeat("f", 64) + `","contentType":"text/plain","content":"aGVp"}`
	made := e.accept(t, post("/nav/long-history/instances",
		`{"instanceOwnerId":"`+e.variables["instanceOwnerId"]+`","data":[`+strings.Repeat(element+",", 199)+element+`]}`))
	_, self, _ := strings.Cut(made.Header.Get("Location"), e.BaseURL)
	const events = 541
	for n := range events - 1 { // the creation is an event too
		e.accept(t, put(self+"/workflow", `{"currentStep":"`+[]string{"Submit", "FormFilling"}[n%2]+`"}`))
	}
	_, id, _ := strings.Cut(self, "/instances/")
	found, size := 0, 0
	for query := "size=1000"; ; {
		got := e.accept(t, request{method: "GET", path: "/storage/instances/" + id + "/events", query: query})
		count := strings.Count(string(got.Body), `"eventType"`)
		if count == 0 {
			break
		}
		found, size = found+count, size+len(got.Body)
		if omitted := strings.Count(string(got.Body), `"dataLinksOmitted":150`); omitted != count || strings.Count(string(got.Body), `"dataLink":`) != 50*count {
			t.Errorf("%d of %d events lack 150 links", omitted, count)
		}
		_, query, _ = strings.Cut(got.Header.Get("Link"), "?")
		query, _, _ = strings.Cut(query, ">")
	}
	if found != events || size < 6_000_000 {
		t.Errorf("%d events in %d bytes, want %d in more than a response", found, size, events)
	}
}

// A download has the Content-Type and the file name of its upload, even if they are unusual.
func TestDownloadKeepsTypeAndName(t *testing.T) {
	e := system
	self := e.newInstance(t)
	for contentType, disposition := range map[string]string{
		`text/plain;  a="x  y"`:                     `attachment; filename="a  b.txt"`,
		`Text/HTML;charset=UTF-8`:                   `attachment; filename*=UTF-8''%E2%80%AE%22%3B%20x%3D%22`,
		`application/x+y.z-1; q="\"; filename=\"b"`: "attachment; filename=\"\xe6.txt\"",
		`a/b;c=` + strings.Repeat("d", 240):         `attachment; filename="` + strings.Repeat("ø", 300) + `.txt"`,
		`image/svg+xml`:                             `form-data; filename=%3Cscript%3E.svg`,
	} {
		made := e.accept(t, request{method: "POST", path: self + "/data", query: "formId=any", contentType: contentType, body: "hei",
			header: map[string]string{"Content-Disposition": disposition}})
		_, element, _ := strings.Cut(made.Header.Get("Location"), e.BaseURL)
		got, _ := e.try(t, contentType, request{method: "GET", path: element})
		if sent := got.Header.Get("Content-Disposition"); got.Header.Get("Content-Type") != contentType || string(got.Body) != "hei" || got.Header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(sent, "attachment") || strings.Trim(sent, printable) != "" {
			t.Errorf("%s: the download has %d, %v", contentType, got.Status, got.Header)
		}
	}
}

const printable = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_abcdefghijklmnopqrstuvwxyz{|}~` + "`"
