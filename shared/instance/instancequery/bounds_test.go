package instancequery

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// TestStoredBoundsDoNotDecay stores a bound on each of many pages. The stored bound must never be
// after the real one, and must stay the same until the crawl reaches it.
func TestStoredBoundsDoNotDecay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Uint64Range(0, 1<<ordinalBits-2).Draw(t, "at")
		next := rapid.Uint64Range(at+1, 1<<ordinalBits-1).Draw(t, "next")
		first := stored(at, next)
		if first <= at || first > next {
			t.Fatalf("%d is stored as %d at %d", next, first, at)
		}
		for range rapid.IntRange(0, 10).Draw(t, "pages") {
			at = rapid.Uint64Range(at, first-1).Draw(t, "page")
			if again := stored(at, first); again != first {
				t.Fatalf("%d became %d at %d", first, again, at)
			}
		}
	})
}

// stored returns the bound that a cursor at a position stores for n.
func stored(at, n uint64) uint64 {
	exponent, mantissa := nearest(at, n)
	return ordinalFrom(at, exponent, mantissa)
}

// crawled is an index of instances without lag that counts reads.
type crawled struct {
	instances []*instance.Instance
	mu        sync.Mutex // ranges are read concurrently
	ranges    map[string][]merge.Row[Row]
	reads     int
}

func rangeOf(appID, step string) string { return appID + "#" + step }

// sort fills the ranges with the instances.
func (c *crawled) sort() {
	c.ranges = map[string][]merge.Row[Row]{}
	for _, i := range c.instances {
		key := rangeOf(i.AppID, i.Workflow.CurrentStep)
		c.ranges[key] = append(c.ranges[key], merge.Row[Row]{Key: ChangedKey(i.LastChangedDateTime, i.ID), Value: RowOf(i)})
	}
	for _, rows := range c.ranges {
		slices.SortFunc(rows, func(a, b merge.Row[Row]) int { return cmp.Compare(a.Key, b.Key) })
	}
}

func (c *crawled) Read(_ context.Context, span KeyRange, limit int) (rows []merge.Row[Row], more bool, err error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	for _, row := range c.ranges[rangeOf(span.AppID, span.Step)] {
		if row.Key >= span.From && (span.To == "" || row.Key <= span.To) {
			rows = append(rows, row)
		}
	}
	if span.Order == merge.Descending {
		slices.Reverse(rows)
	}
	return rows[:min(limit, len(rows))], len(rows) > limit, nil
}

// wideApps returns applications with three steps each.
func wideApps(count int) (apps []*application.Application) {
	for n := range count {
		app := &application.Application{ID: fmt.Sprintf("nav/app%03d", n), Org: "nav"}
		app.SetDefaults()
		apps = append(apps, app)
	}
	return apps
}

