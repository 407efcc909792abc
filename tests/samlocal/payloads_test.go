package samlocal

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/event/sample"
)

// payloads passes every payload under events/ to `sam local invoke`, as `make event` writes it.
func (e *env) payloads(t *testing.T) {
	token, err := e.stack.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := os.ReadFile(filepath.Join(e.checkout, "tests", "local", "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	client.Client{Base: e.stack.BaseURL}.Must(t, http.StatusCreated, client.JSON(http.MethodPut, "/storage/applications/nav/app2018", token, string(demo)))
	system, err := sample.NewSystem(e.stack.BaseURL, e.stack.Authenticator)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := filepath.Glob(filepath.Join(e.checkout, "events", "*", "*.json"))
	if err != nil || len(payloads) < 30 {
		t.Fatalf("%d payloads (%v)", len(payloads), err)
	}
	for _, path := range payloads {
		folder := filepath.Base(filepath.Dir(path))
		if folder == "owner" {
			continue
		}
		t.Run(folder+"/"+filepath.Base(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := system.Fill(t.Context(), content)
			if err != nil {
				t.Fatal(err)
			}
			if err := sample.Check(payload, e.invoke(t, logicalName(folder), payload)); err != nil {
				t.Error(err)
			}
		})
	}
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
func (e *env) invoke(t *testing.T, function string, payload []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	argv := e.local("invoke", function, "--event", path)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = e.checkout, e.env
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.Bytes(), errOut.Bytes())
	}
	return bytes.TrimSpace(out.Bytes())
}
