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

// busy is a DynamoDB that takes at most seven items of a batch, and at times none.
type busy struct {
	mu     sync.Mutex
	stored map[string]int // times that each item was taken, by its sort key
	calls  int
	most   int  // items of the largest batch
	broken bool // from the third call on
}

func (b *busy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var in, left struct {
		RequestItems map[string][]map[string]map[string]map[string]map[string]string
	}
	b.calls++
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchWriteItem") || b.broken && b.calls > 2 {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"}`)
		return
	}
	items := in.RequestItems["instances"]
	b.most = max(b.most, len(items))
	taken := min(7, len(items))
	if b.calls%3 == 0 {
		taken = 0
	}
	for _, item := range items[:taken] {
		b.stored[item["PutRequest"]["Item"][attrSort]["S"]]++
	}
	left.RequestItems = map[string][]map[string]map[string]map[string]map[string]string{}
	if taken < len(items) {
		left.RequestItems["instances"] = items[taken:]
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"UnprocessedItems": left.RequestItems})
}

// Do serves a request in memory: a bubble of synctest has no network.
func (b *busy) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Result(), nil
}

func (b *busy) table() *Table {
	return New(dynamodb.New(dynamodb.Options{
		HTTPClient: b, Region: "eu-north-1", DisableValidateResponseChecksum: true, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "load", SecretAccessKey: "load"}, nil
		}),
	}), "instances", "")
}

func many(count int) (instances []*instance.Instance) {
	for n := range count {
		instances = append(instances, &instance.Instance{
			ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: "nav/app2018", InstanceOwnerID: "50001",
			Labels: []string{"gr", "x3"}[:n%3], LastChangedDateTime: time.Date(2026, 11, 23, 12, 0, n, 0, time.UTC),
			Workflow: instance.Workflow{CurrentStep: "FormFilling"},
		})
	}
	return instances
}

func TestLoadWritesWhatIsLeftUnprocessedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, count := range []int{0, 1, 25, 26, 90} {
			b := &busy{stored: map[string]int{}}
			instances := many(count)
			if err := b.table().Load(t.Context(), instances); err != nil {
				t.Fatal(err)
			}
			items := 0
			for _, i := range instances {
				items += 1 + len(apart(i.Labels))
				for _, key := range append([]string{InstanceKey(i.ID)}, labelKeys(i)...) {
					if b.stored[key] != 1 {
						t.Errorf("%d instances: %s was written %d times", count, key, b.stored[key])
					}
				}
			}
			if len(b.stored) != items || b.most > batchItems {
				t.Errorf("%d instances: %d items, want %d; a batch of %d", count, len(b.stored), items, b.most)
			}
		}
	})
}

func labelKeys(i *instance.Instance) (keys []string) {
	for _, label := range apart(i.Labels) {
		keys = append(keys, labelSortKey(i.ID, label))
	}
	return keys
}

func TestLoadStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &busy{stored: map[string]int{}, broken: true}
		if err := b.table().Load(t.Context(), many(5000)); err == nil || !strings.Contains(err.Error(), "ValidationException") {
			t.Errorf("error: %v", err)
		}
		b.mu.Lock() // a call that was given up may still be served
		defer b.mu.Unlock()
		if b.calls > 4*loaders {
			t.Errorf("%d calls, most of them after the error", b.calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := (&busy{stored: map[string]int{}}).table().Load(ctx, many(1)); err == nil {
			t.Error("loaded after the context's end")
		}
	})
}
