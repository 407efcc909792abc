package permissions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/tests/awsproxy"
)

// recorder records the calls of each function to AWS.
type recorder struct {
	t *testing.T

	mu      sync.Mutex
	calls   map[use]int
	warmUps map[use]bool // permissions that warm-ups need

	// The next call that is equal to at is disturbed: before runs before the call. If lost is
	// true, the call takes effect but its response is lost.
	at     use
	before func()
	lost   bool
}

// between implements Options.BetweenEach: it starts a proxy for one function and one service.
func (r *recorder) between(function, service, endpoint string) string {
	proxy, err := awsproxy.Start(endpoint, func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		permissions, err := permissionsOf(service, c)
		if err != nil {
			r.t.Errorf("%s: %v", function, err)
		}
		before, lost := r.record(function, permissions, c.WarmUp && service != "secretsmanager")
		if before != nil {
			before()
		}
		response, err := send(c.Body)
		if lost {
			return nil, err
		}
		return response, err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(proxy.Close)
	return proxy.URL
}

// disturb sets what happens at the next call of this kind.
func (r *recorder) disturb(function, permission string, before func(), lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.before, r.lost = use{function, permission}, before, lost
}

func (r *recorder) record(function string, permissions []string, warmUp bool) (before func(), lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range permissions {
		u := use{function, p}
		if warmUp {
			r.warmUps[u] = true
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

// permissionsOf returns the permissions that a role needs for a call.
func permissionsOf(service string, c *awsproxy.Call) ([]string, error) {
	switch service {
	case "eventbridge":
		if c.Operation != "PutEvents" {
			return nil, fmt.Errorf("the recorder does not know %s", c.Operation)
		}
		if !bytes.Contains(c.Body, []byte(`"Detail"`)) { // the warm-up sends an empty entry
			return nil, nil
		}
		return []string{"events:PutEvents on Bus"}, nil
	case "secretsmanager":
		return []string{"secretsmanager:" + c.Operation + " on IdentityKeySecretArn"}, nil
	case "s3":
		action := map[string]string{"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[c.Request.Method]
		_, key, _ := strings.Cut(strings.TrimPrefix(c.Request.URL.Path, "/"), "/")
		if key == "" && c.Request.URL.Query().Get("list-type") == "2" {
			return []string{"s3:ListBucket on Blobs"}, nil
		}
		if action == "" || key == "" {
			return nil, fmt.Errorf("the recorder does not know %s %s", c.Request.Method, c.Request.URL.Path)
		}
		if c.Request.Header.Get("X-Amz-Tagging") != "" {
			return []string{action + " on Blobs", "s3:PutObjectTagging on Blobs"}, nil
		}
		return []string{action + " on Blobs"}, nil
	}
	return ofDynamo(c.Operation, c.Body)
}

// ofDynamo returns the permissions for a call to DynamoDB. A transaction needs the permissions of
// all its parts.
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
		return nil, fmt.Errorf("the recorder does not know %s", operation)
	}
	return permissions, nil
}
