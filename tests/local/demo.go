package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"altinn.no/instanceapi/tests/local/build"
	"altinn.no/instanceapi/tests/local/containers"
	"altinn.no/instanceapi/tests/local/stack"
)

// demoID is the application that make run registers.
const (
	demoID  = "nav/app2018"
	demoOrg = "nav"
)

// demoApplication sets every member of an application, as an example. Its workflow is the default
// one.
//
//go:embed demo.json
var demoApplication []byte

// registerDemo registers the demo application as its owner, over HTTP. This also proves that the
// APIs, functions and tables work.
func registerDemo(ctx context.Context, s *stack.Stack) error {
	token, err := s.Authenticator.Owner(demoOrg, "", 5*time.Minute)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	url := s.BaseURL + "/storage/applications/" + demoID
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(demoApplication))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("If-None-Match", "*") // a kept registration may have changed
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusPreconditionFailed {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return fmt.Errorf("registering %s: PUT %s returned %s: %s (function logs: make logs)", demoID, url, resp.Status, body)
	}
	return nil
}

// writeRunFile writes the addresses for `make logs`. The file exists while the system runs.
func writeRunFile(path string, s *stack.Stack) error {
	content, err := json.MarshalIndent(map[string]any{
		"baseURL": s.BaseURL, "awsEndpoint": s.AWSEndpoint, "region": stack.Region,
		"outputs": s.Outputs, "logGroups": s.LogGroups,
	}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

var ready = template.Must(template.New("ready").Parse(`
ready in {{.Seconds}} s

  Application API   {{.BaseURL}}/{org}/{app}/instances
  Storage API       {{.BaseURL}}/storage
  Documentation     {{.BaseURL}}/storage/docs
  Console           {{.BaseURL}}/   in a browser
  AWS endpoint      {{.AWSEndpoint}}   region {{.Region}}, any credentials, event bus {{.Bus}}
  application       {{.Demo}}
  Malware scan      {{.Scan}}{{if ne .Scan "off"}}, by a stand-in; content is pending for about a second{{end}}

Try in another terminal:

  owner=$(make -s token ORG=nav)
  user=$(make -s token SSN=12247918309)
  curl -H "Authorization: Bearer $owner" {{.BaseURL}}/storage/applications/{{.Demo}}
  curl -H "Authorization: Bearer $user" -H 'Content-Type: application/json' \
       -d '{"reportee": {"ssn": "12247918309"}, "labels": ["gr", "x2"]}' {{.BaseURL}}/{{.Demo}}/instances
  curl -H "Authorization: Bearer $owner" '{{.BaseURL}}/storage/instances?appId={{.Demo}}&label=gr'
  curl -H "Authorization: Bearer $owner" '{{.BaseURL}}/storage/applications/{{.Demo}}/events'
  make receive APP={{.Demo}} LISTEN=:8090 BASE={{.BaseURL}}   # an example receiver, woken by a webhook

  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION={{.Region}} AWS_DEFAULT_REGION={{.Region}} AWS_ENDPOINT_URL={{.AWSEndpoint}}
  aws events put-rule --event-bus-name {{.Bus}} --name mine --event-pattern '{"source": ["no.altinn.apps.nav"]}'

Function logs: make logs. Ctrl-C stops everything{{if .Keep}}; {{.Keep}} keeps the data{{else}} and deletes all data; to keep it, start with KEEP=1{{end}}.
{{if not .Containers}}For sam local, start with CONTAINERS=1.
{{end}}`))

var inContainers = template.Must(template.New("containers").Parse(`
Functions in containers reach the local AWS at {{.AWSEndpoint}}. Their environment is in {{.EnvFile}}.
In another terminal, with SAM CLI (` + "`make install-sam`" + ` installs it as .local/sam-venv/bin/sam):

  export {{.Build}}
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  sam build --parameter-overrides Arch={{.Arch}}
  sam local start-api --parameter-overrides Arch={{.Arch}}
  make event FUNCTION=InstanceGet   # prints: sam local invoke InstanceGet --event …

Or: make sam-local, which pulls no image.
`))

func printContainers(w io.Writer, endpoint string) {
	_ = inContainers.Execute(w, map[string]any{
		"AWSEndpoint": endpoint, "EnvFile": containers.EnvFile("."), "Build": build.Environment, "Arch": build.Arch(),
	})
}

func printReady(w io.Writer, s *stack.Stack, took time.Duration, keep, scan string) {
	_ = ready.Execute(w, map[string]any{
		"Seconds": fmt.Sprintf("%.0f", took.Seconds()), "BaseURL": s.BaseURL, "AWSEndpoint": s.AWSEndpoint,
		"Region": stack.Region, "Bus": s.Outputs["EventBusName"], "Demo": demoID, "Keep": keep, "Scan": scan, "Containers": os.Getenv("CONTAINERS"),
	})
}
