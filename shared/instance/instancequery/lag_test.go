package instancequery_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/merge"
)

// The maximum durations of a write and of the lag of an index, and the maximum lead of the reader's
// clock. A query's resume allows for their sum.
const (
	longestLead  = 30 * time.Second
	longestWrite = 25 * time.Second
	longestLag   = 5*time.Second - time.Millisecond
)

// simulation is an application with indexes, whose instances change under the rules of package
// instance. Each index entry appears and disappears at a random time.
type simulation struct {
	*rand.Rand
	mu        sync.Mutex // ranges are read concurrently
	app       *application.Application
	now       time.Time
	instances []*tracked
	entries   []*entry
	bounded   int // number of pages from a cursor with bounds
}

// tracked is an instance with the end of its latest write, before which no other write can begin.
type tracked struct {
	*instance.Instance
	written time.Time
	current []*entry
}

// entry is an index entry of one version of an instance.
type entry struct {
	instance    *instance.Instance
	key         string
	kind        instancequery.Kind
	label       string
	shown, gone time.Time // gone is zero for the latest version
}

func newSimulation(seed uint64) *simulation {
	app := &application.Application{ID: "nav/simulated", Org: "nav", IndexShards: 2}
	if seed%2 == 0 {
		app.IndexShards = 20 // cursors have bounds
	}
	app.SetDefaults()
	app.Workflow.Transitions = append(app.Workflow.Transitions, application.Transition{
		From: "Archived", To: "FormFilling", By: []application.Role{application.Owner},
	})
	return &simulation{Rand: rand.New(rand.NewPCG(seed, 0)), app: app, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

func (sim *simulation) randomDuration(limit time.Duration) time.Duration {
	return time.Duration(sim.Int64N(int64(limit)))
}

// create adds an instance with up to two labels.
func (sim *simulation) create(t *testing.T) {
	labels := [][]string{{"gr"}, {"x2"}, {"gr", "x2"}, {"x2", "gr"}, {}}[sim.IntN(5)]
	i, err := instance.New(instance.Draft{Application: sim.app, InstanceOwnerID: "50001", Labels: labels}, "1001", sim.now)
	if err != nil {
		t.Fatal(err)
	}
	r := &tracked{Instance: i}
	sim.instances = append(sim.instances, r)
	sim.write(r)
}

// change adds data to a random instance or moves it to another step.
func (sim *simulation) change(t *testing.T) {
	r := sim.instances[sim.IntN(len(sim.instances))]
	if sim.now.Before(r.written) {
		return
	}
	r.Instance = r.Clone()
	err := error(nil)
	if sim.IntN(2) == 0 && r.CheckDataWritable(sim.app, "default", "nav") == nil {
		err = r.AddData(sim.app, fmt.Sprint(len(r.Data)), "default", instance.Content{}, "1001", sim.now)
	} else {
		to := sim.app.Workflow.Reachable(r.Workflow.CurrentStep, application.Owner)
		_, err = r.Transition(sim.app, to[sim.IntN(len(to))], application.Owner, "nav", sim.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	sim.write(r)
}

// write stores the next version and schedules the changes of its index entries.
func (sim *simulation) write(r *tracked) {
	r.Version++
	r.written = sim.now.Add(sim.randomDuration(longestWrite))
	for _, e := range r.current {
		e.gone = r.written.Add(sim.randomDuration(longestLag))
	}
	r.current = nil
	add := func(kind instancequery.Kind, label string) {
		key := instancequery.ChangedKey(r.LastChangedDateTime, r.ID)
		r.current = append(r.current, &entry{instance: r.Instance, key: key, kind: kind, label: label, shown: r.written.Add(sim.randomDuration(longestLag))})
	}
	add(instancequery.ByStep, "")
	if r.InQueue() {
		add(instancequery.ByUnconfirmed, "")
	}
	for _, label := range r.Labels {
		add(instancequery.ByLabel, label)
	}
	sim.entries = append(sim.entries, r.current...)
}

// Read implements instancequery.Index at the simulated time.
func (sim *simulation) Read(_ context.Context, span instancequery.KeyRange, limit int) (rows []merge.Row[instancequery.Row], more bool, err error) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.entries = slices.DeleteFunc(sim.entries, func(e *entry) bool { return !e.gone.IsZero() && !sim.now.Before(e.gone) })
	for _, e := range sim.entries {
		i := e.instance
		if e.kind == span.Kind && e.label == span.Label && i.Workflow.CurrentStep == span.Step && i.Shard == span.Shard && i.AppID == span.AppID &&
			!sim.now.Before(e.shown) && e.key >= span.From && (span.To == "" || e.key <= span.To) {
			rows = append(rows, merge.Row[instancequery.Row]{Key: e.key, Value: instancequery.RowOf(i)})
		}
	}
	slices.SortFunc(rows, func(a, b merge.Row[instancequery.Row]) int {
		if span.Order == merge.Descending {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	return rows[:min(limit, len(rows))], len(rows) > limit, nil
}

// reader crawls a simulation with one filter and records the returned instances.
type reader struct {
	values url.Values
	filter instancequery.Filter
	page   string
	seen   map[string]int64 // the latest version of each instance
	order  []string         // ids in the order of the pages
}

// newReader returns a reader with the filter of the query string.
func newReader(t *testing.T, query string) *reader {
	r := &reader{seen: map[string]int64{}}
	var err error
	if r.values, err = url.ParseQuery(query); err != nil {
		t.Fatal(err)
	}
	if r.filter, err = instancequery.ParseFilter(r.values); err != nil {
		t.Fatal(err)
	}
	return r
}

// read reads one page and reports whether it is the last one. The page must be the same without the
// bounds of its cursor.
func (r *reader) read(t *testing.T, sim *simulation) (end bool) {
	q := instancequery.Query{Filter: r.filter, Values: r.values, Apps: []*application.Application{sim.app}, Size: 1 + sim.IntN(6)}
	now := sim.now.Add(sim.randomDuration(longestLead))
	run := func(at string) instancequery.Page {
		q := q
		if err := q.SetPage(at); err != nil {
			t.Fatal(err)
		}
		page, err := instancequery.Run(t.Context(), sim, q, now)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	page := run(r.page)
	if at := q.WithoutBounds(r.page); at != r.page {
		sim.bounded++
		all := run(at)
		sameVersion := func(a, b *instance.Instance) bool { return a.ID == b.ID && a.Version == b.Version }
		// If an instance is shown in only one of two indexes, the page depends on which one it
		// reads.
		twoIndexes := len(r.filter.Labels) > 1 || len(r.filter.Labels) == 1 && r.filter.Unconfirmed
		if !twoIndexes && (!slices.EqualFunc(page.Instances, all.Instances, sameVersion) ||
			q.WithoutBounds(page.Next) != q.WithoutBounds(all.Next) || page.Resume != all.Resume) {
			t.Errorf("%v: with bounds %v, without %v", r.values, instancetest.IDs(page), instancetest.IDs(all))
		}
	}
	for _, i := range page.Instances {
		r.seen[i.ID] = max(r.seen[i.ID], i.Version)
		r.order = append(r.order, i.ID)
	}
	r.page = cmp.Or(page.Next, page.Resume)
	return page.Next == ""
}

var filters = []string{"", "label=gr", "label=x2,gr", "downloadConfirmed=false", "label=gr&downloadConfirmed=false", "workflow.currentStep=Submit"}

// step advances the time, mostly by seconds and sometimes by days, and creates or changes an
// instance.
func (sim *simulation) step(t *testing.T) {
	switch sim.IntN(40) {
	case 0:
		sim.now = sim.now.Add(sim.randomDuration(72 * time.Hour))
	case 1, 2, 3:
		sim.now = sim.now.Add(sim.randomDuration(40 * time.Second))
	default:
		sim.now = sim.now.Add(sim.randomDuration(2 * time.Second))
	}
	if sim.IntN(6) == 0 {
		sim.create(t)
	} else {
		sim.change(t)
	}
}

// simulate runs a test in many simulations. A failure reports the seed.
func simulate(t *testing.T, test func(t *testing.T, sim *simulation)) {
	first := rand.Uint64()
	for seed := first; seed < first+20; seed++ {
		sim := newSimulation(seed)
		for range 15 {
			sim.create(t)
		}
		sim.now = sim.now.Add(time.Hour)
		test(t, sim)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestPollersOfLaggingIndexes runs a poller for each filter that keeps its cursor between polls,
// for seconds or days. Each poller must get the latest version of each instance that its filter
// matches.
func TestPollersOfLaggingIndexes(t *testing.T) {
	simulate(t, func(t *testing.T, sim *simulation) {
		var readers []*reader
		for _, filter := range filters {
			readers = append(readers, newReader(t, filter))
		}
		for range 250 {
			sim.step(t)
			for _, r := range readers {
				if sim.IntN(3) == 0 {
					r.read(t, sim)
				}
			}
		}
		sim.now = sim.now.Add(longestWrite + longestLag)
		for n, r := range readers {
			for range 2 { // finish the current crawl, then poll once more
				for !r.read(t, sim) {
				}
			}
			for _, i := range sim.instances {
				if r.filter.Matches(i.Instance) && r.seen[i.ID] != i.Version {
					t.Errorf("%q got version %d of %s, whose latest version is %d", filters[n], r.seen[i.ID], i.ID, i.Version)
				}
			}
		}
	})
}

// TestCrawlOfLaggingIndexes crawls in ascending order while instances change. The crawl must return
// every instance that existed at its start. If an entry was moving when the crawl ended, the crawl
// from Resume must return its instance.
func TestCrawlOfLaggingIndexes(t *testing.T) {
	simulate(t, func(t *testing.T, sim *simulation) {
		existing := slices.Clone(sim.instances)
		r := newReader(t, "")
		for !r.read(t, sim) {
			sim.step(t)
		}
		sim.now = sim.now.Add(longestWrite + longestLag)
		for !r.read(t, sim) {
		}
		for _, i := range existing {
			if r.seen[i.ID] == 0 {
				t.Errorf("%s was never returned", i.ID)
			}
		}
	})
}

// TestDescendingCrawl crawls in descending order while instances change. The crawl must return each
// instance that does not change exactly once, in order.
func TestDescendingCrawl(t *testing.T) {
	simulate(t, func(t *testing.T, sim *simulation) {
		type state struct {
			version int64
			changed time.Time
		}
		before := map[string]state{}
		for _, i := range sim.instances {
			before[i.ID] = state{i.Version, i.LastChangedDateTime}
		}
		r := newReader(t, "order=desc")
		for !r.read(t, sim) {
			sim.step(t)
		}
		var want, got []string
		for _, i := range sim.instances {
			if before[i.ID].version == i.Version {
				want = append(want, i.ID)
			}
		}
		slices.SortFunc(want, func(a, b string) int {
			return cmp.Or(before[b].changed.Compare(before[a].changed), strings.Compare(b, a))
		})
		for _, id := range r.order {
			if slices.Contains(want, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
