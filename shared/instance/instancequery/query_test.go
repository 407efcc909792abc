package instancequery_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/merge"
)

func TestQueriesReturnTheMatchingInstances(t *testing.T) {
	for _, n := range []int{0, 1, 12, 80} {
		instancetest.Queries(t, &instancetest.Memory{}, rand.Uint64(), n)
	}
}

// row is a row of the fake index.
type row = merge.Row[instancequery.Row]

// rows is an index with a single partition that counts reads and returned rows.
type rows struct {
	all      []row      // sorted by key
	mu       sync.Mutex // ranges are read concurrently
	spans    []instancequery.KeyRange
	returned int
}

func (r *rows) Read(_ context.Context, span instancequery.KeyRange, limit int) (page []row, more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, span)
	byKey := func(r row, key string) int { return strings.Compare(r.Key, key) }
	from, _ := slices.BinarySearchFunc(r.all, span.From, byKey)
	to := len(r.all)
	if span.To != "" {
		to, _ = slices.BinarySearchFunc(r.all, span.To+"\x00", byKey)
	}
	page = r.all[from:max(from, to)]
	if span.Order == merge.Descending {
		page = slices.Clone(page)
		slices.Reverse(page)
	}
	n := min(limit, len(page))
	r.returned += n
	return page[:n], len(page) > n, nil
}

// population returns an index of n instances in one step of one application, each modified by
// change, and a population with the application.
func population(n int, change func(n int, i *instance.Instance)) (*rows, *instancetest.Population) {
	app := instancetest.NewApplication(1)
	r := &rows{}
	for n := range n {
		i := &instance.Instance{
			ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), AppID: app.ID, LastChangedDateTime: instancetest.At.Add(time.Duration(n) * time.Second),
			Workflow: instance.Workflow{CurrentStep: "Submit", SubmittedDateTime: &instancetest.At}, Submitted: true,
		}
		change(n, i)
		r.all = append(r.all, row{Key: instancequery.ChangedKey(i.LastChangedDateTime, i.ID), Value: instancequery.RowOf(i)})
	}
	return r, &instancetest.Population{Org: "nav", Apps: []*application.Application{app}}
}

// TestPageOfOnePartitionIsOneRead checks the cost of a page at any depth: one read of its
// instances, the row after them, and the last row of the previous page.
func TestPageOfOnePartitionIsOneRead(t *testing.T) {
	index, p := population(500, func(int, *instance.Instance) {})
	for _, order := range []string{"asc", "desc"} {
		for _, kind := range []map[string][]string{{}, {"label": {"gr"}}, {"downloadConfirmed": {"false"}}} {
			for n := range index.all {
				i, _ := index.all[n].Value()
				i.Labels, i.Data = []string{"gr"}, []instance.DataElement{{}}
			}
			kind["workflow.currentStep"], kind["order"] = []string{"Submit"}, []string{order}
			page := ""
			for pages := range 5 {
				index.spans, index.returned = nil, 0
				result := p.Page(t, index, kind, 100, page)
				if len(result.Instances) != 100 || len(index.spans) != 1 || index.returned > 102 || result.Examined != 100 {
					t.Errorf("%v, page %d: %d instances of %d examined by %d reads of %d rows", kind, pages,
						len(result.Instances), result.Examined, len(index.spans), index.returned)
				}
				page = result.Next
			}
			if page != "" {
				t.Errorf("%v: a cursor after the last page", kind)
			}
		}
	}
}

