package instancetable

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/instance"
)

// overloaded is a fake DynamoDB that processes at most seven items of a batch, and sometimes none.
type overloaded struct {
	mu      sync.Mutex
	stored  map[string]int // how often each item was written, by its sort key
	calls   int
	largest int  // items in the largest batch
	broken  bool // fail from the third call on
	full    bool // process nothing
}

func (b *overloaded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var in, out struct {
		RequestItems map[string][]map[string]map[string]map[string]map[string]string
	}
	b.calls++
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchWriteItem") || b.broken && b.calls > 2 {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"}`)
		return
	}
	items := in.RequestItems["instances"]
	b.largest = max(b.largest, len(items))
	processed := min(7, len(items))
	if b.calls%3 == 0 || b.full {
		processed = 0
	}
	for _, item := range items[:processed] {
		b.stored[item["PutRequest"]["Item"][attrSort]["S"]]++
	}
	out.RequestItems = map[string][]map[string]map[string]map[string]map[string]string{}
	if processed < len(items) {
		out.RequestItems["instances"] = items[processed:]
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"UnprocessedItems": out.RequestItems})
}

// Do serves a request in memory, because a synctest bubble cannot wait for the network.
func (b *overloaded) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Result(), nil
}

func (b *overloaded) table() *Table {
	return New(dynamodb.New(dynamodb.Options{
		HTTPClient: b, Region: "eu-north-1", DisableValidateResponseChecksum: true, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}), "instances", "")
}

func newInstances(count int) (instances []*instance.Instance) {
	for n := range count {
		instances = append(instances, &instance.Instance{
			ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: "nav/app2018", InstanceOwnerID: "50001",
			Labels: []string{"gr", "x3"}[:n%3], LastChangedDateTime: time.Date(2026, 11, 23, 12, 0, n, 0, time.UTC),
			Workflow: instance.Workflow{CurrentStep: "FormFilling"},
		})
	}
	return instances
}

func TestImportRetriesUnprocessedItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, count := range []int{0, 1, 25, 26, 90} {
			b := &overloaded{stored: map[string]int{}}
			instances := newInstances(count)
			if err := b.table().Import(t.Context(), instances); err != nil {
				t.Fatal(err)
			}
			items := 0
			for _, i := range instances {
				items += 1 + len(collidingLabels(i.Labels))
				for _, key := range append([]string{InstanceKey(i.ID)}, labelKeys(i)...) {
					if b.stored[key] != 1 {
						t.Errorf("%d instances: %s was written %d times", count, key, b.stored[key])
					}
				}
			}
			if len(b.stored) != items || b.largest > batchItems {
				t.Errorf("%d instances: %d items, want %d; a batch of %d", count, len(b.stored), items, b.largest)
			}
		}
	})
}

func labelKeys(i *instance.Instance) (keys []string) {
	for _, label := range collidingLabels(i.Labels) {
		keys = append(keys, labelSortKey(i.ID, label))
	}
	return keys
}

func TestImportStopsAtError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &overloaded{stored: map[string]int{}, broken: true}
		if err := b.table().Import(t.Context(), newInstances(5000)); err == nil || !strings.Contains(err.Error(), "ValidationException") {
			t.Errorf("error: %v", err)
		}
		b.mu.Lock() // a cancelled call may still be running
		defer b.mu.Unlock()
		if b.calls > 4*importers {
			t.Errorf("%d calls after an error, want at most %d", b.calls, 4*importers)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := (&overloaded{stored: map[string]int{}}).table().Import(ctx, newInstances(1)); err == nil {
			t.Error("Import succeeds with a cancelled context")
		}
	})
}
