package samlocal

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/containers"
)

// The ids of the payloads under events/. Each payload gets its own instance instead.
const (
	payloadApp     = "nav/app2018"
	payloadOwner   = "5064120983"
	payloadGuid    = "0192d3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f"
	payloadElement = "0192d3c4-5b01-7000-8a3e-6f2d1c0b9a88"
	payloadToGo    = "0192d3c4-5a6b-7c8d-9e0f-1a2b3c4d5e70" // of an element that the payload deletes
)

// rejected has the payloads whose expected response is an error, with the reason.
var rejected = map[string]struct {
	status int
	why    string
}{
	"data-create/upload.json":            {404, "its upload was not started"},
	"data-replace/upload.json":           {404, "its upload was not started"},
	"data-replace/xml.json":              {412, "its If-Match names other content"},
	"download-confirm/all-elements.json": {409, "no element was downloaded"},
	"download-confirm/one-element.json":  {409, "the element was not downloaded"},
	"party-instances/in-progress.json":   {403, "the route is for users, and the token is an owner's"},
}

// payloads passes every payload under events/ to `sam local invoke`.
func (e *env) payloads(t *testing.T) {
	token, err := e.stack.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := os.ReadFile(filepath.Join(e.root, "tests", "local", "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	e.send(t, token, http.MethodPut, "/storage/applications/"+payloadApp, string(demo))
	payloads, err := filepath.Glob(filepath.Join(e.root, "events", "*", "*.json"))
	if err != nil || len(payloads) < 30 {
		t.Fatalf("%d payloads (%v)", len(payloads), err)
	}
	for _, path := range payloads {
		folder := filepath.Base(filepath.Dir(path))
		name := folder + "/" + filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			payload := strings.ReplaceAll(string(content), "Bearer TOKEN", "Bearer "+token)
			request := strings.Contains(payload, `"routeKey"`)
			if request {
				payload = e.withInstance(t, token, payload)
			}
			checkResponse(t, name, request, e.invoke(t, logicalName(folder), payload))
		})
	}
}

// withInstance creates an instance and returns the payload with the instance's ids.
func (e *env) withInstance(t *testing.T, token, payload string) string {
	t.Helper()
	response := e.send(t, token, http.MethodPost, "/"+payloadApp+"/instances", `{"reportee": {"ssn": "12247918309"}, "labels": ["gr", "x2"],
		"data": [{"formId": "default", "contentType": "application/xml", "content": "PG1lbGRpbmcvPg=="}]}`)
	made := response.Instance()
	if len(made.Data) != 1 {
		t.Fatalf("no instance with one data element: %v", response)
	}
	return strings.NewReplacer(payloadGuid, made.ID, payloadElement, made.Data[0].ID, payloadToGo, made.Data[0].ID, payloadOwner, made.InstanceOwnerID).Replace(payload)
}

// send sends a request to the functions of the local AWS.
func (e *env) send(t *testing.T, token, method, path, body string) *client.Response {
	t.Helper()
	response, err := client.Client{Base: e.stack.BaseURL}.Do(t.Context(), client.JSON(method, path, token, body))
	if err != nil || response.Status > 299 {
		t.Fatalf("%s %s: %v (%v)", method, path, response, err)
	}
	return response
}

// logicalName returns the logical id of a folder's function: DataCreate for data-create.
func logicalName(folder string) string {
	var name strings.Builder
	for _, word := range strings.Split(folder, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// invoke invokes the function and returns its response.
func (e *env) invoke(t *testing.T, function string, payload string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	argv := append(e.command("invoke", function, "--event", "-"), "--env-vars", containers.EnvFile(e.root))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = e.root, e.env, strings.NewReader(payload)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.Bytes(), errOut.Bytes())
	}
	return bytes.TrimSpace(out.Bytes())
}

// checkResponse checks that a request succeeds, or fails as listed in rejected, and that any
// other payload causes no error.
func checkResponse(t *testing.T, name string, request bool, response []byte) {
	t.Helper()
	var got struct {
		StatusCode        int
		Body              string
		ErrorType         string
		BatchItemFailures []any
	}
	if err := json.Unmarshal(response, &got); err != nil && len(response) > 0 {
		t.Fatalf("%v in %s", err, response)
	}
	expected := rejected[name].status
	switch {
	case got.ErrorType != "":
		t.Errorf("the function failed: %s", response)
	case !request && len(got.BatchItemFailures) > 0:
		t.Errorf("the function reported failed items: %s", response)
	case request && expected != 0 && got.StatusCode != expected:
		t.Errorf("%s, want %d", response, expected)
	case request && expected == 0 && got.StatusCode != 304 && (got.StatusCode < 200 || got.StatusCode > 299):
		t.Errorf("%s, want a success", response)
	}
}
