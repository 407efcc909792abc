package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/application/applicationtest"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

// TestSamples sends each sample with a valid token. The response must contain only the event that
// the sample selects.
func TestSamples(t *testing.T) {
	memory := eventtest.NewMemory(time.Now)
	guid := uuid.New().String()
	for n, step := range []string{"FormFilling", "Submit", "Archived"} {
		memory.Append(t.Context(), []event.Encoded{eventtest.Document("nav/app2018", guid, n+1, time.Now(), step)})
	}
	adapter := lambdahttp.New(handler(authtest.Verifier(), &applicationtest.Memory{}, memory, httpapi.BaseURLs{Platform: "https://platform.altinn.no"}, eventhttp.Hold{}))
	samples, err := filepath.Glob("../../events/event-query/*.json")
	if err != nil || len(samples) < 2 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		var request events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(text, &request); err != nil {
			t.Fatal(err)
		}
		request.Headers["authorization"] = authtest.Owner("nav")
		response := adapter.Handle(t.Context(), request)
		if response.StatusCode != http.StatusOK || response.IsBase64Encoded {
			t.Errorf("%s: %d", sample, response.StatusCode)
		}
		if n := strings.Count(response.Body, `"workflowStep":"Submit"`); n != 1 || strings.Contains(response.Body, "FormFilling") {
			t.Errorf("%s: %s", sample, response.Body)
		}
		if !strings.HasPrefix(response.Headers["Link"], "<https://platform.altinn.no/storage/applications/nav/app2018/events?after=") {
			t.Errorf("%s: Link %s", sample, response.Headers["Link"])
		}
	}
}
