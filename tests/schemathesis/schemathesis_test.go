// Package schemathesis tests the running system with thousands of requests that schemathesis
// generates from the OpenAPI document: valid requests, examples, every bound of every parameter,
// and requests that break a rule. It checks the responses against the document with closed
// responses, so that a member or code that the document does not list fails. A failure prints the
// curl command that reproduces it.
//
//	OPERATION    the operationId of the only operation to test; default: all
package schemathesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// The checks of every response: no 5xx; no status, type, header or body that is not in the
// document; no success without a token or for an invalid request.
const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance," +
	"response_schema_conformance,ignored_auth,negative_data_rejection"

// seed is fixed, so that a failure is reproducible.
const seed = "20261125"

const person = "12247918309"

func TestEveryResponseMatchesTheDocument(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	document, err := closedDocument(t, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := workspace.Installed(workspace.Local(root, "contract-venv", ".stamp"), "schemathesis", "install-contract"); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(workspace.Local(root, "log", "schemathesis.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	system, err := runtime.Start(t.Context(), runtime.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	owner, err := system.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	user, err := system.Authenticator.User(issuer.User{SSN: person}, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	api := &api{client.Client{Base: system.BaseURL}, t, owner}
	api.send(http.MethodPut, "/storage/applications/nav/app2018", application)
	type run struct {
		name, config, token, examples string
	}
	runs := []run{{"user", "real.toml", user, "10"}, {"owner", "real.toml", owner, "20"}, {"anything", "anything.toml", owner, "10"}}
	instances := make([][]string, len(runs))
	for n := range runs { // before any run, because the requests of owners replace the registration
		instances[n] = append(api.instances(), api.subscriptions(n)...)
	}
	for n, run := range runs {
		t.Run(run.name, func(t *testing.T) {
			env := append(instances[n], "TOKEN="+run.token)
			summary, err := generate(t.Context(), root, document, t.TempDir(), run.config, system.BaseURL, run.examples, env)
			if err != nil {
				t.Fatalf("%v; the functions' log is %s\n%s", err, log.Name(), strings.ReplaceAll(summary, run.token, "(token)"))
			}
			lines := strings.Split(strings.TrimSpace(summary), "\n")
			t.Log(strings.Join(lines[max(0, len(lines)-12):], "\n"))
		})
	}
	if _, err := system.Deliver(t.Context()); err != nil {
		t.Errorf("delivering the events: %v", err)
	}
}

// closedDocument writes the OpenAPI document with closed responses to a temporary file, and returns
// its path.
func closedDocument(t *testing.T, root string) (string, error) {
	d, err := contract.Read(root)
	if err != nil {
		return "", err
	}
	text, err := d.Closed()
	if err == nil {
		text, err = withoutBinary(text)
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.TempDir(), "openapi.json")
	return path, os.WriteFile(path, text, 0o600)
}

// withoutBinary returns a document whose responses have no schema of binary content. Content can be
// JSON, and schemathesis compares the decoded value with the schema, which is a string.
func withoutBinary(text []byte) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	removed := 0
	components, _ := document["components"].(map[string]any)
	responses, _ := components["responses"].(map[string]any)
	for _, response := range responses {
		response, _ := response.(map[string]any)
		content, _ := response["content"].(map[string]any)
		for _, media := range content {
			media, _ := media.(map[string]any)
			if schema, _ := media["schema"].(map[string]any); schema["format"] == "binary" {
				delete(media, "schema")
				removed++
			}
		}
	}
	if removed == 0 {
		return nil, errors.New("the document has no response with binary content")
	}
	return json.Marshal(document)
}

// generate runs schemathesis with a document in the folder dir and returns its output.
func generate(ctx context.Context, root, document, dir, config, baseURL, examples string, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	arguments := []string{"--config-file", filepath.Join(root, "tests", "schemathesis", config), "run", document,
		"--url", baseURL, "--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", seed,
		"--generation-deterministic", "--continue-on-failure", "--no-color", "--request-timeout", "60", "--workers", "1"} // Python 3.11's parser fails with two workers
	if operation := os.Getenv("OPERATION"); operation != "" {
		arguments = append(arguments, "--include-operation-id", operation)
	}
	cmd := exec.CommandContext(ctx, workspace.Local(root, "contract-venv", "bin", "schemathesis"), arguments...)
	cmd.Dir = dir
	cmd.Env = workspace.Environment(env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// application is the application of the generated requests.
const application = `{
	"title": {"nb": "Melding"},
	"dataTypes": [
		{"formId": "default", "allowedContentTypes": ["application/json", "application/xml"], "minCount": 1, "maxCount": 1, "schema": {"type": "object"}},
		{"formId": "attachment", "minCount": 0, "maxCount": 0}]}`

type api struct {
	client.Client
	t     *testing.T
	token string
}

// instances creates the instances of a run and returns their ids as the configurations name them.
func (a *api) instances() []string {
	env := []string{}
	for n, name := range []string{"INSTANCE", "TO_SUBMIT", "TO_DELETE"} {
		made := a.send(http.MethodPost, "/nav/app2018/instances", `{"reportee": {"ssn": "`+person+`"}, "labels": ["gr"], "data": [
			{"formId": "default", "contentType": "application/json", "content": "e30="},
			{"formId": "attachment", "contentType": "text/plain", "content": "aGVsbG8="}]}`).Instance()
		env = append(env, name+"="+made.ID)
		switch n {
		case 0:
			env = append(env, "PARTY="+made.InstanceOwnerID, "DATA="+made.Data[1].ID)
		case 1:
			env = append(env, "DATA_TO_DELETE="+made.Data[1].ID)
		}
	}
	return env
}

// subscriptions creates the subscriptions of a run and returns their ids as the configurations name
// them.
func (a *api) subscriptions(run int) []string {
	env := []string{}
	for _, name := range []string{"SUBSCRIPTION", "SUBSCRIPTION_TO_DELETE"} {
		made := a.send(http.MethodPost, "/storage/subscriptions", fmt.Sprintf(`{"endpoint": "https://hooks.example.com/%s/%d", "appIds": ["nav/app2018"]}`, name, run))
		env = append(env, name+"="+made.Instance().ID) // the member "id"
	}
	return env
}

func (a *api) send(method, path, body string) *client.Response {
	a.t.Helper()
	return a.Must(a.t, http.StatusCreated, client.JSON(method, path, a.token, body))
}
