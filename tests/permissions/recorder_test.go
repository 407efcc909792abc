package permissions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// recorder is what stands between each function and its AWS, and writes down what it calls.
type recorder struct {
	t *testing.T

	mu    sync.Mutex
	calls map[use]int
	warm  map[use]bool // what warm-ups need

	// When a function makes a call that is to be disturbed, before is done before it, once; with lost, the call has its effect and
	// its answer does not arrive.
	at     use
	before func()
	lost   bool
}

// between returns the address of a proxy for one function and one service.
func (r *recorder) between(function, service, endpoint string) string {
	target, err := url.Parse(endpoint)
	if err != nil {
		r.t.Fatal(err)
	}
	aws := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		permissions, err := permissionsOf(service, q, body)
		if err != nil {
			r.t.Errorf("%s: %v", function, err)
		}
		warming := bytes.Contains(body, []byte("warm-up")) || strings.Contains(q.URL.Path, "warm-up")
		before, lost := r.note(function, permissions, warming)
		if before != nil {
			before()
		}
		if lost {
			aws.ServeHTTP(httptest.NewRecorder(), q)
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		aws.ServeHTTP(w, q)
	}))
	proxy.Config.ErrorLog = nil
	r.t.Cleanup(proxy.Close)
	return proxy.URL
}

// disturb arranges for what is to happen at the next call of this kind.
func (r *recorder) disturb(function, permission string, before func(), lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.before, r.lost = use{function, permission}, before, lost
}

func (r *recorder) note(function string, permissions []string, warming bool) (before func(), lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range permissions {
		u := use{function, p}
		if warming {
			r.warm[u] = true
			continue
		}
		r.calls[u]++
		if u == r.at {
			before, lost = r.before, r.lost
			r.at, r.before, r.lost = use{}, nil, false
		}
	}
	return before, lost
}

// permissionsOf returns what a role needs for a call.
func permissionsOf(service string, q *http.Request, body []byte) ([]string, error) {
	_, operation, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
	switch service {
	case "eventbridge":
		if operation != "PutEvents" {
			return nil, fmt.Errorf("%s is not known here", operation)
		}
		if !bytes.Contains(body, []byte(`"Detail"`)) { // entries of nothing: the warm-up
			return nil, nil
		}
		return []string{"events:PutEvents on Bus"}, nil
	case "s3":
		action := map[string]string{"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[q.Method]
		if _, key, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/"); action == "" || key == "" {
			return nil, fmt.Errorf("%s %s is not known here", q.Method, q.URL.Path)
		}
		return []string{action + " on Blobs"}, nil
	}
	return ofDynamo(operation, body)
}

// ofDynamo returns the permissions for a call of DynamoDB. A transaction needs those of what it is made of.
func ofDynamo(operation string, body []byte) (permissions []string, err error) {
	type part struct{ TableName string }
	var in struct {
		TableName, IndexName string
		TransactItems        []map[string]part
		RequestItems         map[string]any
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	need := func(action, resource string) { permissions = append(permissions, "dynamodb:"+action+" on "+resource) }
	switch operation {
	case "TransactWriteItems", "TransactGetItems":
		for _, item := range in.TransactItems {
			for kind, p := range item {
				action := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}[kind]
				need(action, p.TableName)
			}
		}
	case "BatchGetItem", "BatchWriteItem":
		for table := range in.RequestItems {
			need(operation, table)
		}
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan":
		if in.IndexName != "" {
			in.TableName += "/index/" + in.IndexName
		}
		need(operation, in.TableName)
	default:
		return nil, fmt.Errorf("%s is not known here", operation)
	}
	return permissions, nil
}
