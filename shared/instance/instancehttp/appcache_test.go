package instancehttp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtest"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/merge"
)

// slowRegister and slowIndex answer after a second.
type slowRegister struct {
	applicationtest.Memory
	fails error
}

func (r *slowRegister) Get(ctx context.Context, id string) (*application.Application, error) {
	time.Sleep(time.Second)
	if r.fails != nil {
		return nil, r.fails
	}
	return r.Memory.Get(ctx, id)
}

func (r *slowRegister) List(ctx context.Context, org string) ([]*application.Application, error) {
	time.Sleep(time.Second)
	if r.fails != nil {
		return nil, r.fails
	}
	return r.Memory.List(ctx, org)
}

// slowIndex has no rows, and notes which partitions were read.
type slowIndex struct {
	mu    sync.Mutex
	read  []string
	fails error
}

func (x *slowIndex) Read(_ context.Context, span instancequery.KeyRange, _ int) ([]merge.Row[instancequery.Row], bool, error) {
	x.mu.Lock()
	x.read = append(x.read, fmt.Sprint(span.AppID, " ", span.Step, " ", span.Shard))
	x.mu.Unlock()
	time.Sleep(time.Second)
	return nil, false, x.fails
}

// asked runs a query for the step Submit, and returns what was read and how long it took.
func asked(t *testing.T, e *QueryEndpoint, of appSelector) (read []string, took time.Duration, err error) {
	t.Helper()
	index := e.Index.(*slowIndex)
	index.read = nil
	began := time.Now()
	_, err = e.query(t.Context(), instancequery.Query{Filter: instancequery.Filter{Org: "nav", Step: "Submit"}, Size: 10}, of)
	slices.Sort(index.read)
	return index.read, time.Since(began), err
}

func register(t *testing.T, r *slowRegister, id string, shards int) {
	t.Helper()
	app, err := r.Memory.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if app == nil {
		app = &application.Application{ID: id, Org: "nav"}
		app.SetDefaults()
	}
	app.IndexShards = shards
	if err := r.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

// The register is read beside the query as soon as the applications are known, and what it says counts.
func TestRunFollowsTheRegister(t *testing.T) {
	for name, of := range map[string]appSelector{"by id": {ids: []string{"nav/one", "nav/two", "nav/none"}}, "of the org": {org: "nav"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &slowRegister{}
				register(t, r, "nav/one", 1)
				e := &QueryEndpoint{Applications: r, Index: &slowIndex{}}
				one, both := []string{"nav/one Submit 0"}, []string{"nav/one Submit 0", "nav/one Submit 1", "nav/two Submit 0"}
				for _, step := range []struct {
					what   string
					before func()
					read   []string
					took   time.Duration
				}{
					{"first", func() {}, one, 2 * time.Second},
					{"again", func() {}, one, time.Second},
					{"after a change", func() { register(t, r, "nav/one", 2); register(t, r, "nav/two", 1) }, slices.Concat(one, both), 2 * time.Second},
					{"and again", func() {}, both, time.Second},
				} {
					step.before()
					read, took, err := asked(t, e, of)
					want := slices.Sorted(slices.Values(step.read))
					if err != nil || !slices.Equal(read, want) || took != step.took {
						t.Errorf("%s: %v in %v, %v; want %v in %v", step.what, read, took, err, want, step.took)
					}
				}
			})
		})
	}
}

func TestRunFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, x := &slowRegister{}, &slowIndex{}
		register(t, r, "nav/one", 1)
		e := &QueryEndpoint{Applications: r, Index: x}
		of := appSelector{ids: []string{"nav/one"}}
		if _, _, err := asked(t, e, of); err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		r.fails = down
		if _, _, err := asked(t, e, of); !errors.Is(err, down) {
			t.Errorf("the register is down: %v", err)
		}
		r.fails, x.fails = nil, down
		if _, took, err := asked(t, e, of); !errors.Is(err, down) || took != time.Second {
			t.Errorf("the index is down: %v in %v", err, took)
		}
	})
}

func TestPlansAreBounded(t *testing.T) {
	var p appCache
	for n := range 3 * maxCachedQueries {
		p.keep(appSelector{org: fmt.Sprint("org", n)}, nil)
	}
	if len(p.seen) > maxCachedQueries {
		t.Errorf("%d are kept", len(p.seen))
	}
	if got := p.of(appSelector{org: "never seen"}); got != nil {
		t.Errorf("%v", got)
	}
	if p.keep(appSelector{org: "empty"}, nil); p.of(appSelector{org: "empty"}) == nil {
		t.Error("an org without applications is as good as not seen")
	}
}