// TestCrawlOfWideQuery crawls many ranges in either order, with times from microseconds to years
// apart. Between the pages instances change and applications are registered. Each page must be the
// same without the bounds of its cursor. The crawl must return every instance that does not change,
// in order, and no version twice.
func TestCrawlOfWideQuery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		order := merge.Order(rapid.Bool().Draw(t, "descending"))
		apps := wideApps(rapid.IntRange(6, 40).Draw(t, "applications"))
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		index := &crawled{}
		place := func(i *instance.Instance) {
			app := apps[min(random.IntN(len(apps)), random.IntN(len(apps)))]
			i.AppID, i.Workflow.CurrentStep = app.ID, app.Workflow.Steps[random.IntN(3)].Name
		}
		// upTo returns a random duration of a random scale, in microseconds.
		upTo := func(limit time.Duration) time.Duration {
			scale := max(limit.Microseconds()>>random.IntN(48), 1)
			return time.Duration(random.Int64N(scale)) * time.Microsecond
		}
		unchanged := map[string]bool{}
		for n := range rapid.IntRange(0, 120).Draw(t, "instances") {
			i := &instance.Instance{ID: fmt.Sprintf("%08x-0000-7000-8000-%012d", random.Uint32(), n), LastChangedDateTime: now.Add(-upTo(20 * 365 * 24 * time.Hour))}
			place(i)
			unchanged[i.ID] = true
			index.instances = append(index.instances, i)
		}
		var keys []string // of the returned instances
		seen := map[string]bool{}
		q := Query{Filter: Filter{Org: "nav", Order: order}, Scope: "nav"}
		for page := ""; ; {
			index.sort()
			q.Apps, q.Size = apps, rapid.IntRange(1, 30).Draw(t, "size")
			run := func(page string) Page {
				q := q
				if err := q.SetPage(page); err != nil {
					t.Fatal(err)
				}
				result, err := Run(t.Context(), index, q, now)
				if err != nil {
					t.Fatal(err)
				}
				return result
			}
			result, all := run(page), run(q.WithoutBounds(page))
			if !slices.Equal(result.Instances, all.Instances) || q.WithoutBounds(result.Next) != q.WithoutBounds(all.Next) || result.Resume != all.Resume {
				t.Fatalf("with bounds %d instances, next %q, without %d, next %q", len(result.Instances), result.Next, len(all.Instances), all.Next)
			}
			for _, i := range result.Instances {
				keys = append(keys, ChangedKey(i.LastChangedDateTime, i.ID))
				version := fmt.Sprint(i.ID, i.Version)
				if seen[version] {
					t.Fatalf("%s is returned twice", version)
				}
				seen[version] = true
			}
			if page = result.Next; page == "" {
				break
			}
			now = now.Add(upTo(30 * 24 * time.Hour))
			switch rapid.IntRange(0, 30).Draw(t, "registered") {
			case 0:
				apps = wideApps(len(apps) + 1)
			case 1: // another plan with the same number of ranges
				apps = slices.Clone(apps)
				slices.Reverse(apps)
			}
			for range rapid.IntRange(0, q.Size-1).Draw(t, "changes") { // fewer than a page, so that the crawl ends
				if len(index.instances) == 0 {
					break
				}
				n := random.IntN(len(index.instances))
				changed := *index.instances[n]
				changed.Version++
				changed.LastChangedDateTime = now.Add(-upTo(indexLag)) // it appears this late
				if changed.LastChangedDateTime.After(index.instances[n].LastChangedDateTime) {
					place(&changed)
					delete(unchanged, changed.ID)
					index.instances[n] = &changed
				}
			}
		}
		if order == merge.Descending {
			slices.Reverse(keys)
		}
		if !slices.IsSorted(keys) {
			t.Fatalf("not in order: %v", keys)
		}
		for id := range unchanged {
			if !seen[fmt.Sprint(id, 0)] {
				t.Fatalf("%s did not change and is missing", id)
			}
		}
	})
}

// TestFollowingPagesOfAnOrg crawls 500 applications with three steps each. The first page reads
// every range. The following pages must read little more than the ranges of their rows, and their
// cursors must be small. In ascending order the last page reads every range again.
func TestFollowingPagesOfAnOrg(t *testing.T) {
	const size, count = 100, 3000
	apps := wideApps(500)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, skew := range map[string]float64{"even": 1, "most instances in a few applications": 8} {
		random := rand.New(rand.NewPCG(1, 0))
		index := &crawled{}
		for n := range count {
			app := apps[int(float64(len(apps))*math.Pow(random.Float64(), skew))]
			i := &instance.Instance{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: app.ID}
			i.Workflow.CurrentStep = app.Workflow.Steps[random.IntN(3)].Name
			i.LastChangedDateTime = now.Add(-time.Duration(random.Int64N(365*24*3600*1e6)) * time.Microsecond)
			index.instances = append(index.instances, i)
		}
		index.sort()
		for _, order := range []merge.Order{merge.Ascending, merge.Descending} {
			found, reads, ranges, longest := 0, 0, 0, 0
			for page, pages := "", 0; pages == 0 || page != ""; pages++ {
				q := Query{Filter: Filter{Org: "nav", Order: order}, Scope: "nav", Apps: apps, Size: size}
				if err := q.SetPage(page); err != nil {
					t.Fatal(err)
				}
				index.reads = 0
				result, err := Run(t.Context(), index, q, now)
				if err != nil {
					t.Fatal(err)
				}
				found += len(result.Instances)
				page = result.Next
				longest = max(longest, len(page))
				if pages > 0 && page != "" {
					reads += index.reads
					of := map[string]bool{}
					for _, i := range result.Instances {
						of[rangeOf(i.AppID, i.Workflow.CurrentStep)] = true
					}
					ranges += len(of)
				}
			}
			if found != count || 3*reads > 4*ranges || longest > 3000 {
				t.Errorf("%s, descending %v: %d of %d instances, %d reads for %d ranges with a row of a page, cursors of up to %d characters",
					name, order, found, count, reads, ranges, longest)
			}
		}
	}
}
