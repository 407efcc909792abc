package model

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
)

// system serves all runs. Each run has its own organisations and identities.
var (
	system  *runtime.System
	deliver sync.Mutex // serialises the delivery from the outbox to the feed
)

func TestMain(m *testing.M) {
	// rapid shrinks a failure for this long. It writes no file, because the printed seed is
	// sufficient.
	for name, value := range map[string]string{"rapid.shrinktime": "60s", "rapid.nofailfile": "true", "rapid.steps": "120", "rapid.checks": "5"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	started, err := runtime.Start(context.Background(), runtime.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer started.Stop()
	system = started
	return m.Run()
}

// request is a request of a caller.
type request struct {
	method, path string // with its query; or an absolute URL
	contentType  string
	header       map[string]string
	body         []byte
}

func (r request) String() string {
	s := r.method + " " + strings.TrimPrefix(r.path, system.BaseURL)
	for name, value := range r.header {
		s += " " + name + ":" + value
	}
	if len(r.body) > 0 {
		s += fmt.Sprintf(" %s %.300q", r.contentType, r.body)
	}
	return s
}

// got is a response of the API.
type got struct {
	status         int
	header         http.Header
	body           []byte
	value          any    // the body, if it is JSON
	code           string // of a problem
	sent, received time.Time
	caller         Caller
}

// exchange sends a request with a token, or without one if token is "".
func exchange(ctx context.Context, token string, r request) (*got, error) {
	q := client.Request{Method: r.method, Path: r.path, Token: token, Type: r.contentType, Header: http.Header{}, Body: string(r.body)}
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	response, err := client.Client{Base: system.BaseURL}.Do(ctx, q)
	if err != nil {
		return nil, err
	}
	g := &got{status: response.Status, header: response.Header, body: response.Body, sent: response.Sent.UTC().Truncate(time.Microsecond), received: response.Received.UTC()}
	_ = json.Unmarshal(g.body, &g.value) // content may not be JSON; documents are compared later
	if g.status >= 400 {
		g.code, _ = g.object()["code"].(string)
	}
	return g, nil
}

// object returns the body as a JSON object, or nil if the body is not an object.
func (g *got) object() map[string]any {
	o, _ := g.value.(map[string]any)
	return o
}

// seen returns the values that the model learns from this response. A user's response may lack
// the changed data and the time of the change, so it reads the instance as the owner of its
// application.
func (r *run) seen(g *got) Seen {
	o := g.object()
	s := Seen{}
	appID, _ := o["appId"].(string)
	if app := r.model.Applications[appID]; g.status < 300 && g.caller.Org == "" && app != nil && slices.ContainsFunc(app.DataTypes, DataType.ownerOnly) {
		org, _, _ := strings.Cut(appID, "/")
		owner := r.callers[slices.IndexFunc(r.callers, func(c Caller) bool { return c.Org == org })]
		o = r.send("get", owner, request{method: "GET", path: fmt.Sprintf("/storage/instances/%v/%v", o["instanceOwnerId"], o["id"])}).object()
	}
	s.ID, _ = o["id"].(string)
	s.Owner, _ = o["instanceOwnerId"].(string)
	if text, ok := o["lastChangedDateTime"].(string); ok {
		s.At, _ = time.Parse(time.RFC3339Nano, text)
	}
	data, _ := o["data"].([]any)
	for _, d := range data {
		id, _ := d.(map[string]any)["id"].(string)
		s.Data = append(s.Data, id)
	}
	return s
}
