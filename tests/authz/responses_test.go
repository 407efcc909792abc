package authz

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/routes"
)

// check sends a request of nav and checks the response: its status, the header fields, and the
// rules for every response.
func check(t *testing.T, e *env, r client.Request, status int, fields map[string]string) *client.Response {
	t.Helper()
	r.Token = e.registrar["nav"]
	got := e.Must(t, status, r)
	for _, want := range []map[string]string{always, fields} {
		for name, value := range want {
			if got.Header.Get(name) != value {
				t.Errorf("%s: %s: %q, want %q", r, name, got.Header.Get(name), value)
			}
		}
	}
	if whole := fmt.Sprint(got.Header) + string(got.Body); strings.Contains(whole, host) {
		t.Errorf("%s: the response contains the Host header", r)
	}
	return got
}

// newInstance creates an instance of Kari's and returns its path on the Application API.
func newInstance(t *testing.T, e *env) string {
	t.Helper()
	own, err := e.create("nav", "kari", "")
	if err != nil {
		t.Fatal(err)
	}
	return routes.Fill(appsInstance, own, nil)
}

// A download of content that a browser could run is an attachment with exactly the type that was
// sent. A file name cannot break out of the header.
func TestDownloadsAreSafe(t *testing.T) {
	e := newEnv(t)
	const page = `<script>alert("here")</script>`
	r := client.Request{Method: "POST", Path: newInstance(t, e) + "/data?formId=page", Type: "text/html; charset=utf-8", Body: page}
	sent := check(t, e, r.With("Content-Disposition", `attachment; filename="..\\..\\a\";x=<b>.html"`), 201, nil)
	location := sent.Header.Get("Location")
	download := client.Request{Method: "GET", Path: location[strings.Index(location, "/nav/"):]}
	got := check(t, e, download, 200, map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	})
	if string(got.Body) != page {
		t.Errorf("the content is %q", got.Body)
	}
	disposition := got.Header.Get("Content-Disposition")
	if !strings.HasPrefix(disposition, `attachment; filename="`) || strings.Count(disposition, `"`) != 2 || strings.ContainsAny(disposition, "\\\r\n\x00") {
		t.Errorf("Content-Disposition: %s", disposition)
	}
	check(t, e, download.With("If-None-Match", got.Header.Get("ETag")), 304, map[string]string{"Content-Type": ""})
	check(t, e, download.With("Range", "bytes=900-"), 416, map[string]string{"Content-Type": "application/problem+json"})
	check(t, e, download.With("Range", "bytes=0-3"), 206, map[string]string{"Content-Type": "text/html; charset=utf-8"})
}

// A large download redirects to the store. The redirect reveals neither the token nor the address
// of the request.
func TestRedirectToTheStoreRevealsNothing(t *testing.T) {
	e := newEnv(t)
	self := newInstance(t, e)
	content := strings.Repeat("0123456789", 450_000)
	upload := check(t, e, client.JSON("POST", self+"/uploads?formId=large", "", client.Announcement(content)), 201, nil).Upload()
	client.Client{}.Must(t, 200, upload.Put(content))
	committed := check(t, e, client.Request{Method: "POST", Path: self + "/data?formId=large&upload=" + upload.ID}, 201, nil)
	address := committed.Header.Get("Location")
	got := check(t, e, client.Request{Method: "GET", Path: address[strings.Index(address, "/nav/"):]}, 307,
		map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Content-Type": ""})
	if location := got.Header.Get("Location"); !strings.Contains(location, "X-Amz-Signature=") || strings.Contains(location, "eyJ") || len(got.Body) > 0 {
		t.Errorf("the redirect is to %s, with the body %.100q", location, got.Body)
	}
}

// A response whose form depends on a request header names the header in Vary.
func TestVaryNamesNegotiatedHeaders(t *testing.T) {
	e := newEnv(t)
	stored := routes.Fill(storedInstance, e.instances["nav kari"], nil)
	for _, test := range []struct{ path, accept, media, vary string }{
		{"/storage/instances?appId=nav/other", "application/hal+json", "application/hal+json", "Accept"},
		{"/storage/instances?appId=nav/other", "*/*", "application/json", "Accept"},
		{"/storage/applications/nav/app2018/events?size=1", "application/x-ndjson", "application/x-ndjson", "Accept, Prefer"},
		{"/storage/applications/nav/app2018/events?size=1", "text/html", "application/json", "Accept, Prefer"},
		{stored + "/events", "application/x-ndjson", "application/x-ndjson", "Accept"},
		{stored + "/events", "application/cloudevents-batch+json", "application/cloudevents-batch+json", "Accept"},
		{"/storage/applications/nav/app2018/events?size=1", "application/cloudevents+json", "application/cloudevents+json", "Accept, Prefer"},
	} {
		r := client.Request{Method: "GET", Path: test.path, Header: http.Header{"Accept": {test.accept}, "Accept-Encoding": {"gzip"}}}
		check(t, e, r, 200, map[string]string{"Content-Type": test.media, "Vary": test.vary, "Content-Encoding": ""})
	}
}