// TestQueryReadsTheRightIndex checks the index and the number of ranges that queries read.
func TestQueryReadsTheRightIndex(t *testing.T) {
	for name, test := range map[string]struct {
		values map[string][]string
		kind   instancequery.Kind
		spans  int
	}{
		"everything":        {nil, instancequery.ByStep, 3},
		"a step":            {map[string][]string{"workflow.currentStep": {"Submit"}}, instancequery.ByStep, 1},
		"completed":         {map[string][]string{"workflow.isCompleted": {"true"}}, instancequery.ByStep, 1},
		"not archived":      {map[string][]string{"status.isArchived": {"false"}}, instancequery.ByStep, 2},
		"contradiction":     {map[string][]string{"status.isArchived": {"false"}, "workflow.isCompleted": {"true"}}, 0, 0},
		"unknown step":      {map[string][]string{"workflow.currentStep": {"Elsewhere"}}, 0, 0},
		"work queue":        {map[string][]string{"downloadConfirmed": {"false"}, "status.isArchived": {"true"}}, instancequery.ByUnconfirmed, 1},
		"a label in a step": {map[string][]string{"workflow.currentStep": {"Submit"}, "label": {"gr"}}, instancequery.ByLabel, 1},
		"two labels":        {map[string][]string{"workflow.currentStep": {"Submit"}, "label": {"gr,x2"}}, instancequery.ByLabel, 2},
		"one party":         {map[string][]string{"instanceOwnerId": {"50012"}, "label": {"gr"}}, instancequery.ByOwner, 1},
	} {
		index, p := population(0, nil)
		if got := p.Page(t, index, test.values, 10, ""); len(got.Instances) > 0 || got.Next != "" {
			t.Errorf("%s: %v", name, got)
		}
		for _, span := range index.spans {
			if span.Kind != test.kind {
				t.Errorf("%s: read %+v", name, span)
			}
		}
		if len(index.spans) != test.spans {
			t.Errorf("%s: %d reads, want %d", name, len(index.spans), test.spans)
		}
	}
}

// TestUnreadableRows checks that a page omits and reports rows that cannot be decoded, and is full
// nevertheless.
func TestUnreadableRows(t *testing.T) {
	index, p := population(10, func(int, *instance.Instance) {})
	for _, n := range []int{0, 4, 5, 9} {
		index.all[n].Value = func() (*instance.Instance, error) { return nil, errors.New("unreadable") }
	}
	query := instancequery.Query{Apps: p.Apps, Size: 3}
	query.Filter.Step = "Submit"
	first, err := instancequery.Run(t.Context(), index, query, instancetest.At)
	if err != nil || len(first.Instances) != 3 || len(first.Unreadable) != 3 || first.Next == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	if err := query.SetPage(first.Next); err != nil {
		t.Fatal(err)
	}
	second, err := instancequery.Run(t.Context(), index, query, instancetest.At)
	if err != nil || len(second.Instances) != 3 || len(second.Unreadable) != 1 || second.Next != "" {
		t.Errorf("%+v, %v", second, err)
	}
}

// TestRareMatch uses a filter without an index that matches one instance. Each page must end after
// the limit of examined rows and return a cursor, until the query has examined all rows.
func TestRareMatch(t *testing.T) {
	const instances = 50_000
	index, p := population(instances, func(n int, i *instance.Instance) { i.Status.IsSoftDeleted = n != instances-1 })
	page, pages := "", 0
	for {
		result := p.Page(t, index, nil, 1, page)
		pages++
		if result.Examined > 20_000 {
			t.Fatalf("%d rows examined for one page", result.Examined)
		}
		if page = result.Next; page == "" {
			if len(result.Instances) != 1 {
				t.Errorf("the match is not found: %v", result)
			}
			break
		}
	}
	if pages != 3 {
		t.Errorf("%d pages", pages)
	}
	if reads := len(index.spans); reads > instances/50 {
		t.Errorf("%d reads in series for %d rows", reads, instances)
	}
}

// TestCursorsNameNoForeignInstance queries the partition of a party, which has the instances of
// all organisations and those that the party's users cannot see yet. No cursor may name an
// instance that the caller cannot see, and the caller must find all others.
func TestCursorsNameNoForeignInstance(t *testing.T) {
	now, later := instancetest.At, instancetest.At.Add(time.Hour)
	t.Run("owner", func(t *testing.T) {
		cursorsNameNoForeignInstance(t, &instancetest.Population{Org: "nav"}, func(i *instance.Instance) { i.AppID = "skd/app2018" })
	})
	t.Run("user", func(t *testing.T) {
		cursorsNameNoForeignInstance(t, &instancetest.Population{VisibleAt: now}, func(i *instance.Instance) { i.VisibleDateTime = &later })
	})
}

