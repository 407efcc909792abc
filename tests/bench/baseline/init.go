package baseline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"altinn.no/instanceapi/tests/bench/report"
)

// InitCost is the work of a program from its start to its first request for an event, in
// instructions.
type InitCost struct {
	Own    int64 // without the warm-up calls
	WarmUp int64 // the warm-up calls; the emulator responds immediately, over http
}

// Init counts the instructions of a program's initialisation: the minimum of three runs, because
// unrelated work only adds to it.
func (b *Bench) Init(ctx context.Context, program string) (least InitCost, err error) {
	rounds := 3
	if b.quick {
		rounds = 1
	}
	for n := range rounds {
		cost, err := b.initOnce(ctx, program)
		if err != nil {
			return InitCost{}, err
		}
		if n == 0 || cost.Own+cost.WarmUp < least.Own+least.WarmUp {
			least = cost
		}
	}
	return least, nil
}

func (b *Bench) initOnce(ctx context.Context, program string) (InitCost, error) {
	out := filepath.Join(b.scratch, "init-"+program)
	command, err := callgrind(out, "--dump-before=altinn.no/instanceapi/shared/coldstart.(*Env).Ready", "--dump-before=github.com/aws/aws-lambda-go/lambda.StartWithOptions",
		"--dump-before=log.Fatalf") // with which the process reports that there are no more events
	if err != nil {
		return InitCost{}, err
	}
	e, err := b.start(ctx, program, append(b.plain(), singleThread...), command...)
	if err != nil {
		return InitCost{}, fmt.Errorf("%s: %w", program, err)
	}
	if err := e.Retire(ctx); err != nil {
		return InitCost{}, err
	}
	sections, err := parts(out)
	if err != nil {
		return InitCost{}, err
	}
	// To callgrind, a goroutine that resumes inside Ready looks like another call of Ready, so
	// there may be several parts.
	var cost InitCost
	warming := false
	for n, p := range sections {
		if warming {
			cost.WarmUp += p.instructions
		} else {
			cost.Own += p.instructions
		}
		if n+1 == len(sections) || strings.Contains(p.until, "log.Fatalf") {
			break
		}
		if strings.Contains(p.until, ".Ready") {
			warming = true
		} else if strings.Contains(p.until, "StartWithOptions") {
			warming = false
		}
	}
	return cost, nil
}

// InitTable measures the initialisation of every function.
func InitTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Instructions of the initialisation, as a ratio to hello",
		Note:    "From the start of the process to its first request for an event. The emulator responds to the warm-up calls immediately, over http.",
		Columns: []string{"function", "without warm-up calls", "with warm-up calls"},
	}
	base, err := b.Init(ctx, hello)
	if errors.Is(err, errNoValgrind) {
		t.Note += " Not measured: " + err.Error() + "."
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	for _, f := range b.functions() {
		cost, err := b.Init(ctx, f)
		if err != nil {
			return nil, err
		}
		baseOwn := float64(base.Own)
		t.Add(f, report.Ratio(float64(cost.Own)/baseOwn), report.Ratio(float64(cost.Own+cost.WarmUp)/baseOwn))
	}
	return t, nil
}
