package receiver

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is the system with an application, and the instances submitted through the application.
type env struct {
	t           *testing.T
	system      *runtime.System
	app         string
	token, user string
	mu          sync.Mutex            // for submitted, because the proxy may still serve a killed receiver
	submitted   map[string]submission // by the instance's guid
}

type submission struct {
	path    string            // in the Storage API
	apps    string            // path in the Application API
	files   map[string][]byte // by the element's guid
	deleted bool              // by the user
	folders []string          // one for each submission
}

func newEnv(t *testing.T, system *runtime.System, app string) *env {
	t.Helper()
	e := &env{t: t, system: system, app: app, submitted: map[string]submission{}}
	var err error
	if e.token, err = system.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if e.user, err = system.Authenticator.User(issuer.User{SSN: "12247918309"}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	e.send(201, e.token, "PUT", "/storage/applications/"+e.app, "application/json", []byte("{}"))
	return e
}

// send sends a request directly to the system and returns the response body.
func (e *env) send(status int, token, method, path, contentType string, body []byte, headers ...string) []byte {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.system.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	responseBody, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		e.t.Fatalf("%s %s: %d, want %d (%v): %s", method, path, resp.StatusCode, status, err, responseBody)
	}
	return responseBody
}

// largeSize exceeds what a function can send inline.
const largeSize = 4_500_000

// submit creates an instance with a number of files of the same name, submits it and delivers its
// events to the feed. It returns the instance's guid.
func (e *env) submit(count int, withLarge bool) (guid string) {
	e.t.Helper()
	contents := make([][]byte, count)
	for n := range contents {
		contents[n] = randomBytes(3000)
	}
	return e.submitContent(contents, withLarge)
}

// submitContent is submit for given content.
func (e *env) submitContent(contents [][]byte, withLarge bool) (guid string) {
	e.t.Helper()
	var i struct {
		ID, InstanceOwnerID string
		Data                []struct{ ID string }
	}
	decode := func(response []byte) {
		e.t.Helper()
		if err := json.Unmarshal(response, &i); err != nil {
			e.t.Fatal(err)
		}
	}
	decode(e.send(201, e.user, "POST", "/"+e.app+"/instances", "application/json", []byte(`{"reportee": {"ssn": "12247918309"}}`)))
	path := "/" + e.app + "/instances/" + i.InstanceOwnerID + "/" + i.ID
	files := map[string][]byte{}
	for _, content := range contents {
		decode(e.send(201, e.user, "POST", path+"/data?formId=a", "application/pdf", content, "Content-Disposition", `attachment; filename="vedlegg.pdf"`))
		files[i.Data[len(i.Data)-1].ID] = content
	}
	if withLarge {
		content := randomBytes(largeSize)
		decode(e.upload(path, content))
		files[i.Data[len(i.Data)-1].ID] = content
	}
	e.set(i.ID, submission{path: "/storage/instances/" + i.InstanceOwnerID + "/" + i.ID, apps: path, files: files})
	e.enterSubmit(i.ID)
	return i.ID
}

// enterSubmit moves an instance to the step Submit, delivers its events to the feed and adds the
// folder that this submission must have.
func (e *env) enterSubmit(guid string) {
	e.t.Helper()
	s := e.get(guid)
	var i struct {
		Workflow struct{ SubmittedDateTime string }
	}
	if err := json.Unmarshal(e.send(200, e.user, "PUT", s.apps+"/workflow", "application/json", []byte(`{"currentStep": "Submit"}`)), &i); err != nil {
		e.t.Fatal(err)
	}
	s.folders = append(s.folders, strings.NewReplacer("-", "", ":", "").Replace(i.Workflow.SubmittedDateTime)+"-"+guid)
	e.set(guid, s)
	if _, err := e.system.Deliver(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

// resubmit sends an instance back and submits it again, with the same data.
func (e *env) resubmit(guid string) {
	e.t.Helper()
	s := e.get(guid)
	if s.deleted {
		e.send(200, e.user, "POST", s.apps+"/undelete", "", nil)
		s.deleted = false
		e.set(guid, s)
	}
	e.send(200, e.token, "PUT", s.apps+"/workflow", "application/json", []byte(`{"currentStep": "FormFilling"}`))
	e.enterSubmit(guid)
}

// softDelete deletes an instance as its user.
func (e *env) softDelete(guid string) {
	e.t.Helper()
	s := e.get(guid)
	e.send(200, e.user, "DELETE", s.apps, "", nil)
	s.deleted = true
	e.set(guid, s)
}

// upload uploads a large file as events/README.md describes and returns the instance.
func (e *env) upload(path string, content []byte) []byte {
	e.t.Helper()
	request := fmt.Sprintf(`{"fileName": "stor.pdf", "contentType": "application/pdf", "size": %d, "sha256": "%x"}`, len(content), sha256.Sum256(content))
	var upload struct {
		ID, URL, Method string
		Headers         map[string]string
	}
	if err := json.Unmarshal(e.send(201, e.user, "POST", path+"/uploads?formId=a", "application/json", []byte(request)), &upload); err != nil {
		e.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), upload.Method, upload.URL, bytes.NewReader(content))
	if err != nil {
		e.t.Fatal(err)
	}
	for name, value := range upload.Headers {
		if !strings.EqualFold(name, "Content-Length") {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("sending the content: %s", resp.Status)
	}
	return e.send(201, e.user, "POST", path+"/data?formId=a&upload="+upload.ID, "", nil)
}

func randomBytes(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	return content
}

func (e *env) get(guid string) submission {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.submitted[guid]
}

func (e *env) set(guid string, s submission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.submitted[guid] = s
}
