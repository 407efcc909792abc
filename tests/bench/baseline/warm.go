package baseline

import (
	"context"
	"errors"
	"path/filepath"

	"altinn.no/instanceapi/tests/bench/report"
)

// warmRequests is the number of requests over which a warm request is averaged.
const warmRequests = 120

// Warm counts the instructions of one warm request: a run with 121 requests less a run with one,
// divided by 120.
func (b *Bench) Warm(ctx context.Context, program string, event []byte) (int64, error) {
	var totals [2]int64
	for n, requests := range []int{1, 1 + warmRequests} {
		out := filepath.Join(b.scratch, "warm-"+program)
		command, err := callgrind(out)
		if err != nil {
			return 0, err
		}
		e, err := b.start(ctx, program, append(b.plain(), singleThread...), command...)
		if err != nil {
			return 0, err
		}
		defer e.Stop()
		for range requests {
			if err := invoke(ctx, e, event); err != nil {
				return 0, err
			}
		}
		if err := e.Retire(ctx); err != nil {
			return 0, err
		}
		counts, err := parts(out)
		if err != nil {
			return 0, err
		}
		totals[n] = counts[len(counts)-1].instructions
	}
	return (totals[1] - totals[0]) / warmRequests, nil
}

// read is a measured request.
type read struct{ program, route, name string }

var reads = []read{
	{"instance-get", instanceRoute, "an instance"},
	{"data-get", dataRoute, "a data element of 1 KB, from S3"},
}

// WarmTable measures the cost of a warm request.
func WarmTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Instructions of a warm request, as a ratio to hello",
		Note:    "The token is cached; DynamoDB and S3 respond immediately, over http.",
		Columns: []string{"request", "instructions"},
	}
	if err := b.store(ctx, b.cloud.plain); err != nil {
		return nil, err
	}
	event, err := b.readEvent(instanceRoute)
	if err != nil {
		return nil, err
	}
	base, err := b.Warm(ctx, hello, event)
	if errors.Is(err, errNoValgrind) {
		t.Note += " Not measured: " + err.Error() + "."
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range append([]read{{dynamoGet, instanceRoute, "the same DynamoDB call alone"}}, reads...) {
		event, err := b.readEvent(r.route)
		if err != nil {
			return nil, err
		}
		cost, err := b.Warm(ctx, r.program, event)
		if err != nil {
			return nil, err
		}
		t.Add(r.name, report.Ratio(float64(cost)/float64(base)))
	}
	return t, nil
}
