package baseline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"altinn.no/instanceapi/tests/bench/report"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
)

// rate returns the requests per second that a program serves to a number of parallel clients,
// each with its own environment, as in Lambda.
func (b *Bench) rate(ctx context.Context, program string, clients int, event []byte, environment []string, duration time.Duration) (float64, error) {
	environments := make([]*runtime.Environment, clients)
	for n := range environments {
		e, err := b.start(ctx, program, environment)
		if err != nil {
			return 0, err
		}
		defer e.Stop()
		if err := invoke(ctx, e, event); err != nil {
			return 0, err
		}
		environments[n] = e
	}
	var served atomic.Int64
	var firstErr atomic.Value
	var wg sync.WaitGroup
	start := time.Now()
	for _, e := range environments {
		wg.Go(func() {
			for time.Since(start) < duration {
				if err := invoke(ctx, e, event); err != nil {
					firstErr.Store(err)
					return
				}
				served.Add(1)
			}
		})
	}
	wg.Wait()
	if err, ok := firstErr.Load().(error); ok {
		return 0, err
	}
	return float64(served.Load()) / time.Since(start).Seconds(), nil
}

// database starts a DynamoDB Local with the template's tables and the samples.
func (b *Bench) database(ctx context.Context) (endpoint string, stop func(), err error) {
	endpoint, stop, err = servers.StartDynamoDB()
	if err != nil {
		return "", nil, err
	}
	client := tables.Client(endpoint, runtime.Region, accessKey)
	for _, table := range b.template.Tables {
		if err = tables.Create(ctx, client, table, table); err != nil {
			break
		}
	}
	if err == nil {
		err = b.store(ctx, endpoint)
	}
	if err != nil {
		stop()
	}
	return endpoint, stop, err
}

// ThroughputTable compares instance-get with a handler that makes only the same DynamoDB call.
func ThroughputTable(ctx context.Context, b *Bench) (*report.Table, error) {
	rounds, duration := 9, 2*time.Second
	if b.quick {
		rounds, duration = 3, time.Second/2
	}
	t := &report.Table{
		Title:   "Throughput: requests per second, as a ratio to the same DynamoDB call alone",
		Note:    fmt.Sprintf("Through the Runtime API and DynamoDB Local, on all cores; medians of %d alternated rounds.", rounds),
		Columns: []string{"request", "1 client", "16 clients"},
	}
	endpoint, stop, err := b.database(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	event, err := b.readEvent(instanceRoute)
	if err != nil {
		return nil, err
	}
	row := []string{"an instance"}
	for _, clients := range []int{1, 16} {
		var ratios []float64
		for range rounds {
			var rates [2]float64
			for n, program := range []string{dynamoGet, "instance-get"} {
				if rates[n], err = b.rate(ctx, program, clients, event, []string{"AWS_ENDPOINT_URL=" + endpoint}, duration); err != nil {
					return nil, fmt.Errorf("%s: %w", program, err)
				}
			}
			ratios = append(ratios, rates[1]/rates[0])
		}
		row = append(row, report.Ratio(report.Median(ratios)))
	}
	t.Add(row...)
	return t, nil
}
