package instancetest

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// Queries runs random queries over a population of n random instances, and compares every page with
// a filter over all instances. A failure shows the seed and the query.
func Queries(t *testing.T, store Store, seed uint64, n int) {
	p := NewPopulation(t, store, seed, n)
	t.Logf("population with seed %d", seed)
	rapid.Check(t, func(t *rapid.T) { p.check(t, store) })
}

var cursorForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (p *Population) check(t *rapid.T, index instancequery.Index) {
	q := p.drawQuery(t)
	want := q.expected(p)
	t.Logf("query %v", q.values)
	if len(q.impossible) > 0 {
		if _, err := instancequery.ParseFilter(q.values); !fault.HasCode(err, "parameter-invalid") {
			t.Fatalf("error %v, want one about %v", err, q.impossible)
		}
		for name := range q.impossible {
			delete(q.values, name)
			q.holds = slices.DeleteFunc(q.holds, func(c condition) bool { return c.name == name })
		}
		want = q.expected(p)
	}
	// Paging errors are likely if a page holds all rows, one fewer or one more.
	size := max(1, rapid.OneOf(rapid.IntRange(1, 7), rapid.Just(1000), rapid.SampledFrom([]int{len(want) - 1, len(want), len(want) + 1})).Draw(t, "size"))

	got := []string{}
	cursor := ""
	for pages := 1; ; pages++ {
		page := p.Page(t, index, q.values, size, cursor)
		ids := IDs(page)
		got = append(got, ids...)
		if full := len(got) == pages*size; page.Next != "" && (!full || len(got) >= len(want)) {
			t.Fatalf("page %d of size %d has %d instances and a next page; the total is %d", pages, size, len(ids), len(want))
		}
		if atEnd := page.Next == ""; (page.Resume != "") != (atEnd && !q.desc) {
			t.Fatalf("resume %q on a page with next %q, descending %v", page.Resume, page.Next, q.desc)
		}
		if page.Next == "" {
			break
		}
		if len(page.Next) > 4048 || !cursorForm.MatchString(page.Next) {
			t.Fatalf("cursor %q", page.Next)
		}
		cursor = page.Next
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	last := IDs(p.Page(t, index, q.values, size, instancequery.LastPage))
	if !slices.Equal(last, want[max(0, len(want)-size):]) {
		t.Fatalf("the last page of size %d: %v of %v", size, last, want)
	}
	number := rapid.IntRange(0, len(want)/size+1).Draw(t, "number")
	numbered := IDs(p.Page(t, index, q.values, size, strconv.Itoa(number)))
	if from := min(number*size, len(want)); !slices.Equal(numbered, want[from:min(from+size, len(want))]) {
		t.Fatalf("page %d of size %d: %v of %v", number, size, numbered, want)
	}
}

// Page queries one page, as an owner of the population's applications.
func (p *Population) Page(t TB, index instancequery.Index, values url.Values, size int, page string) instancequery.Page {
	t.Helper()
	return p.PageAt(t, index, values, size, page, At.Add(24*time.Hour))
}

// PageAt is Page at the given time.
func (p *Population) PageAt(t TB, index instancequery.Index, values url.Values, size int, page string, now time.Time) instancequery.Page {
	t.Helper()
	filter, err := instancequery.ParseFilter(values)
	if err != nil {
		t.Fatalf("%v: %v", values, err)
	}
	filter.Org, filter.VisibleAt = p.Org, p.VisibleAt
	query := instancequery.Query{Filter: filter, Values: values, Size: size}
	for _, app := range p.Apps {
		if len(filter.AppIDs) == 0 || slices.Contains(filter.AppIDs, app.ID) {
			query.Apps = append(query.Apps, app)
		}
	}
	if err := query.SetPage(page); err != nil {
		t.Fatalf("page %q: %v", page, err)
	}
	result, err := instancequery.Run(t.Context(), index, query, now)
	if err != nil {
		t.Fatalf("%v, page %q: %v", values, page, err)
	}
	if result.Instances == nil || len(result.Unreadable) > 0 {
		t.Fatalf("instances %v, unreadable %v", result.Instances, result.Unreadable)
	}
	return result
}

// IDs returns the ids of the instances on a page.
func IDs(page instancequery.Page) []string {
	ids := []string{}
	for _, i := range page.Instances {
		ids = append(ids, i.ID)
	}
	return ids
}
