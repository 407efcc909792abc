package permissions

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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

// env is a running system, and its two callers.
type env struct {
	t *testing.T
	*runtime.System
	*recorder
	owner, user string // authenticator
}

const ssn = "12247918309"

func newSite(t *testing.T) *env {
	t.Helper()
	s := &env{t: t, recorder: &recorder{t: t, calls: map[use]int{}, warm: map[use]bool{}}}
	var err error
	if s.System, err = runtime.Start(t.Context(), runtime.Options{BetweenEach: s.between, Parameters: map[string]string{"CreatesPerHour": "1000"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if s.owner, err = s.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.user, err = s.Authenticator.User(issuer.User{SSN: ssn}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what the requests need of the answers.
type answer struct {
	ID              string `json:"id"`
	InstanceOwnerID string `json:"instanceOwnerId"`
	Data            []struct {
		ID string `json:"id"`
	} `json:"data"`
	Method, URL string
	Headers     map[string]string
}

func (a answer) app() string     { return "/nav/app2018/instances/" + a.InstanceOwnerID + "/" + a.ID }
func (a answer) storage() string { return "/storage/instances/" + a.InstanceOwnerID + "/" + a.ID }

// ask sends a request and wants a status. A header is "Name: value".
func (s *env) ask(status int, token, method, path, contentType, body string, headers ...string) (a answer) {
	s.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = s.BaseURL + path
	}
	q, err := http.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, text)
	}
	if bytes.HasPrefix(text, []byte("{")) {
		if err := json.Unmarshal(text, &a); err != nil {
			s.t.Fatal(err)
		}
	}
	return a
}

func (s *env) create(labels string) answer {
	s.t.Helper()
	return s.ask(201, s.user, "POST", "/nav/app2018/instances", "application/json", creation(labels))
}

func creation(labels string) string {
	return fmt.Sprintf(`{"reportee":{"ssn":%q},"labels":[%s],"data":[{"formId":"a","contentType":"application/json","content":"e30="}]}`, ssn, labels)
}

// upload announces and sends a file.
func (s *env) upload(i answer, content string) answer {
	s.t.Helper()
	sum := sha256.Sum256([]byte(content))
	u := s.ask(201, s.user, "POST", i.app()+"/uploads", "application/json",
		fmt.Sprintf(`{"fileName":"c.txt","contentType":"text/plain","size":%d,"sha256":%q}`, len(content), hex.EncodeToString(sum[:])))
	var headers []string
	for name, value := range u.Headers {
		headers = append(headers, name+": "+value)
	}
	s.ask(200, "", u.Method, u.URL, "", content, headers...)
	return u
}
