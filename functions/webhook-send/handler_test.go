package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/shared/webhook/webhooksend"
	"altinn.no/instanceapi/shared/webhook/webhooktest"
)

// echo is an endpoint that accepts everything, and responds to a verification with its challenge.
type echo struct{ requests int }

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	e.requests++
	body, err := io.ReadAll(r.Body)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(body)))}, err
}

// TestSamples passes the sample events to the handler, for the subscription that they announce. The
// events of the wake-up must arrive, and the schedule has nothing more to send.
func TestSamples(t *testing.T) {
	memory := webhooktest.NewMemory(time.Now)
	feed := eventtest.NewMemory(time.Now)
	endpoint := &echo{}
	h := handler(&webhooksend.Sender{Subscriptions: memory, Queue: memory, Feed: feed, Client: &http.Client{Transport: endpoint}}, "")
	for _, name := range []string{"wake-up.json", "every-minute.json"} {
		text, err := os.ReadFile(filepath.Join("../../events/webhook-send", name))
		if err != nil {
			t.Fatal(err)
		}
		var batch events.SQSEvent
		if err := json.Unmarshal(text, &batch); err != nil {
			t.Fatal(err)
		}
		for _, record := range batch.Records {
			prepare(t, memory, feed, record.Body)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		response, err := h(ctx, batch)
		if err != nil || len(response.BatchItemFailures) != 0 {
			t.Errorf("%s: %v, %v", name, response, err)
		}
		if endpoint.requests != 3 {
			t.Errorf("%s: %d requests, want the verification and two events", name, endpoint.requests)
		}
	}
}

// prepare stores the event or the subscription that a message announces.
func prepare(t *testing.T, memory *webhooktest.Memory, feed *eventtest.Memory, body string) {
	t.Helper()
	var envelope struct {
		Detail json.RawMessage `json:"detail"`
	}
	var key webhook.Key
	if err := json.Unmarshal([]byte(body), &envelope); err != nil {
		t.Fatal(err)
	}
	if doc, err := event.Decode(envelope.Detail); err == nil {
		feed.Append(t.Context(), []event.Encoded{doc})
		return
	}
	if err := json.Unmarshal(envelope.Detail, &key); err != nil || key.Subscription == "" {
		t.Fatalf("the sample %s announces nothing: %v", body, err)
	}
	s := &webhook.Subscription{ID: key.Subscription, Org: key.Org, Endpoint: "https://hooks.example.com/", AppIDs: []string{"nav/app2018"},
		Format: webhook.FormatEvent, Challenge: "c", Secrets: webhook.Secrets{Current: webhook.NewSecret()}}
	err := memory.Add(t.Context(), key.Org, func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
		return s, []webhook.Move{{AppID: webhook.VerificationApp, Start: &webhook.Start{}}, {AppID: "nav/app2018", Start: &webhook.Start{}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
