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
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is the system with an application, and what was submitted through it.
type env struct {
	t           *testing.T
	system      *runtime.System
	app         string
	token, user string
	submitted   map[string]submission // by the instance's guid
}

type submission struct {
	path  string            // on the Storage API
	files map[string][]byte // by the element's guid
}

func newSite(t *testing.T, system *runtime.System) *env {
	t.Helper()
	s := &env{t: t, system: system, app: "nav/owner", submitted: map[string]submission{}}
	var err error
	if s.token, err = system.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.user, err = system.Authenticator.User(issuer.User{SSN: "12247918309"}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.send(201, s.token, "PUT", "/storage/applications/"+s.app, "application/json", []byte("{}"))
	return s
}

// send sends a request, to the system itself, and returns the body of the answer.
func (s *env) send(status int, token, method, path, contentType string, body []byte, headers ...string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.system.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
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
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		s.t.Fatalf("%s %s: %d, want %d (%v): %s", method, path, resp.StatusCode, status, err, answer)
	}
	return answer
}

// largeSize is more than a function answers with.
const largeSize = 4_500_000

// submit creates an instance with two files of the same name, fills it in, and submits it; its events are in the feed.
func (s *env) submit(withLarge bool) {
	s.t.Helper()
	var i struct {
		ID, InstanceOwnerID string
		Data                []struct{ ID string }
	}
	decode := func(answer []byte) {
		s.t.Helper()
		if err := json.Unmarshal(answer, &i); err != nil {
			s.t.Fatal(err)
		}
	}
	decode(s.send(201, s.user, "POST", "/"+s.app+"/instances", "application/json", []byte(`{"reportee": {"ssn": "12247918309"}}`)))
	self := "/" + s.app + "/instances/" + i.InstanceOwnerID + "/" + i.ID
	files := map[string][]byte{}
	for range 2 {
		content := randomBytes(3000)
		decode(s.send(201, s.user, "POST", self+"/data?formId=a", "application/pdf", content, "Content-Disposition", `attachment; filename="vedlegg.pdf"`))
		files[i.Data[len(i.Data)-1].ID] = content
	}
	if withLarge {
		content := randomBytes(largeSize)
		decode(s.upload(self, content))
		files[i.Data[len(i.Data)-1].ID] = content
	}
	s.submitted[i.ID] = submission{"/storage/instances/" + i.InstanceOwnerID + "/" + i.ID, files}
	s.send(200, s.user, "PUT", self+"/workflow", "application/json", []byte(`{"currentStep": "Submit"}`))
	if _, err := s.system.Deliver(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// upload sends a large file as the README says, and returns the instance.
func (s *env) upload(self string, content []byte) []byte {
	s.t.Helper()
	announcement := fmt.Sprintf(`{"fileName": "stor.pdf", "contentType": "application/pdf", "size": %d, "sha256": "%x"}`, len(content), sha256.Sum256(content))
	var link struct {
		ID, URL, Method string
		Headers         map[string]string
	}
	if err := json.Unmarshal(s.send(201, s.user, "POST", self+"/uploads", "application/json", []byte(announcement)), &link); err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), link.Method, link.URL, bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range link.Headers {
		if !strings.EqualFold(name, "Content-Length") {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("sending the bytes: %s", resp.Status)
	}
	return s.send(201, s.user, "POST", self+"/data?formId=a&upload="+link.ID, "", nil)
}

func randomBytes(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	return content
}
