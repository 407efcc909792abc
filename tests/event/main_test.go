package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/event/sample"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
)

// The functions respond with success to each event that the command writes, also if the command
// runs twice on the same system.
func TestEventsSucceed(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Start(t.Context(), runtime.Options{Parameters: map[string]string{"MaxHoldSeconds": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	port := announce(t, root, s.BaseURL)
	registerDemo(t, root, s)
	for range 2 {
		for _, f := range s.Template.Functions {
			var out bytes.Buffer
			if err := run(t.Context(), root, []string{f.Folder}, port, &out); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				var path string
				if _, err := fmt.Sscanf(line, "sam local invoke "+f.ID+" --event %s", &path); err != nil {
					t.Fatalf("%s: printed %q", f.Folder, line)
				}
				content, err := os.ReadFile(filepath.Join(root, path))
				if err != nil {
					t.Fatal(err)
				}
				response, err := s.Function(f.Folder).Invoke(t.Context(), content)
				if err == nil {
					err = sample.Check(content, response)
				}
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
}

// announce writes the file that `make run` writes while it runs, and returns the port.
func announce(t *testing.T, root, base string) (port string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	path := workspace.Local(root, "run", u.Port()+".json")
	if err := write(path, []byte(fmt.Sprintf(`{"baseURL": %q}`, base))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return u.Port()
}

func registerDemo(t *testing.T, root string, s *runtime.System) {
	t.Helper()
	demo, err := os.ReadFile(filepath.Join(root, "tests", "local", "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client.Client{Base: s.BaseURL}.Must(t, http.StatusCreated, client.JSON(http.MethodPut, "/storage/applications/nav/app2018", token, string(demo)))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"no function":         {nil, "make event FUNCTION=InstanceGet"},
		"an unknown function": {[]string{"InstanceGot"}, "the functions are AgendaRun, "},
		"a folder of events":  {[]string{"owner"}, "the functions are AgendaRun, "},
		"no running system":   {[]string{"InstanceGet"}, "make run"},
	} {
		err := run(context.Background(), root, test.arguments, "no-port", &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
