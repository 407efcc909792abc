package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestCrowd runs many clients that create and submit concurrently, and then reads the feed. It has
// every event once. The events of an instance are in order, although the bus keeps no order.
func TestCrowd(t *testing.T) {
	const instances, clients = 200, 16
	sut := system(t)
	org := freshOrg()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	register(t, sut, org, "melding")

	var (
		mu      sync.Mutex
		created = map[string]bool{}
		work    = make(chan int)
		crowd   sync.WaitGroup
	)
	for range clients {
		crowd.Go(func() {
			for range work {
				id, err := createAndSubmit(t.Context(), sut.api, owner, org)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				if created[id] {
					t.Errorf("two instances have the id %s", id)
				}
				created[id] = true
				mu.Unlock()
			}
		})
	}
	for n := range instances {
		work <- n
	}
	close(work)
	crowd.Wait()
	if t.Failed() {
		return
	}

	events := feedOf(t, sut.api, owner, org, 2*instances)
	steps, ids := map[string][]string{}, map[string]bool{}
	for _, e := range events {
		if ids[e.ID] {
			t.Errorf("event %s is in the feed twice", e.ID)
		}
		ids[e.ID] = true
		guid := e.InstanceLink[max(0, len(e.InstanceLink)-36):]
		steps[guid] = append(steps[guid], e.WorkflowStep)
	}
	if len(steps) != len(created) {
		t.Errorf("the feed has events of %d instances, want %d", len(steps), len(created))
	}
	for guid := range created {
		if got := fmt.Sprint(steps[guid]); got != "[FormFilling Submit]" {
			t.Errorf("instance %s: the feed has %s", guid, got)
		}
	}

	filtered := request{method: http.MethodGet, target: "/storage/applications/" + org + "/melding/events?workflow.currentStep=Submit&after=2019-03-30"}
	x, _, err := sut.crawl(t.Context(), filtered, owner)
	if err != nil {
		t.Fatalf("%v\n%v", err, x)
	}
	if err := checkCount(discard{}, x, []string{".", fmt.Sprint(instances)}); err != nil {
		t.Errorf("Submit events: %v", err)
	}
}

// feedEvent is the part of an event that the Go tests read.
type feedEvent struct {
	ID           string `json:"id"`
	InstanceLink string `json:"instanceLink"`
	WorkflowStep string `json:"workflowStep"`

	document json.RawMessage
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// createAndSubmit creates an instance for a new party and moves it to Submit.
func createAndSubmit(ctx context.Context, target api, owner, org string) (id string, err error) {
	create := request{
		method: http.MethodPost, target: "/" + org + "/melding/instances", header: jsonHeader(),
		body: fmt.Appendf(nil, `{"reportee":{"ssn":%q}}`, randomDigits(11)),
	}
	x, err := target.do(ctx, create, owner)
	if err != nil {
		return "", err
	}
	var made struct {
		ID              string `json:"id"`
		InstanceOwnerID string `json:"instanceOwnerId"`
	}
	if err := json.Unmarshal(x.body, &made); err != nil || x.status != http.StatusCreated {
		return "", fmt.Errorf("creating an instance:\n%v", x)
	}
	submit := request{
		method: http.MethodPut, header: jsonHeader(), body: []byte(`{"currentStep":"Submit"}`),
		target: fmt.Sprintf("/%s/melding/instances/%s/%s/workflow", org, made.InstanceOwnerID, made.ID),
	}
	if x, err = target.do(ctx, submit, owner); err != nil {
		return "", err
	}
	if x.status != http.StatusOK {
		return "", fmt.Errorf("submitting an instance:\n%v", x)
	}
	return made.ID, nil
}

// feedOf reads the whole feed repeatedly until it has at least want events.
func feedOf(t *testing.T, target api, owner, org string, want int) []feedEvent {
	t.Helper()
	req := request{method: http.MethodGet, target: "/storage/applications/" + org + "/melding/events?size=1000"}
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		x, _, err := target.crawl(t.Context(), req, owner)
		if err != nil {
			t.Fatalf("reading the feed: %v\n%v", err, x)
		}
		var documents []json.RawMessage
		if err := json.Unmarshal(x.body, &documents); err != nil {
			t.Fatal(err)
		}
		if len(documents) < want && time.Now().Before(deadline) {
			continue
		}
		if len(documents) < want {
			t.Errorf("the feed has %d events after %v, want %d", len(documents), patience, want)
		}
		events := make([]feedEvent, len(documents))
		for n, document := range documents {
			if err := json.Unmarshal(document, &events[n]); err != nil {
				t.Fatal(err)
			}
			events[n].document = document
		}
		return events
	}
}
