package lambdahttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-lambda-go/events"
)

// childVariable is the environment variable that makes the test binary run as a function, for
// TestStart.
const childVariable = "LAMBDAHTTP_TEST_CHILD"

// child is a function's main.
func child() {
	env := coldstart.Load()
	greeting := env.String("GREETING")
	env.OnInit("unavailable", func(context.Context) error { return errors.New("not there") })
	Start(env, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, greeting+" "+r.PathValue("app"))
	}))
}

// runtimeAPI serves Lambda's runtime API. It delivers one event and sends the function's response
// on responses.
func runtimeAPI(t *testing.T, event any) (address string, responses <-chan []byte) {
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	events, out := make(chan []byte, 1), make(chan []byte, 1)
	events <- payload
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "invocation-1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(10*time.Second).UnixMilli(), 10))
			w.Write(e)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/invocation-1/response", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		out <- body
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return strings.TrimPrefix(server.URL, "http://"), out
}

func TestStart(t *testing.T) {
	t.Run("serves", func(t *testing.T) {
		address, responses := runtimeAPI(t, event("nav", "app2018"))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var stdout bytes.Buffer
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = []string{childVariable + "=1", "GREETING=hei", "AWS_LAMBDA_RUNTIME_API=" + address}
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var response events.APIGatewayV2HTTPResponse
		select {
		case body := <-responses:
			if err := json.Unmarshal(body, &response); err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Error("no response")
		}
		cancel()
		cmd.Wait() // the error is always that the process was killed
		if response.StatusCode != 200 || response.Body != "hei app2018" {
			t.Errorf("response = %+v", response)
		}
		lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `"warm-up failed"`) || !strings.Contains(lines[1], `"requestId":"invocation-1"`) {
			t.Errorf("log:\n%s", stdout.String())
		}
	})
	t.Run("exits if a variable is missing", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = []string{childVariable + "=1"}
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("missing environment variables: GREETING")) {
			t.Errorf("%v: %s", err, out)
		}
	})
}
