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
	"altinn.no/instanceapi/shared/merge"
)

// The longest that a write and an index may take, together what a query's resume allows for.
const (
	longestWrite = 25 * time.Second
	longestLag   = 5*time.Second - time.Millisecond
)

// town is an application whose instances change under the rules of package instance, and its indexes, in which every
// single entry of every version comes, and the one before it goes, at a time of its own.
type town struct {
	*rand.Rand
	mu        sync.Mutex // ranges are read at the same time
	app       *application.Application
	now       time.Time
	instances []*resident
	entries   []*entry
}

// resident is an instance and when its latest write is done: before, nobody else can change it.
type resident struct {
	*instance.Instance
	written time.Time
	current []*entry
}

type entry struct {
	instance    *instance.Instance
	key         string
	kind        instancequery.Kind
	label       string
	shown, gone time.Time // gone is zero for those of the latest version
}

func newTown(seed uint64) *town {
	app := &application.Application{ID: "nav/town", Org: "nav", IndexShards: 2}
	app.SetDefaults()
	app.Workflow.Transitions = append(app.Workflow.Transitions, application.Transition{
		From: "Archived", To: "FormFilling", By: []application.Role{application.Owner},
	})
	return &town{Rand: rand.New(rand.NewPCG(seed, 0)), app: app, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

func (w *town) within(most time.Duration) time.Duration { return time.Duration(w.Int64N(int64(most))) }

// build makes a new instance, with a label or two, and at times data.
func (w *town) build(t *testing.T) {
	labels := [][]string{{"gr"}, {"x2"}, {"gr", "x2"}, {"x2", "gr"}, {}}[w.IntN(5)]
	i, err := instance.New(instance.Draft{Application: w.app, InstanceOwnerID: "50001", Labels: labels}, "1001", w.now)
	if err != nil {
		t.Fatal(err)
	}
	r := &resident{Instance: i}
	w.instances = append(w.instances, r)
	w.write(r)
}

// alter changes some instance: it moves to another step, or gets data.
func (w *town) alter(t *testing.T) {
	r := w.instances[w.IntN(len(w.instances))]
	if w.now.Before(r.written) {
		return
	}
	r.Instance = r.Clone()
	err := error(nil)
	if w.IntN(2) == 0 && r.CheckDataWritable(w.app) == nil {
		err = r.AddData(w.app, fmt.Sprint(len(r.Data)), "default", instance.Content{}, "1001", w.now)
	} else {
		to := w.app.Workflow.Reachable(r.Workflow.CurrentStep, application.Owner)
		_, err = r.Transition(w.app, to[w.IntN(len(to))], application.Owner, "nav", w.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.write(r)
}

func (w *town) write(r *resident) {
	r.Version++
	r.written = w.now.Add(w.within(longestWrite))
	for _, e := range r.current {
		e.gone = r.written.Add(w.within(longestLag))
	}
	r.current = nil
	add := func(kind instancequery.Kind, label string) {
		key := instancequery.ChangedKey(r.LastChangedDateTime, r.ID)
		r.current = append(r.current, &entry{instance: r.Instance, key: key, kind: kind, label: label, shown: r.written.Add(w.within(longestLag))})
	}
	add(instancequery.ByStep, "")
	if r.HasUnconfirmed() {
		add(instancequery.ByUnconfirmed, "")
	}
	for _, label := range r.Labels {
		add(instancequery.ByLabel, label)
	}
	w.entries = append(w.entries, r.current...)
}

// Read implements instancequery.Index as of now.
func (w *town) Read(_ context.Context, span instancequery.KeyRange, limit int) (rows []merge.Row[instancequery.Row], more bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = slices.DeleteFunc(w.entries, func(e *entry) bool { return !e.gone.IsZero() && !w.now.Before(e.gone) })
	for _, e := range w.entries {
		i := e.instance
		if e.kind == span.Kind && e.label == span.Label && i.Workflow.CurrentStep == span.Step && i.Shard == span.Shard && i.AppID == span.AppID &&
			!w.now.Before(e.shown) && e.key >= span.From && (span.To == "" || e.key <= span.To) {
			rows = append(rows, merge.Row[instancequery.Row]{Key: e.key, Value: instancequery.Row{Instance: i}})
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

// reader crawls a town by one filter and keeps what it has seen.
type reader struct {
	values url.Values
	filter instancequery.Filter
	page   string
	seen   map[string]int64 // the latest version of each instance
	order  []string         // ids as they came
}

// newReader returns a reader with the filter that the query string says.
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

// read reads a page, and reports whether it is the last one.
func (r *reader) read(t *testing.T, w *town) (end bool) {
	q := instancequery.Query{Filter: r.filter, Values: r.values, Apps: []*application.Application{w.app}, Size: 1 + w.IntN(6)}
	if err := q.SetPage(r.page); err != nil {
		t.Fatal(err)
	}
	page, err := instancequery.Run(t.Context(), w, q, w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range page.Instances {
		r.seen[i.ID] = max(r.seen[i.ID], i.Version)
		r.order = append(r.order, i.ID)
	}
	r.page = cmp.Or(page.Next, page.Resume)
	return page.Next == ""
}

var filters = []string{"", "label=gr", "label=x2,gr", "downloadConfirmed=false", "label=gr&downloadConfirmed=false", "workflow.currentStep=Submit"}

// live lets time pass: moments, and at times days, in which instances are created and changed.
func (w *town) live(t *testing.T) {
	switch w.IntN(40) {
	case 0:
		w.now = w.now.Add(w.within(72 * time.Hour))
	case 1, 2, 3:
		w.now = w.now.Add(w.within(40 * time.Second))
	default:
		w.now = w.now.Add(w.within(2 * time.Second))
	}
	if w.IntN(6) == 0 {
		w.build(t)
	} else {
		w.alter(t)
	}
}

// towns runs a test in many towns. A failure names the seed of its town.
func towns(t *testing.T, test func(t *testing.T, w *town)) {
	first := rand.Uint64()
	for seed := first; seed < first+20; seed++ {
		w := newTown(seed)
		for range 15 {
			w.build(t)
		}
		w.now = w.now.Add(time.Hour)
		test(t, w)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestLaggingIndexesHideNothingFromPollers has a poller for each filter keep its cursor between polls, from moments to
// days: whatever an instance's last change, each poller whose filter holds for it has been given it.
func TestLaggingIndexesHideNothingFromPollers(t *testing.T) {
	towns(t, func(t *testing.T, w *town) {
		var readers []*reader
		for _, filter := range filters {
			readers = append(readers, newReader(t, filter))
		}
		for range 250 {
			w.live(t)
			for _, r := range readers {
				if w.IntN(3) == 0 {
					r.read(t, w)
				}
			}
		}
		w.now = w.now.Add(longestWrite + longestLag)
		for n, r := range readers {
			for range 2 { // the crawl that is under way, and the poll after it
				for !r.read(t, w) {
				}
			}
			for _, i := range w.instances {
				if r.filter.Matches(i.Instance) && r.seen[i.ID] != i.Version {
					t.Errorf("%q was given version %d of %s, which is at %d", filters[n], r.seen[i.ID], i.ID, i.Version)
				}
			}
		}
	})
}

// TestCrawlOfLaggingIndexes: an ascending crawl under way while writers go on gives every instance that was there at
// its start at least once; one whose entry was just moving when the crawl came to its end comes by resume.
func TestCrawlOfLaggingIndexes(t *testing.T) {
	towns(t, func(t *testing.T, w *town) {
		there := slices.Clone(w.instances)
		r := newReader(t, "")
		for !r.read(t, w) {
			w.live(t)
		}
		w.now = w.now.Add(longestWrite + longestLag)
		for !r.read(t, w) {
		}
		for _, i := range there {
			if r.seen[i.ID] == 0 {
				t.Errorf("%s was never given", i.ID)
			}
		}
	})
}

// TestDescendingIsASnapshotOfWhatStays: what does not change during a descending crawl comes exactly once, in order.
func TestDescendingIsASnapshotOfWhatStays(t *testing.T) {
	towns(t, func(t *testing.T, w *town) {
		type state struct {
			version int64
			changed time.Time
		}
		before := map[string]state{}
		for _, i := range w.instances {
			before[i.ID] = state{i.Version, i.LastChangedDateTime}
		}
		r := newReader(t, "order=desc")
		for !r.read(t, w) {
			w.live(t)
		}
		var want, got []string
		for _, i := range w.instances {
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
