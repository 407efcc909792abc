package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/events/owner/receiver/storage"
)

// Limits of a request to the webhook.
const (
	maxDelivery = 1 << 20         // bytes of the body
	maxAge      = 5 * time.Minute // of the signature
)

// webhook is the endpoint of a subscription. A delivery only reports that the receiver must read
// the work queue. The queue has every submission until it is confirmed, so an event that arrives
// twice, or is lost in a crash, changes nothing.
type webhook struct {
	key   []byte // of the signatures
	woken chan struct{}
	now   func() time.Time
}

// listen subscribes an endpoint on the address to the events of the application, and serves it
// until ctx ends. The endpoint of the subscription is http://localhost with the port, unless
// endpoint is set. The file stores the subscription with its secret.
func listen(ctx context.Context, api *storage.Client, address, endpoint, app, file string) (*webhook, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if endpoint == "" {
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		endpoint = "http://localhost:" + port
	}
	key, err := subscribe(ctx, api, endpoint, app, file)
	if err != nil {
		listener.Close()
		return nil, err
	}
	hook := &webhook{key: key, woken: make(chan struct{}, 1), now: time.Now}
	server := &http.Server{Handler: hook, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() { _ = server.Serve(listener) }() // returns when ctx ends
	return hook, nil
}

// subscribe returns the key of the subscription's secret. The API shows a secret only once: if the
// file does not have that of the subscription, subscribe replaces the secret.
func subscribe(ctx context.Context, api *storage.Client, endpoint, app, file string) ([]byte, error) {
	s, err := api.Subscribe(ctx, endpoint, app)
	if err != nil {
		return nil, fmt.Errorf("subscribing %s: %w", endpoint, err)
	}
	var stored storage.Subscription
	if text, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(text, &stored) // a damaged file has no secret
	}
	switch {
	case s.Secret != "":
		stored = s
	case stored.ID != s.ID || stored.Secret == "":
		if stored, err = api.RotateSecret(ctx, s.ID); err != nil {
			return nil, fmt.Errorf("replacing the secret of the subscription: %w", err)
		}
	default:
		return keyOf(stored.Secret)
	}
	text, err := json.Marshal(stored)
	if err == nil {
		err = errors.Join(os.WriteFile(file+".new", text, 0o600), os.Rename(file+".new", file))
	}
	if err != nil {
		return nil, err
	}
	return keyOf(stored.Secret)
}

// keyOf returns the key of a secret.
func keyOf(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, errors.New("the secret of the subscription is not valid; delete the file with it, then start the receiver again")
	}
	return key, nil
}

// subscriptionFile returns the file next to the inbox that has the subscription.
func subscriptionFile(inbox string) string { return filepath.Clean(inbox) + ".webhook.json" }

// ServeHTTP confirms a signed delivery, and sends back the challenge of a verification.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	case !h.signed(r.Header, body):
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var verification struct{ Type, Challenge string }
	if json.Unmarshal(body, &verification) == nil && verification.Type == "SubscriptionVerification" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"challenge": verification.Challenge})
		return
	}
	select {
	case h.woken <- struct{}{}:
	default: // a pass is already requested
	}
	w.WriteHeader(http.StatusNoContent)
}

// signed reports whether the request has a valid signature that is not older than maxAge.
func (h *webhook) signed(header http.Header, body []byte) bool {
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if age := h.now().Sub(time.Unix(seconds, 0)); err != nil || age > maxAge || age < -maxAge {
		return false
	}
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s.%d.", header.Get("webhook-id"), seconds)
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	found := false
	for _, sent := range strings.Fields(header.Get("webhook-signature")) {
		found = hmac.Equal([]byte(sent), []byte(expected)) || found
	}
	return found
}

// Events waits for a delivery and returns the number of events, 0 after wait.
func (h *webhook) Events(ctx context.Context, wait time.Duration) (int, error) {
	select {
	case <-h.woken:
		return 1, nil
	case <-time.After(wait):
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
