package acceptance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// webhookEndpoint is an owner's endpoint. It checks every signature with the latest secrets.
type webhookEndpoint struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	secrets  []string // until the response to the creation arrives, none
	received []string // ids of the accepted events
	attempts int
	status   func(attempt int) int
	signed   int // the number of signatures of the last request
}

// listenForWebhooks starts an endpoint on a loopback address.
func listenForWebhooks(t *testing.T) *webhookEndpoint {
	e := &webhookEndpoint{t: t}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.url = server.URL + "/events"
	return e
}

func (e *webhookEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := r.Header.Get("webhook-id")
	timestamp, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	signatures := strings.Fields(r.Header.Get("webhook-signature"))
	if len(e.secrets) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable) // the sender tries again
		return
	}
	for _, secret := range e.secrets {
		key, keyErr := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, timestamp, body)
		if err != nil || keyErr != nil || !slices.Contains(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
			e.t.Errorf("%s has no signature of a valid secret: %v, %v", id, err, keyErr)
		}
	}
	if age := time.Since(time.Unix(timestamp, 0)); age > time.Minute || age < -time.Minute {
		e.t.Errorf("the timestamp of %s is %v old", id, age)
	}
	e.signed = len(signatures)
	var document struct{ Type, Challenge, ID, AppID string }
	if err := json.Unmarshal(body, &document); err != nil {
		e.t.Errorf("%s: %v", body, err)
	}
	if document.Type == "SubscriptionVerification" {
		_, _ = fmt.Fprintf(w, `{"challenge":%q}`, document.Challenge)
		return
	}
	if document.ID != id {
		e.t.Errorf("the event %s has the webhook-id %s", document.ID, id)
	}
	e.attempts++
	if e.status != nil {
		if status := e.status(e.attempts); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	e.received = append(e.received, id)
}

// waitFor waits until the endpoint has accepted n events, and returns their ids.
func (e *webhookEndpoint) waitFor(n int) []string {
	e.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		e.mu.Lock()
		got := slices.Clone(e.received)
		e.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("received %d events, want %d", len(got), n)
		}
	}
}

// subscribe creates a subscription and gives the endpoint its secret.
func (e *webhookEndpoint) subscribe(sut *systemUnderTest, org, members string) (id string) {
	e.t.Helper()
	x := mustDo(e.t, sut, org, http.MethodPost, "/storage/subscriptions", fmt.Sprintf(`{"endpoint":%q,"appIds":["%s/melding"]%s}`, e.url, org, members), http.StatusCreated)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal(x.body, &made); err != nil {
		e.t.Fatal(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = []string{made.Secret}
	return made.ID
}

// waitForState waits until the subscription has the state.
func waitForState(t *testing.T, sut *systemUnderTest, org, id, state string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		x := mustDo(t, sut, org, http.MethodGet, "/storage/subscriptions/"+id, "", http.StatusOK)
		if strings.Contains(string(x.body), `"state":"`+state+`"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the subscription is not %s: %s", state, x.body)
		}
	}
}

// TestWebhook subscribes an endpoint to an application. The endpoint is verified, receives each
// event in order, also those that it first rejects, and receives them again after a replay. A
// rotation, a pause and a 410 work as documented.
func TestWebhook(t *testing.T) {
	sut := system(t)
	if sut.awsEndpoint == "" {
		t.Fatal("set AWS_ENDPOINT to a local system with WebhookInsecure, or skip this test with -skip TestWebhook")
	}
	org := freshOrg()
	register(t, sut, org, "melding")
	goThrough(t, sut, org, "melding", nil) // before the subscription
	feedOf(t, sut.api, sut.mustToken(t, map[string]string{"ORG": org}), org, 1)
	e := listenForWebhooks(t)
	id := e.subscribe(sut, org, "")
	waitForState(t, sut, org, id, "active")

	e.status = func(attempt int) int {
		if attempt == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	goThrough(t, sut, org, "melding", []string{"Submit", "Archived"})
	got := e.waitFor(3)
	guid, _, _ := strings.Cut(got[0], ".")
	if want := []string{guid + ".1", guid + ".2", guid + ".3"}; !slices.Equal(got, want) || e.attempts != 4 {
		t.Errorf("received %v in %d attempts, want %v in 4", got, e.attempts, want)
	}
	x := mustDo(t, sut, org, http.MethodGet, "/storage/subscriptions/"+id+"/deliveries", "", http.StatusOK)
	if !strings.Contains(string(x.body), `"eventId":"`+got[0]+`"`) || !strings.Contains(string(x.body), `"status":500`) || !strings.Contains(string(x.body), `"error":"status"`) {
		t.Errorf("the deliveries are %s", x.body)
	}

	// After a rotation both secrets sign. The replay includes the event before the subscription.
	x = mustDo(t, sut, org, http.MethodPost, "/storage/subscriptions/"+id+"/secret", "", http.StatusOK)
	var rotated struct{ Secret string }
	if err := json.Unmarshal(x.body, &rotated); err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.secrets, e.received = append(e.secrets, rotated.Secret), nil
	e.mu.Unlock()
	mustDo(t, sut, org, http.MethodPost, "/storage/subscriptions/"+id+"/replay", `{"after":"2019-01-01"}`, http.StatusOK)
	if all := e.waitFor(4); !slices.Equal(all[1:], got) || e.signed != 2 {
		t.Errorf("the replay is %v, with %d signatures", all, e.signed)
	}

	// A paused subscription continues where it stopped, and a 410 pauses it.
	mustDo(t, sut, org, http.MethodPatch, "/storage/subscriptions/"+id, `{"paused":true}`, http.StatusOK)
	goThrough(t, sut, org, "melding", nil)
	mustDo(t, sut, org, http.MethodPatch, "/storage/subscriptions/"+id, `{"paused":false}`, http.StatusOK)
	e.waitFor(5)
	e.mu.Lock()
	e.status = func(int) int { return http.StatusGone }
	e.mu.Unlock()
	goThrough(t, sut, org, "melding", nil)
	waitForState(t, sut, org, id, "paused")
	mustDo(t, sut, org, http.MethodDelete, "/storage/subscriptions/"+id, "", http.StatusNoContent)
}
