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
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/tests/token/issuer"
)

// TestAllocationsOfARequest asserts how often what every request goes through allocates, which is the same in every run and
// needs no tool. It stands in where there is no valgrind: the event to a request and back with the log line, the check of a token that has been seen, and the
// writing of a document.
func TestAllocationsOfARequest(t *testing.T) {
	b, err := New(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(coldstart.NewLogger(io.Discard, slog.LevelInfo))

	payload, err := b.reading(instanceRoute)
	if err != nil {
		t.Fatal(err)
	}
	var event events.APIGatewayV2HTTPRequest // for its token
	if err := json.Unmarshal(payload, &event); err != nil {
		t.Fatal(err)
	}
	keySet, err := os.ReadFile(b.tokens.KeySet())
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
		name string
		most float64
		f    func() error
	}{
		{"an event answered with a document", 95, func() error {
			_, err := adapter.Invoke(t.Context(), payload)
			return err
		}},
		{"a token that has been seen", 1, func() error {
			_, err := verifier.Caller(request)
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
		if got > tt.most {
			t.Errorf("%s: %.0f allocations, at most %.0f", tt.name, got, tt.most)
		}
	}
}
