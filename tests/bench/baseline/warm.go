package baseline

import (
	"context"
	"errors"
	"path/filepath"

	"altinn.no/instanceapi/tests/bench/report"
)

// warmRequests is how many requests a warm one is the mean of.
const warmRequests = 120

// Warm counts the instructions of one warm request: a program that has served 121, less one that has served one.
func (b *Bench) Warm(ctx context.Context, program string, event []byte) (int64, error) {
	var counted [2]int64
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
			if err := ask(ctx, e, event); err != nil {
				return 0, err
			}
		}
		if err := e.Retire(ctx); err != nil {
			return 0, err
		}
		all, err := parts(out)
		if err != nil {
			return 0, err
		}
		counted[n] = all[len(all)-1].instructions
	}
	return (counted[1] - counted[0]) / warmRequests, nil
}

// read is a request that is measured.
type read struct{ program, route, name string }

var reads = []read{
	{"instance-get", instanceRoute, "an instance"},
	{"data-get", dataRoute, "a data element of 1 KB, from S3"},
}

// WarmTable measures what a warm request costs.
func WarmTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Instructions of a warm request, as a ratio to hello",
		Note:    "The token has been seen before; DynamoDB and S3 answer at once, over http.",
		Columns: []string{"request", "instructions"},
	}
	if err := b.store(ctx, b.cloud.plain); err != nil {
		return nil, err
	}
	greeting, err := b.reading(instanceRoute)
	if err != nil {
		return nil, err
	}
	floor, err := b.Warm(ctx, hello, greeting)
	if errors.Is(err, errNoValgrind) {
		t.Note += " Left out: " + err.Error() + "."
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range append([]read{{dynamoGet, instanceRoute, "the same call to DynamoDB, and nothing else"}}, reads...) {
		event, err := b.reading(r.route)
		if err != nil {
			return nil, err
		}
		cost, err := b.Warm(ctx, r.program, event)
		if err != nil {
			return nil, err
		}
		t.Add(r.name, report.Ratio(float64(cost)/float64(floor)))
	}
	return t, nil
}
