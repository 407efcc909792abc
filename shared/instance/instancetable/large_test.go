package instancetable

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// wideTable is an HTTP client of a DynamoDB table. Each partition of its indexes has the same
// number of rows with the same document, so the table can be larger than memory.
type wideTable struct {
	rows  int
	items string // of a response, from the key on
	size  int    // bytes of an item, for DynamoDB's limit of 1 MB per response
	reads atomic.Int64
	bytes atomic.Int64 // of all responses
}

func newWideTable(t *testing.T, rows int, i *instance.Instance) *wideTable {
	t.Helper()
	packed, err := pack(i)
	if err != nil {
		t.Fatal(err)
	}
	document := base64.StdEncoding.EncodeToString(packed)
	return &wideTable{rows: rows, size: len(packed) + 200, items: `,"v":{"N":"1"},"d":{"B":"` + document + `"}`}
}

// keyOf returns the key of the n-th row of a partition. The rows of all partitions interleave.
func (w *wideTable) keyOf(partition string, n int) string {
	id := uuid.Nil()
	copy(id[8:], partition[max(0, len(partition)-8):])
	return instancequery.ChangedKey(time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC), id.String())
}

// Do responds to a Query.
func (w *wideTable) Do(r *http.Request) (*http.Response, error) {
	var query struct {
		Limit                     int
		ProjectionExpression      string
		ExpressionAttributeValues map[string]struct{ S string }
	}
	if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
		return nil, err
	}
	w.reads.Add(1)
	var body []io.Reader
	add := func(text string) {
		w.bytes.Add(int64(len(text)))
		body = append(body, strings.NewReader(text))
	}
	add(`{"Items":[`)
	count, size, last := 0, 0, ""
	for n := range w.rows {
		key := w.keyOf(query.ExpressionAttributeValues[":partition"].S, n)
		if key < query.ExpressionAttributeValues[":from"].S || key > query.ExpressionAttributeValues[":to"].S {
			continue
		}
		if count == query.Limit || size > 1<<20 {
			last = key
			break
		}
		add(`,`[:min(count, 1)] + `{"changed":{"S":"` + key + `"}`)
		if query.ProjectionExpression == "" {
			add(w.items)
		}
		add(`}`)
		count++
		size += w.size
	}
	add(`]`)
	if last != "" {
		add(`,"LastEvaluatedKey":{"changed":{"S":"` + last + `"}}`)
	}
	add(`}`)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(io.MultiReader(body...)), Request: r}, nil
}

// memory returns the bytes that the Go runtime has from the operating system.
func memory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// peak returns the maximum of memory during f.
func peak(f func()) int64 {
	debug.FreeOSMemory()
	most, done := memory(), make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			most = max(most, memory())
			select {
			case <-time.After(time.Millisecond):
			case <-stop:
				return
			}
		}
	}()
	f()
	close(stop)
	<-done
	return most
}

// TestLargeRows queries the maximum number of partitions, with rows of all sizes up to the largest
// possible. A query must fit in a function of 512 MB, and must not need many more reads than it has
// partitions. Its page must be full, or end at a limit with a cursor.
func TestLargeRows(t *testing.T) {
	const apps, steps, shards, rows = 500, 2, 5, 5
	var registered []*application.Application
	for n := range apps {
		app := &application.Application{ID: fmt.Sprintf("nav/app%d", n), Org: "nav", IndexShards: shards}
		for step := range steps {
			app.Workflow.Steps = append(app.Workflow.Steps, application.Step{Name: fmt.Sprint("s", step)})
		}
		registered = append(registered, app)
	}
	for name, test := range map[string]struct {
		elements  int
		noMatches bool
	}{
		"no data": {0, false}, "ten elements": {10, false}, "the largest instances": {instance.MaxDataElements, false},
		"none of them matches": {instance.MaxDataElements, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := largestInstance()
			i.AppID, i.Data = "nav/app0", i.Data[:test.elements]
			if test.elements == 0 {
				i.Labels, i.PresentationField = nil, ""
			}
			fake := newWideTable(t, rows, i)
			table := New(dynamodb.New(dynamodb.Options{
				Region: "eu-north-1", HTTPClient: fake, Credentials: aws.AnonymousCredentials{},
				BaseEndpoint: aws.String("http://localhost"),
			}), "Instances", "")
			q := instancequery.Query{Apps: registered, Size: 100}
			q.Filter.Org = "nav"
			q.Filter.IsSoftDeleted = &test.noMatches
			var page instancequery.Page
			var err error
			start := time.Now()
			most := peak(func() { page, err = instancequery.Run(t.Context(), table, q, time.Now()) })
			t.Logf("rows of %d bytes: %d instances of %d rows in %d reads of %d MB, at most %d MB of memory, in %v", fake.size,
				len(page.Instances), page.Examined, fake.reads.Load(), fake.bytes.Load()>>20, most>>20, time.Since(start).Round(time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			if page.Next == "" || len(page.Unreadable) > 0 || (len(page.Instances) == 0) != (test.noMatches) {
				t.Errorf("%d instances, next %q, %v", len(page.Instances), page.Next, page.Unreadable)
			}
			if most > 256<<20 {
				t.Errorf("the query takes %d MB", most>>20)
			}
			if limit := int64(apps*steps*shards + 3*page.Examined); fake.reads.Load() > limit {
				t.Errorf("%d reads, want at most %d", fake.reads.Load(), limit)
			}
		})
	}
}
