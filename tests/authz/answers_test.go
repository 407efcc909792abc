package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// request is one that is let in, with whatever header.
func request(t *testing.T, w *env, org, method, path, media, body string, header map[string]string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.system.BaseURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Authorization", "Bearer "+w.registrar[org])
	r.Header.Set("Content-Type", media)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	a := answer{response.StatusCode, response.Header, got.String()}
	for name, value := range always {
		if a.header.Get(name) != value {
			t.Errorf("%s %s: %s: %q, want %q", method, path, name, a.header.Get(name), value)
		}
	}
	if whole := fmt.Sprint(a.header) + a.body; strings.Contains(whole, host) {
		t.Errorf("%s %s repeats the Host header", method, path)
	}
	return a
}

func (a answer) says(t *testing.T, status int, header map[string]string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%d, want %d: %.300s", a.status, status, a.body)
	}
	for name, value := range header {
		if a.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, a.header.Get(name), value)
		}
	}
}

// What somebody has sent to be run, or to break out of a header, comes back as an attachment of exactly the type that it was
// sent as.
func TestDownloadsAreSafe(t *testing.T) {
	w := enter(t)
	own, err := w.make("nav", "kari", "")
	if err != nil {
		t.Fatal(err)
	}
	self := fillIn(appsInstance, own, func(s string) string { return s })
	const page = `<script>alert("here")</script>`
	sent := request(t, w, "nav", "POST", self+"/data?formId=page", "text/html; charset=utf-8", page,
		map[string]string{"Content-Disposition": `attachment; filename="..\\..\\a\";x=<b>.html"`})
	sent.says(t, 201, nil)
	download := sent.header.Get("Location")
	download = download[strings.Index(download, "/nav/"):]
	got := request(t, w, "nav", "GET", download, "", "", nil)
	got.says(t, 200, map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	})
	if got.body != page {
		t.Errorf("the bytes are %q", got.body)
	}
	disposition := got.header.Get("Content-Disposition")
	if !strings.HasPrefix(disposition, `attachment; filename="`) || strings.Count(disposition, `"`) != 2 || strings.ContainsAny(disposition, "\\\r\n\x00") {
		t.Errorf("Content-Disposition: %s", disposition)
	}
	request(t, w, "nav", "GET", download, "", "", map[string]string{"If-None-Match": got.header.Get("ETag")}).says(t, 304, map[string]string{"Content-Type": ""})
	request(t, w, "nav", "GET", download, "", "", map[string]string{"Range": "bytes=900-"}).says(t, 416, map[string]string{"Content-Type": "application/problem+json"})
	request(t, w, "nav", "GET", download, "", "", map[string]string{"Range": "bytes=0-3"}).says(t, 206, map[string]string{"Content-Type": "text/html; charset=utf-8"})
}

// A large download leads to another host, which is told nothing of the address that was asked.
func TestTheWayToTheStoreGivesNothingAway(t *testing.T) {
	w := enter(t)
	own, err := w.make("nav", "kari", "")
	if err != nil {
		t.Fatal(err)
	}
	self := fillIn(appsInstance, own, func(s string) string { return s })
	content := strings.Repeat("0123456789", 450_000)
	sum := sha256.Sum256([]byte(content))
	var upload struct {
		ID, URL, Method string
		Headers         map[string]string
	}
	announced := request(t, w, "nav", "POST", self+"/uploads", "application/json",
		fmt.Sprintf(`{"contentType":"text/plain","size":%d,"sha256":%q}`, len(content), hex.EncodeToString(sum[:])), nil)
	announced.says(t, 201, nil)
	if err := json.Unmarshal([]byte(announced.body), &upload); err != nil {
		t.Fatal(err)
	}
	put, err := http.NewRequestWithContext(t.Context(), upload.Method, upload.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range upload.Headers {
		put.Header.Set(name, value)
	}
	stored, err := client.Do(put)
	if err != nil || stored.StatusCode != 200 {
		t.Fatalf("the store answers %v (%v)", stored, err)
	}
	stored.Body.Close()
	committed := request(t, w, "nav", "POST", self+"/data?formId=large&upload="+upload.ID, "", "", nil)
	committed.says(t, 201, nil)
	address := committed.header.Get("Location")
	got := request(t, w, "nav", "GET", address[strings.Index(address, "/nav/"):], "", "", nil)
	got.says(t, 307, map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Content-Type": ""})
	if to := got.header.Get("Location"); !strings.Contains(to, "X-Amz-Signature=") || strings.Contains(to, "eyJ") || got.body != "" {
		t.Errorf("it leads to %s, with the body %.100q", to, got.body)
	}
}

// Where the form of an answer depends on the request's header, the answer says on what.
func TestWhatIsNegotiatedIsSaid(t *testing.T) {
	w := enter(t)
	stored := fillIn(storedInstance, w.instances["nav kari"], func(s string) string { return s })
	for _, test := range []struct{ path, accept, media, vary string }{
		{"/storage/instances?appId=nav/other", "application/hal+json", "application/hal+json", "Accept"},
		{"/storage/instances?appId=nav/other", "*/*", "application/json", "Accept"},
		{"/storage/applications/nav/app2018/events?size=1", "application/x-ndjson", "application/x-ndjson", "Accept, Prefer"},
		{"/storage/applications/nav/app2018/events?size=1", "text/html", "application/json", "Accept, Prefer"},
		{stored + "/events", "application/x-ndjson", "application/x-ndjson", "Accept"},
	} {
		request(t, w, "nav", "GET", test.path, "", "", map[string]string{"Accept": test.accept, "Accept-Encoding": "gzip"}).
			says(t, 200, map[string]string{"Content-Type": test.media, "Vary": test.vary, "Content-Encoding": ""})
	}
}
