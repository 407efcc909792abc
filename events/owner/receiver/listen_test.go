package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sender is the API's side of a webhook.
type sender struct {
	t        *testing.T
	endpoint string
	secret   []byte
	rotated  int
}

// subscriptions lets the fake serve the subscriptions of one endpoint. A creation with the endpoint
// again returns the same subscription.
func (f *fake) subscriptions() *sender {
	s := &sender{t: f.t}
	f.setIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		switch r.Method + " " + r.URL.Path {
		case "POST /storage/subscriptions":
			var in struct{ Endpoint string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				f.t.Error(err)
			}
			if in.Endpoint == s.endpoint {
				fmt.Fprint(w, `{"id":"s1"}`)
				return true
			}
			s.endpoint, s.secret = in.Endpoint, []byte("the first secret of the endpoint")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":"s1","secret":"whsec_%s"}`, base64.StdEncoding.EncodeToString(s.secret))
		case "POST /storage/subscriptions/s1/secret":
			s.rotated++
			s.secret = []byte(fmt.Sprintf("secret number %d of the endpoint", s.rotated))
			fmt.Fprintf(w, `{"id":"s1","secret":"whsec_%s"}`, base64.StdEncoding.EncodeToString(s.secret))
		default:
			return false
		}
		return true
	})
	return s
}

// send sends a request and returns the status and the body of the response.
func (s *sender) send(body string, change func(http.Header)) (int, string) {
	s.t.Helper()
	mac := hmac.New(sha256.New, s.secret)
	timestamp := fmt.Sprint(time.Now().Unix())
	fmt.Fprintf(mac, "id.%s.%s", timestamp, body)
	r, err := http.NewRequest(http.MethodPost, s.endpoint, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = http.Header{"Webhook-Id": {"id"}, "Webhook-Timestamp": {timestamp},
		"Webhook-Signature": {"v1,b3RoZXI= v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	if change != nil {
		change(r.Header)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// listenAs starts a command that listens for webhooks.
func (f *fake) listenAs(dir, address string) *following {
	ctx, stop := context.WithCancel(f.t.Context())
	following := &following{t: f.t, stop: stop, ended: make(chan int, 1)}
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-listen", address}
	getenv := func(name string) string { return environment(dir)[name] }
	go func() { following.ended <- run(ctx, args, getenv, &following.stdout, &following.stderr, hooks{}) }()
	return following
}

// TestListen receives submissions by a webhook, restarts, and loses the file with the secret.
func TestListen(t *testing.T) {
	f, dir, address := newFake(t), t.TempDir(), freeAddress(t)
	s := f.subscriptions()
	file := filepath.Join(dir, "inbox.webhook.json")
	for round, rotations := range []int{0, 0, 1} {
		if round == 2 {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		run := f.listenAs(dir, address)
		run.waitFor(f.submit("a.xml", fmt.Sprint("before ", round)))
		if status, body := s.send(`{"type":"SubscriptionVerification","challenge":"c"}`, nil); status != 200 || body != `{"challenge":"c"}` {
			t.Errorf("verification: %d %s", status, body)
		}
		later := f.submit("b.xml", fmt.Sprint("later ", round))
		for range 3 { // doubles
			if status, _ := s.send(`{"id":"x.1"}`, nil); status != 204 {
				t.Errorf("event: %d", status)
			}
		}
		run.waitFor(later)
		for name, change := range map[string]func(http.Header){
			"another id":   func(h http.Header) { h.Set("Webhook-Id", "other") },
			"an old time":  func(h http.Header) { h.Set("Webhook-Timestamp", fmt.Sprint(time.Now().Unix()-600)) },
			"no time":      func(h http.Header) { h.Del("Webhook-Timestamp") },
			"no signature": func(h http.Header) { h.Del("Webhook-Signature") },
			"another version": func(h http.Header) {
				h.Set("Webhook-Signature", strings.ReplaceAll(h.Get("Webhook-Signature"), "v1,", "v2,"))
			},
			"a shortened version": func(h http.Header) { h.Set("Webhook-Signature", strings.TrimSuffix(h.Get("Webhook-Signature"), "=")) },
		} {
			if status, _ := s.send(`{"id":"x.1"}`, change); status != 401 {
				t.Errorf("%s: %d", name, status)
			}
		}
		run.end()
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file with the secret: %v, %v", info, err)
		}
		if s.rotated != rotations {
			t.Errorf("round %d: %d rotations, want %d", round, s.rotated, rotations)
		}
	}
	f.checkAll(filepath.Join(dir, "inbox"))
}
