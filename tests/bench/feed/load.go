package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
)

// loadWorkers is the number of concurrent invocations that a load simulates.
const loadWorkers = 4

// appender appends a batch of events; it returns one result for each.
type appender interface {
	Append(ctx context.Context, docs []event.Encoded) []event.Result
}

// runLoad appends events to the feeds of one and of a hundred applications at DynamoDB Local, with
// both designs in turn, and returns the rates and their ratios. Each call takes the median of
// DynamoDB's service times longer, because the local server has no network. The absolute rates mean
// nothing: this machine computes what DynamoDB would.
func runLoad(ctx context.Context) (string, error) {
	endpoint, stop, err := servers.StartDynamoDB()
	if err != nil {
		return "", err
	}
	defer stop()
	client := tables.Client(endpoint, "eu-north-1", "feed", dynamo.Retries, func(o *dynamodb.Options) { o.HTTPClient = slow{o.HTTPClient} })
	for _, table := range []string{"Events", "Outbox"} {
		if err := tables.Create(ctx, client, table, table); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	b.WriteString("| applications, events per batch | slot log | baseline | ratio |\n|---|--:|--:|--:|\n")
	for _, l := range []load{{loadWorkers, 10, 1, false}, {loadWorkers, 100, 1, false}, {loadWorkers, 10, 100, false}, {loadWorkers, 100, 100, false}} {
		var rates [2]float64
		for n, design := range []func() appender{
			func() appender { return eventtable.NewRecorder(client, "Events", "Outbox", time.Now) },
			func() appender { return &transactions{client: client} },
		} {
			if rates[n], err = rate(ctx, l, design, 800); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&b, "| %d, %d | %.0f/s | %.0f/s | %.1fx |\n", l.applications, l.batch, rates[0], rates[1], rates[0]/rates[1])
	}
	return b.String(), nil
}

// rate appends events, and returns how many per second.
func rate(ctx context.Context, l load, open func() appender, events int) (float64, error) {
	run := uuid.New().String()[:8]
	batches := make(chan []event.Encoded, events/l.batch)
	for first := 0; first < events; first += l.batch {
		var batch []event.Encoded
		for n := range l.batch {
			app := fmt.Sprintf("nav/app-%s-%d", run, (first+n)%l.applications)
			batch = append(batch, eventtest.Document(app, uuid.New().String(), 1, time.Now(), "FormFilling"))
		}
		batches <- batch
	}
	close(batches)
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	began := time.Now()
	for range l.workers {
		process := open()
		all.Go(func() {
			for batch := range batches {
				for _, result := range process.Append(ctx, batch) {
					if result.Outcome != event.Recorded {
						mu.Lock()
						failed = errors.Join(result.Err, fmt.Errorf("an event is %s", result.Outcome))
						mu.Unlock()
					}
				}
			}
		})
	}
	all.Wait()
	return float64(events) / time.Since(began).Seconds(), failed
}

// slow delays each call by the median of its service time.
type slow struct{ next aws.HTTPClient }

func (s slow) Do(r *http.Request) (*http.Response, error) {
	median := single[1]
	switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
	case "TransactWriteItems":
		median = transaction5[1]
	case "BatchGetItem", "BatchWriteItem":
		median *= batchFactor
	}
	time.Sleep(time.Duration(median * float64(time.Millisecond)))
	return s.next.Do(r)
}
