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

// slowApplications and slowIndex take a second for each read.
type slowApplications struct {
	applicationtest.Memory
	err error
}

func (a *slowApplications) Get(ctx context.Context, id string) (*application.Application, error) {
	time.Sleep(time.Second)
	if a.err != nil {
		return nil, a.err
	}
	return a.Memory.Get(ctx, id)
}

func (a *slowApplications) List(ctx context.Context, org string) ([]*application.Application, error) {
	time.Sleep(time.Second)
	if a.err != nil {
		return nil, a.err
	}
	return a.Memory.List(ctx, org)
}

// slowIndex has no rows, and records the partitions that were read.
type slowIndex struct {
	mu   sync.Mutex
	read []string
	err  error
}

func (x *slowIndex) Read(_ context.Context, span instancequery.KeyRange, _ int) ([]merge.Row[instancequery.Row], bool, error) {
	x.mu.Lock()
	x.read = append(x.read, fmt.Sprint(span.AppID, " ", span.Step, " ", span.Shard))
	x.mu.Unlock()
	time.Sleep(time.Second)
	return nil, false, x.err
}

// runQuery runs a query of the step Submit, and returns the partitions that it read and its
// duration.
func runQuery(t *testing.T, e *QueryEndpoint, selector appSelector) (read []string, took time.Duration, err error) {
	t.Helper()
	index := e.Index.(*slowIndex)
	index.read = nil
	start := time.Now()
	_, err = e.query(t.Context(), instancequery.Query{Filter: instancequery.Filter{Org: "nav", Step: "Submit"}, Size: 10}, selector)
	slices.Sort(index.read)
	return index.read, time.Since(start), err
}

func register(t *testing.T, a *slowApplications, id string, shards int) {
	t.Helper()
	app, err := a.Memory.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if app == nil {
		app = &application.Application{ID: id, Org: "nav"}
		app.SetDefaults()
	}
	app.IndexShards = shards
	if err := a.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

// A query with cached applications runs in parallel with reading them. It repeats if they have
// changed.
func TestQueryUsesCurrentApplications(t *testing.T) {
	for name, selector := range map[string]appSelector{"by id": {ids: []string{"nav/one", "nav/two", "nav/none"}}, "of the org": {org: "nav"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				applications := &slowApplications{}
				register(t, applications, "nav/one", 1)
				e := &QueryEndpoint{Applications: applications, Index: &slowIndex{}}
				one, both := []string{"nav/one Submit 0"}, []string{"nav/one Submit 0", "nav/one Submit 1", "nav/two Submit 0"}
				for _, step := range []struct {
					what   string
					before func()
					read   []string
					took   time.Duration
				}{
					{"first", func() {}, one, 2 * time.Second},
					{"again", func() {}, one, time.Second},
					{"after a change", func() { register(t, applications, "nav/one", 2); register(t, applications, "nav/two", 1) }, slices.Concat(one, both), 2 * time.Second},
					{"and again", func() {}, both, time.Second},
				} {
					step.before()
					read, took, err := runQuery(t, e, selector)
					want := slices.Sorted(slices.Values(step.read))
					if err != nil || !slices.Equal(read, want) || took != step.took {
						t.Errorf("%s: %v in %v, %v; want %v in %v", step.what, read, took, err, want, step.took)
					}
				}
			})
		})
	}
}

func TestQueryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		applications, index := &slowApplications{}, &slowIndex{}
		register(t, applications, "nav/one", 1)
		e := &QueryEndpoint{Applications: applications, Index: index}
		selector := appSelector{ids: []string{"nav/one"}}
		if _, _, err := runQuery(t, e, selector); err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		applications.err = down
		if _, _, err := runQuery(t, e, selector); !errors.Is(err, down) {
			t.Errorf("applications fail: %v", err)
		}
		applications.err, index.err = nil, down
		if _, took, err := runQuery(t, e, selector); !errors.Is(err, down) || took != time.Second {
			t.Errorf("the index fails: %v in %v", err, took)
		}
	})
}

func TestAppCacheIsBounded(t *testing.T) {
	var c appCache
	for n := range 3 * maxCachedSelectors {
		c.put(appSelector{org: fmt.Sprint("org", n)}, nil)
	}
	if len(c.apps) > maxCachedSelectors {
		t.Errorf("the cache has %d entries", len(c.apps))
	}
	if got := c.get(appSelector{org: "not cached"}); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
	if c.put(appSelector{org: "empty"}, nil); c.get(appSelector{org: "empty"}) == nil {
		t.Error("an org without applications is not cached")
	}
}
