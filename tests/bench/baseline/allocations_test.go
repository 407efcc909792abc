package baseline

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/tests/token/issuer"
)

// TestRequestAllocations bounds the allocations that every request makes, which are the same in
// every run and need no tool. It replaces the instruction test where valgrind is not installed. It
// covers the conversion of event, response and log line, the check of a token that has been seen,
// and the encoding of a document.
func TestRequestAllocations(t *testing.T) {
	b, err := New(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(logging.New(io.Discard, slog.LevelInfo))

	payload, err := b.readEvent(instanceRoute)
	if err != nil {
		t.Fatal(err)
	}
	var event events.APIGatewayV2HTTPRequest // for its token
	if err := json.Unmarshal(payload, &event); err != nil {
		t.Fatal(err)
	}
	keySet, err := os.ReadFile(b.issuer.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.New(auth.Config{
		Issuer: issuer.Issuer, Audience: issuer.Audience, Read: func(context.Context) ([]byte, error) { return keySet, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", event.Headers["authorization"])
	document := Sample()
	adapter := lambdahttp.New(httpapi.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		return httpapi.WriteJSON(w, http.StatusOK, document)
	}))
	for _, tt := range []struct {
		name  string
		limit float64
		f     func() error
	}{
		{"an event, with a document as the response", 100, func() error {
			_, err := adapter.Invoke(t.Context(), payload)
			return err
		}},
		{"a token that has been seen", 1, func() error {
			_, err := verifier.Authenticate(request)
			return err
		}},
		{"a document", 1, func() error {
			_, err := document.AppendJSON(make([]byte, 0, 4096))
			return err
		}},
	} {
		got := testing.AllocsPerRun(100, func() {
			if err := tt.f(); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %.0f allocations", tt.name, got)
		if got > tt.limit {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.name, got, tt.limit)
		}
	}
}