func cursorsNameNoForeignInstance(t *testing.T, p *instancetest.Population, hide func(*instance.Instance)) {
	const instances = 45_000 // more than two pages examine
	own := []int{2, 3, 7, 30_000, 44_000}
	index := &rows{}
	var all, foreign []string
	for n := range instances {
		i := &instance.Instance{ID: fmt.Sprintf("%08x-%04x-7000-8000-%012d", n>>16, n&0xffff, n+1), InstanceOwnerID: "50012", AppID: "nav/app2018"}
		if slices.Contains(own, n) {
			all = append(all, i.ID)
		} else {
			hide(i)
			foreign = append(foreign, i.ID[len("00000000-0000-"):])
		}
		index.all = append(index.all, row{Key: i.ID, Value: instancequery.RowOf(i)})
	}
	for _, order := range []string{"asc", "desc"} {
		for _, size := range []int{1, 2, 100} {
			values := url.Values{"instanceOwnerId": {"50012"}, "order": {order}}
			var found, cursors []string
			for page, pages := "", 0; page != "" || pages == 0; pages++ {
				result := p.Page(t, index, values, size, page)
				for _, i := range result.Instances {
					found = append(found, i.ID)
				}
				cursors = append(cursors, result.Next, result.Resume)
				if page = result.Next; pages > 20 {
					t.Fatal("the crawl does not end")
				}
			}
			if order == "desc" {
				slices.Reverse(found)
			}
			if !slices.Equal(found, all) {
				t.Errorf("%s, page size %d: found %v", order, size, found)
			}
			for _, cursor := range cursors {
				if b, err := base64.RawURLEncoding.DecodeString(cursor); err != nil || cursor != "" && slices.Contains(foreign, uuid.UUID(b[12:28]).String()[len("00000000-0000-"):]) {
					t.Errorf("%s, page size %d: a cursor names %v, %v", order, size, uuid.UUID(b[12:28]), err)
				}
			}
		}
	}
}

