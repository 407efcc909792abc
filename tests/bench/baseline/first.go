package baseline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"altinn.no/instanceapi/tests/bench/report"
)

// startCost is the CPU time of one process, in nanoseconds: its initialisation, its first
// request, and each later request.
type startCost struct{ init, first, warm float64 }

// measureStart starts a program once and sends it requests.
func (b *Bench) measureStart(ctx context.Context, program string, event []byte, environment []string) (cost startCost, err error) {
	e, err := b.start(ctx, program, environment)
	if err != nil {
		return cost, err
	}
	defer e.Stop()
	at := make([]time.Duration, 0, 3)
	for _, requests := range []int{0, 1, 20} {
		for range requests {
			if err := invoke(ctx, e, event); err != nil {
				return cost, fmt.Errorf("%s: %w", program, err)
			}
		}
		now, err := cpu(e)
		if err != nil {
			return cost, err
		}
		at = append(at, now)
	}
	return startCost{float64(at[0]), float64(at[1] - at[0]), float64(at[2]-at[1]) / 20}, nil
}

// FirstTable measures the CPU time of cold starts.
func FirstTable(ctx context.Context, b *Bench) (*report.Table, error) {
	runs := 40
	if b.quick {
		runs = 5
	}
	t := &report.Table{
		Title: "CPU time of a cold start",
		Note: fmt.Sprintf("Over TLS with an RSA-2048 chain, on a system with the root store of Amazon Linux 2023; the issuer's keys are fetched over https unless stated otherwise. Medians of %d alternated runs. "+
			"The first request is a ratio to the same one warm, the others are to hello.", runs),
		Columns: []string{"request", "initialisation / hello's", "first request / the same warm", "initialisation + first / hello's", "warm / hello's"},
	}
	if err := b.store(ctx, b.cloud.plain); err != nil {
		return nil, err
	}
	encrypted, err := b.encrypted()
	if err != nil {
		return nil, err
	}
	all := append([]read{{hello, instanceRoute, ""}}, reads...)
	all = append(all, read{reads[0].program, reads[0].route, reads[0].name + ", the issuer's keys in a file"})
	costs := make([][]startCost, len(all))
	for range runs {
		for n, r := range all {
			event, err := b.readEvent(r.route)
			if err != nil {
				return nil, err
			}
			environment := encrypted
			if n == len(all)-1 { // the last value of a variable takes effect
				environment = append(slices.Clone(encrypted), "TOKEN_JWKS="+b.issuer.KeySet())
			}
			cost, err := b.measureStart(ctx, r.program, event, environment)
			if errors.Is(err, errNoCPU) {
				t.Note += " Not measured: " + err.Error() + "."
				return t, nil
			}
			if err != nil {
				return nil, err
			}
			costs[n] = append(costs[n], cost)
		}
	}
	base := medians(costs[0])
	for n, r := range all {
		if n == 0 {
			continue
		}
		c := medians(costs[n])
		t.Add(r.name, report.Ratio(c.init/base.init), report.Ratio(c.first/c.warm), report.Ratio((c.init+c.first)/(base.init+base.first)), report.Ratio(c.warm/base.warm))
	}
	return t, nil
}

// medians returns the median of each part of the costs.
func medians(costs []startCost) startCost {
	var inits, firsts, warms []float64
	for _, c := range costs {
		inits, firsts, warms = append(inits, c.init), append(firsts, c.first), append(warms, c.warm)
	}
	return startCost{report.Median(inits), report.Median(firsts), report.Median(warms)}
}
