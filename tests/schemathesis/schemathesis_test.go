// Package schemathesis provides the test in which schemathesis makes requests out of the OpenAPI document, thousands of them,
// and holds the answers of the running system against it: valid requests, examples, every bound of every parameter, and
// requests that break a rule. A failure prints the curl command that shows it.
//
//	OPERATION    the operationId of the one operation to look at; left out, all of them
package schemathesis

import (
	"context"
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

// What is checked of every answer: no 5xx, no status, type, header or body that the document does not have, nothing
// without a token, and nothing invalid that succeeds.
const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance," +
	"response_schema_conformance,ignored_auth,negative_data_rejection"

// seed is fixed: a run that fails, fails again.
const seed = "20261125"

const person = "12247918309"

func TestEveryAnswerIsInTheDocument(t *testing.T) {
	root, err := workspace.Root()
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
	for _, run := range []struct {
		name, config, token, examples string
	}{
		{"owner", "real.toml", owner, "20"},
		{"user", "real.toml", user, "10"},
		{"anything", "anything.toml", owner, "10"},
	} {
		t.Run(run.name, func(t *testing.T) {
			env := append(api.instances(), "TOKEN="+run.token)
			summary, err := generate(t.Context(), root, t.TempDir(), run.config, system.BaseURL, run.examples, env)
			if err != nil {
				t.Fatalf("%v; what the functions say is in %s\n%s", err, log.Name(), strings.ReplaceAll(summary, run.token, "(token)"))
			}
			lines := strings.Split(strings.TrimSpace(summary), "\n")
			t.Log(strings.Join(lines[max(0, len(lines)-12):], "\n"))
		})
	}
	if _, err := system.Deliver(t.Context()); err != nil {
		t.Errorf("the events of all this: %v", err)
	}
}

// generate runs schemathesis in a folder of its own and returns what it prints.
func generate(ctx context.Context, root, dir, config, baseURL, examples string, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	arguments := []string{"--config-file", filepath.Join(root, "tests", "schemathesis", config), "run", filepath.Join(root, contract.File),
		"--url", baseURL, "--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", seed,
		"--generation-deterministic", "--continue-on-failure", "--no-color", "--workers", "1"} // two workers are one too many for the parser of Python 3.11
	if operation := os.Getenv("OPERATION"); operation != "" {
		arguments = append(arguments, "--include-operation-id", operation)
	}
	cmd := exec.CommandContext(ctx, workspace.Local(root, "contract-venv", "bin", "schemathesis"), arguments...)
	cmd.Dir = dir
	cmd.Env = workspace.Environment(env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// application is what the generated requests are about.
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

func (a *api) send(method, path, body string) *client.Response {
	a.t.Helper()
	return a.Must(a.t, http.StatusCreated, client.JSON(method, path, a.token, body))
}
