package instancequery_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/merge"
)

// TestCrawlWhileInstancesChange follows Next to the end in ascending order while instances change
// and are created between the pages. The crawl must return every instance that existed at its
// start.
func TestCrawlWhileInstancesChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := &instancetest.Memory{}
		p := instancetest.NewPopulation(t, store, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 25).Draw(t, "instances"))
		now := instancetest.At.Add(12 * time.Hour) // after all changes so far
		values := map[string][]string{}
		if rapid.Bool().Draw(t, "label") {
			values["label"] = []string{instancetest.Labels[0]} // every instance has it
		}
		unseen := map[string]bool{}
		for _, i := range p.Instances {
			if !i.Status.IsSoftDeleted && !i.Status.IsMarkedForHardDelete {
				unseen[i.ID] = true
			}
		}
		size, page := rapid.IntRange(1, 6).Draw(t, "size"), ""
		for pages := 0; ; pages++ {
			result := p.Page(t, store, values, size, page)
			for _, i := range result.Instances {
				delete(unseen, i.ID)
			}
			if page = result.Next; page == "" {
				break
			}
			// Fewer instances than a page has change during each page, so the crawl ends.
			for range rapid.IntRange(0, size-1).Draw(t, "changes") {
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "milliseconds")) * time.Millisecond)
				change(t, p, store, now)
			}
		}
		if len(unseen) > 0 {
			t.Fatalf("never returned: %v", unseen)
		}
	})
}

// change makes one random change: a transition to another step, a new data element, or a new
// instance.
func change(t *rapid.T, p *instancetest.Population, store *instancetest.Memory, now time.Time) {
	n := rapid.IntRange(0, len(p.Instances)).Draw(t, "instance")
	if n == len(p.Instances) {
		p.Add(t, store, now)
		return
	}
	i := p.Instances[n]
	app := p.Apps[slices.IndexFunc(p.Apps, func(a *application.Application) bool { return a.ID == i.AppID })]
	step := rapid.SampledFrom(app.Workflow.Steps).Draw(t, "step")
	_, err := store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		if rapid.Bool().Draw(t, "data") {
			return nil, i.AddData(app, uuid.New().String(), "default", instance.Content{}, "1001", now)
		}
		_, err := i.Transition(app, step.Name, application.Owner, "nav", now)
		return nil, err
	})
	if err != nil && !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
}

// laggingIndex is an index that shows a new version some time after its timestamp and drops the
// previous version at another time. In between an instance may be missing or occur twice.
type laggingIndex struct {
	now    time.Time
	writes []write
}

type write struct {
	instance    *instance.Instance
	shown, gone time.Time // gone is zero for the latest version
}

// Read implements instancequery.Index for ByStep and ByOwner.
func (l *laggingIndex) Read(_ context.Context, span instancequery.KeyRange, limit int) (rows []merge.Row[instancequery.Row], more bool, err error) {
	for _, w := range l.writes {
		i := w.instance
		if l.now.Before(w.shown) || !w.gone.IsZero() && !l.now.Before(w.gone) {
			continue
		}
		key := instancequery.ChangedKey(i.LastChangedDateTime, i.ID)
		within := i.AppID == span.AppID && i.Workflow.CurrentStep == span.Step && i.Shard == span.Shard
		if span.Kind == instancequery.ByOwner {
			key, within = i.ID, i.InstanceOwnerID == span.InstanceOwnerID
		}
		if within && key >= span.From && (span.To == "" || key <= span.To) {
			rows = append(rows, merge.Row[instancequery.Row]{Key: key, Value: instancequery.RowOf(i)})
		}
	}
	slices.SortFunc(rows, func(a, b merge.Row[instancequery.Row]) int {
		if span.Order == merge.Descending {
			a, b = b, a
		}
		return cmp.Compare(a.Key, b.Key)
	})
	return rows[:min(limit, len(rows))], len(rows) > limit, nil
}

