package permissions

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is a running system and its two callers.
type env struct {
	t *testing.T
	client.Client
	*runtime.System
	*recorder
	owner, user string // tokens
}

const ssn = "12247918309"

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, recorder: &recorder{t: t, calls: map[use]int{}, warmUps: map[use]bool{}}}
	var err error
	if e.System, err = runtime.Start(t.Context(), runtime.Options{BetweenEach: e.between, Parameters: map[string]string{"CreatesPerHour": "1000", "WebhookInsecure": "true", "MalwareScan": "guardduty"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	e.Base = e.BaseURL
	if e.owner, err = e.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if e.user, err = e.Authenticator.User(issuer.User{SSN: ssn}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	return e
}

// linking returns a token of the user with a further identity that no request has had before.
func (e *env) linking() string {
	e.t.Helper()
	token, err := e.Authenticator.User(issuer.User{SSN: ssn, Name: uuid.New().String()}, "", time.Hour)
	if err != nil {
		e.t.Fatal(err)
	}
	return token
}

// send sends a request and checks the status. A header is "Name: value".
func (e *env) send(status int, token, method, path, contentType, body string, headers ...string) *client.Response {
	e.t.Helper()
	r := client.Request{Method: method, Path: path, Token: token, Type: contentType, Body: body}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r = r.With(name, value)
	}
	return e.Must(e.t, status, r)
}

// create creates an instance and scans its content.
func (e *env) create(labels string) client.Instance {
	e.t.Helper()
	i := e.send(201, e.user, "POST", "/nav/app2018/instances", "application/json", creation(labels)).Instance()
	e.scan()
	return i
}

// scan scans the content that is new since the last call.
func (e *env) scan() {
	e.t.Helper()
	if _, err := e.Scan(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func creation(labels string) string {
	return fmt.Sprintf(`{"reportee":{"ssn":%q},"labels":[%s],"data":[
		{"formId":"a","contentType":"application/json","content":"e30="},{"formId":"any","contentType":"text/plain","content":"YQ=="}]}`, ssn, labels)
}

// upload starts an upload and sends its content.
func (e *env) upload(i client.Instance, content string) client.Upload {
	e.t.Helper()
	u := e.Must(e.t, 201, client.JSON("POST", i.Apps()+"/uploads?formId=any", e.user, client.Announcement(content))).Upload()
	e.Must(e.t, 200, u.Put(content))
	return u
}
