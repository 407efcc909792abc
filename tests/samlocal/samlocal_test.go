package samlocal

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/build"
	"altinn.no/instanceapi/tests/local/containers"
	"altinn.no/instanceapi/tests/local/process"
	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/workspace"
)

// sam is the command `sam` in a checkout in which nothing has run yet.
type sam struct {
	path     string
	checkout string
	arch     string
	env      []string
}

// env is the local AWS, open to containers.
type env struct {
	sam
	root      string
	stack     *stack.Stack
	forwarder *containers.Forwarder
	port      string // of start-api
}

func newEnv(t *testing.T) *env {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	arch := os.Getenv("ARCH")
	if arch == "" {
		t.Fatal("run this with `make test-sam-local`, which builds what it needs")
	}
	s := &env{root: root, sam: sam{
		path:     workspace.Local(root, "sam-venv", "bin", "sam"),
		checkout: copyCheckout(t, root),
		arch:     arch,
		env:      workspace.Environment("SAM_CLI_TELEMETRY=0", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"),
	}}
	for _, name := range []string{"DOCKER_HOST", "GOTOOLCHAIN", "GOPROXY", "GOPATH", "GOMODCACHE", "GOCACHE"} {
		if value, ok := os.LookupEnv(name); ok {
			s.env = append(s.env, name+"="+value)
		}
	}
	if s.port, err = process.FreePort(); err != nil {
		t.Fatal(err)
	}
	if s.stack, err = stack.Start(t.Context(), stack.Options{Progress: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stack.Stop)
	address := os.Getenv("CONTAINERS")
	if address == "" {
		address = "1"
	}
	if s.forwarder, err = containers.Open(root, s.stack, address, "http://127.0.0.1:"+s.port); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.forwarder.Close)
	// samconfig.toml names the file in the checkout.
	if err := os.Mkdir(workspace.Local(s.checkout), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(containers.EnvFile(root), containers.EnvFile(s.checkout)); err != nil {
		t.Fatal(err)
	}
	return s
}

// local returns a command `sam local …` as `make run` prints it, with an image that needs no
// registry.
func (s *sam) local(subcommand ...string) []string {
	return append(append([]string{s.path, "local"}, subcommand...), "--parameter-overrides", "Arch="+s.arch,
		"--invoke-image", "instance-api-lambda", "--skip-pull-image")
}

// startAPI starts `sam local start-api` and waits until it responds.
func (e *env) startAPI(t *testing.T) (base string) {
	t.Helper()
	// The checkout belongs to the process from now on.
	process, err := process.Start("sam local", e.checkout, e.env, workspace.Local(e.root, "log", "sam-local.log"), e.local("start-api", "--port", e.port)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Stop)
	base = "http://127.0.0.1:" + e.port
	if err := process.Ready(3*time.Minute, func() error {
		resp, err := http.Get(base + "/")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return base
}

func TestSamLocal(t *testing.T) {
	s := newEnv(t)
	t.Run("plain build", s.plainBuild)
	s.build(t, build.Environment)
	base := s.startAPI(t)
	t.Run("differences", func(t *testing.T) { s.differences(t, base) })
	t.Run("acceptance", func(t *testing.T) { s.acceptance(t, base) })
	t.Run("payloads", s.payloads)
}

// differences checks the differences from AWS that functions/OPERATIONS.md lists, as far as a
// response shows them.
func (e *env) differences(t *testing.T, base string) {
	token, err := e.stack.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path, token string
		status            int
		body              string
	}{
		{"a path without a route", "/storage/nothing/here/at/all", token, 403, "Missing Authentication Token"},
		{"a trailing slash", "/storage/instances/?appId=nav/app2018", token, 200, "_embedded"},
		{"no authorizer, but no access without a token", "/storage/instances?appId=nav/app2018", "", 401, "urn:altinn:problem:"},
	} {
		response, err := client.Client{Base: base}.Do(t.Context(), client.Request{Method: http.MethodGet, Path: test.path, Token: test.token})
		if err != nil {
			t.Fatal(err)
		}
		if response.Status != test.status || !strings.Contains(string(response.Body), test.body) {
			t.Errorf("%s: %v, want %d", test.name, response, test.status)
		}
	}
}

// acceptance runs the acceptance tests and scripts against start-api, except those in leftOut.
func (e *env) acceptance(t *testing.T, base string) {
	var skip []string
	for _, name := range slices.Sorted(maps.Keys(leftOut)) {
		fmt.Printf("skipped: %s: %s\n", name, leftOut[name])
		skip = append(skip, "^"+strings.ReplaceAll(name, "/", "$/^")+"$")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout", "20m", "-v", "-parallel", "2",
		"-run", os.Getenv("RUN"), "-skip", strings.Join(skip, "|"), "./tests/acceptance")
	cmd.Dir = e.root
	cmd.Env = append(os.Environ(), "BASE_URL="+base, "AWS_ENDPOINT="+e.stack.AWSEndpoint, "EVENT_BUS="+e.stack.Outputs["EventBusName"])
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	scripts, tests := strings.Count(out.String(), "    --- PASS: TestScripts/"), strings.Count(out.String(), "\n--- PASS: ")
	if err != nil || scripts+tests == 0 {
		t.Errorf("%v\n%s", err, out.String())
	}
	t.Logf("%d scripts and %d tests passed, %d were skipped", scripts, tests, len(leftOut))
}