// TestPollersMissNothing runs pollers that keep the cursor of resume between polls, at any pace and
// with any page size. Instances change behind an index that lags by up to the permitted time, and
// the clock of the reader may be ahead. After some time without changes, each poller must have the
// current version of every instance.
func TestPollersMissNothing(t *testing.T) {
	const lag = 30 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most/time.Millisecond)).Draw(t, name)) * time.Millisecond
		}
		app := instancetest.NewApplication(1)
		index := &laggingIndex{now: instancetest.At}
		p := &instancetest.Population{Org: "nav", Apps: []*application.Application{app}}
		latest := map[int]int{} // number of an instance -> its latest write
		writeOnce := func() {
			n := rapid.IntRange(0, 5).Draw(t, "instance")
			i := &instance.Instance{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: app.ID, Version: 1}
			at := index.now
			written := at.Add(draw("written after", lag/2)) // the timestamp comes first
			if before, ok := latest[n]; ok {
				b := &index.writes[before]
				if !b.gone.IsZero() || index.now.Before(b.shown) {
					return // the writer would have lost the race
				}
				*i = *b.instance
				i.Version++
				if !at.After(i.LastChangedDateTime) {
					at = i.LastChangedDateTime.Add(time.Microsecond)
				}
				b.gone = written.Add(draw("gone after", lag/2-time.Millisecond))
			}
			i.LastChangedDateTime = at
			i.Workflow.CurrentStep = rapid.SampledFrom(app.Workflow.Steps).Draw(t, "step").Name
			latest[n] = len(index.writes)
			index.writes = append(index.writes, write{instance: i, shown: written.Add(draw("shown after", lag/2-time.Millisecond))})
		}
		type poller struct {
			page string
			seen map[string]int64
		}
		pollers := []poller{{seen: map[string]int64{}}, {seen: map[string]int64{}}}
		pollOnce := func(poller *poller) (atEnd bool) {
			size := rapid.IntRange(1, 4).Draw(t, "size")
			result := p.PageAt(t, index, nil, size, poller.page, index.now.Add(draw("the clock is ahead by", lag)))
			for _, i := range result.Instances {
				poller.seen[i.ID] = max(poller.seen[i.ID], i.Version)
			}
			poller.page = cmp.Or(result.Next, result.Resume)
			return result.Next == ""
		}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(1, 30).Draw(t, "steps") {
				switch rapid.IntRange(0, 3).Draw(t, "step") {
				case 0:
					writeOnce()
				case 1:
					index.now = index.now.Add(draw("time passes", 20*time.Second))
				default:
					pollOnce(&pollers[rapid.IntRange(0, 1).Draw(t, "poller")])
				}
			}
			index.now = index.now.Add(2 * lag)
			for n := range pollers {
				// Finish the current crawl, then poll once more from resume. Only this poll must be
				// complete.
				for range 2 {
					for pages := 0; !pollOnce(&pollers[n]); pages++ {
						if pages > 100 {
							t.Fatal("the crawl does not end")
						}
					}
				}
				for _, at := range latest {
					i := index.writes[at].instance
					if pollers[n].seen[i.ID] != i.Version {
						t.Fatalf("poller %d has seen version %d of %s, which is at %d (changed %v, shown %v, now %v)", n,
							pollers[n].seen[i.ID], i.ID, i.Version, i.LastChangedDateTime, index.writes[at].shown, index.now)
					}
				}
			}
		}
	})
}

func TestCursorOfMovedRow(t *testing.T) {
	store := &instancetest.Memory{}
	p := instancetest.NewPopulation(t, store, rand.Uint64(), 0)
	for n := range 5 {
		i := p.Add(t, store, instancetest.At.Add(time.Duration(n)*time.Minute))
		_, err := store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			i.Status = instance.Status{}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := p.Page(t, store, nil, 2, "")
	moved := first.Instances[1]
	_, err := store.Mutate(t.Context(), moved.InstanceOwnerID, moved.ID, func(i *instance.Instance) ([]event.Event, error) {
		i.LastChangedDateTime = instancetest.At.Add(time.Hour) // moves the row to the end
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	second := p.Page(t, store, nil, 2, first.Next)
	if want := []string{p.Instances[2].ID, p.Instances[3].ID}; strings.Join(instancetest.IDs(second), " ") != strings.Join(want, " ") {
		t.Errorf("the page after a moved row: %v, want %v", instancetest.IDs(second), want)
	}
	third := p.Page(t, store, nil, 2, second.Next)
	if want := []string{p.Instances[4].ID, moved.ID}; strings.Join(instancetest.IDs(third), " ") != strings.Join(want, " ") || third.Next != "" {
		t.Errorf("the last page: %v, want %v", instancetest.IDs(third), want)
	}
}