// TestPageFitsInAResponse queries instances of the maximum size. Their pages must be shorter, so
// that the body as a JSON string fits in the 6 MB of a Lambda response.
func TestPageFitsInAResponse(t *testing.T) {
	view := instancehttp.View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.tt02.altinn.no", Platform: "https://platform.tt02.altinn.no"}}.For(auth.Caller{Org: "nav"})
	for name, elements := range map[string]int{"no data": 0, "ten elements": 10, "the maximum": instance.MaxDataElements} {
		instances := 1000 / max(1, elements/2)
		index, p := population(instances, func(_ int, i *instance.Instance) {
			i.AppID = "nav/" + strings.Repeat("a", 60)
			i.InstanceOwnerID = "123456789012345"
			i.CreatedBy, i.LastChangedBy = strings.Repeat("x", 31), strings.Repeat("x", 31)
			i.PresentationField = strings.Repeat("<", instance.MaxPresentationField)
			for n := range instance.MaxLabels {
				i.Labels = append(i.Labels, fmt.Sprintf("%02d%s", n, strings.Repeat("æ", instance.MaxLabelLength-2)))
			}
			for range elements {
				d := instance.DataElement{ID: i.ID, FormID: strings.Repeat("f", 64), ContentType: "text/plain;a=" + strings.Repeat("x", 200),
					FileName: strings.Repeat("ø", 120), CreatedBy: i.CreatedBy, LastChangedBy: i.CreatedBy, FileSize: 1 << 40, ApplicationOwner: &instance.ApplicationOwner{}}
				d.ApplicationOwner.Downloaded = slices.Repeat([]time.Time{instancetest.At.Add(time.Microsecond)}, 100)
				i.Data = append(i.Data, d)
			}
		})
		p.Apps[0].ID = "nav/" + strings.Repeat("a", 60)
		result := p.Page(t, index, nil, 1000, "")
		if len(result.Instances) == 0 || (len(result.Instances) < instances) != (result.Next != "") {
			t.Errorf("%s: %d instances, next %q", name, len(result.Instances), result.Next)
		}
		for n, i := range result.Instances {
			result.Instances[n] = view.Render(i)
		}
		body, err := json.Marshal(result.Instances)
		if err != nil {
			t.Fatal(err)
		}
		body, err = json.Marshal(string(body)) // the Lambda response carries the body as a string
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d instances in %d bytes", name, len(result.Instances), len(body))
		if len(body) > 6_000_000 {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}

// countingIndex is an empty index that records the number of reads and of concurrent reads.
type countingIndex struct{ concurrent, maxConcurrent, all atomic.Int64 }

func (c *countingIndex) Read(context.Context, instancequery.KeyRange, int) ([]row, bool, error) {
	defer c.concurrent.Add(-1)
	c.all.Add(1)
	for now := c.concurrent.Add(1); ; {
		if limit := c.maxConcurrent.Load(); now <= limit || c.maxConcurrent.CompareAndSwap(limit, now) {
			break
		}
	}
	time.Sleep(time.Millisecond)
	return nil, false, nil
}

// TestWideQueries checks that a query limits its concurrent reads and that a query of too many
// partitions returns an error.
func TestWideQueries(t *testing.T) {
	app := &application.Application{ID: "nav/wide", Org: "nav", IndexShards: application.MaxIndexShards}
	for n := range application.MaxSteps {
		app.Workflow.Steps = append(app.Workflow.Steps, application.Step{Name: fmt.Sprint("s", n), Completes: n > 0})
	}
	for _, test := range []struct {
		apps   int
		filter instancequery.Filter
		reads  int64 // 0: query-too-wide
	}{
		{1, instancequery.Filter{}, 1280}, {3, instancequery.Filter{}, 3840}, {4, instancequery.Filter{}, 0}, {4, instancequery.Filter{Step: "s1"}, 256},
		{1, instancequery.Filter{Labels: []string{"a", "b", "c"}}, 3840}, {1, instancequery.Filter{Labels: []string{"a", "b", "c", "d"}, Unconfirmed: true}, 0},
		{1, instancequery.Filter{Unconfirmed: true}, 1216}, // not the step s0, whose instances are drafts
		{50, instancequery.Filter{InstanceOwnerID: "50001"}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			index := &countingIndex{}
			q := instancequery.Query{Filter: test.filter, Size: 100, Apps: slices.Repeat([]*application.Application{app}, test.apps)}
			_, err := instancequery.Run(t.Context(), index, q, time.Now())
			if (test.reads == 0) != fault.HasCode(err, "query-too-wide") || err != nil && test.reads > 0 {
				t.Errorf("%d applications, %+v: %v", test.apps, test.filter, err)
			}
			reads, most := index.all.Load(), index.maxConcurrent.Load()
			if reads > test.reads || test.reads > 0 && reads == 0 || most != min(reads, 32) {
				t.Errorf("%d applications, %+v: %d reads, %d in parallel", test.apps, test.filter, reads, most)
			}
		})
	}
}

func TestPages(t *testing.T) {
	index, p := population(25, func(int, *instance.Instance) {})
	for page, want := range map[string]int{"0": 10, "1": 10, "2": 5, "3": 0, "1000": 0, "last": 10, "": 10} {
		if got := p.Page(t, index, nil, 10, page); len(got.Instances) != want {
			t.Errorf("page %q: %d instances, want %d", page, len(got.Instances), want)
		}
	}
	for _, page := range []string{"-1", "+1", "01", "1001", "999999999", "-0"} {
		q := instancequery.Query{Size: 10}
		if err := q.SetPage(page); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "next") {
			t.Errorf("page %q: %v, want an Invalid fault that mentions next", page, err)
		}
	}
}

func TestRunReturnsIndexErrors(t *testing.T) {
	_, p := population(0, nil)
	errIndex := errors.New("no connection")
	q := instancequery.Query{Apps: p.Apps, Size: 1}
	_, err := instancequery.Run(t.Context(), failingIndex{errIndex}, q, instancetest.At)
	if !errors.Is(err, errIndex) {
		t.Errorf("%v", err)
	}
	if err := q.SetPage("damaged"); err != nil {
		t.Fatal(err)
	}
	if _, err := instancequery.Run(t.Context(), failingIndex{errIndex}, q, instancetest.At); !fault.Is(err, fault.Invalid) {
		t.Errorf("a damaged cursor: %v, want Invalid before any read", err)
	}
}

// failingIndex is an index whose reads fail.
type failingIndex struct{ err error }

func (f failingIndex) Read(context.Context, instancequery.KeyRange, int) ([]row, bool, error) {
	return nil, false, f.err
}
