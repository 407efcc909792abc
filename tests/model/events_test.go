package model

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

func (r *run) history() {
	i := r.instance()
	c, p := r.caller(i), r.path(i)
	p.App = ""
	after, size, v := 0, 100, url.Values{}
	if r.chance(40, "after") {
		after = rapid.IntRange(1, len(i.Events)).Draw(r.T, "event")
		v.Set("after", i.Events[after-1].ID())
	}
	if r.chance(40, "size") {
		size = draw(r, "size", 1, 2, 1000)
		v.Set("size", strconv.Itoa(size))
	}
	events, rejections := r.model.History(c, p, after)
	r.follow(c, p.String()+"/events?"+v.Encode(), size, events, rejections)
}

// follow reads events page by page to the end.
func (r *run) follow(c Caller, target string, size int, events []*Event, rejections Rejections) {
	for empty := 0; ; {
		g := r.send("events", c, request{method: "GET", path: target})
		r.check(g, Response{Rejections: rejections, Status: 200})
		if rejections != nil {
			return
		}
		page, _ := g.value.([]any)
		if len(page) > size || len(page) > len(events) {
			r.Fatalf("a page of %d events, at most %d of %d: %s", len(page), size, len(events), g.body)
		}
		for n, each := range page {
			r.learnEvent(events[n], each)
			if want := events[n].Document(r.model, c); !equal(each, want) {
				r.Fatalf("the event %v differs from the model:%s", want["id"], differences("", each, want))
			}
		}
		events = events[len(page):]
		next, rel, _ := strings.Cut(strings.TrimPrefix(g.header.Get("Link"), "<"), ">")
		if rel != `; rel="next"` || !strings.HasPrefix(next, system.BaseURL) {
			r.Fatalf("the link to the next page is %q", g.header.Get("Link"))
		}
		target = next
		if len(page) > 0 {
			continue
		}
		if len(events) == 0 {
			return
		}
		if empty++; empty > 200 { // a filter leaves some pages empty, but not all
			r.Fatalf("%d events are missing", len(events))
		}
	}
}

// feed reads the statistics and the whole feed of an application, and then a part of it.
func (r *run) feed() {
	app := draw(r, "application", r.apps...)
	c := r.owner(app)
	deliver.Lock()
	_, err := system.Deliver(r.Context())
	deliver.Unlock()
	if err != nil {
		r.Fatal(err)
	}
	events, rejections := r.model.Feed(c, app)
	path := "/storage/applications/" + app + "/events"
	r.statistics(c, app)
	if rejections != nil {
		r.follow(c, path, 100, nil, rejections)
		return
	}
	events = r.inOrder(c, app, path, events)

	v, size := url.Values{}, 100
	switch draw(r, "after", "", "date", "event", "future", "moment") {
	case "date":
		v.Set("after", "2019-03-30")
	case "event":
		if len(events) > 0 {
			n := rapid.IntRange(0, len(events)-1).Draw(r.T, "event")
			v.Set("after", events[n].ID())
			events = events[n+1:]
		}
	case "future":
		v.Set("after", "2100-01-01T00:00:00Z")
		events = nil
	case "moment":
		if len(events) > 0 {
			at := rapid.SampledFrom(events).Draw(r.T, "event").At
			v.Set("after", at.Format(time.RFC3339Nano))
			events = slices.DeleteFunc(slices.Clone(events), func(e *Event) bool { return !e.At.After(at) })
		}
	}
	if step := draw(r, "step", "", "Submit", "FormFilling", "Ukjent"); step != "" {
		v.Set("workflow.currentStep", step)
		events = slices.DeleteFunc(slices.Clone(events), func(e *Event) bool { return e.Step != step })
	}
	if r.chance(40, "by type") {
		types := rapid.SliceOfNDistinct(rapid.SampledFrom(eventTypes), 1, 3, rapid.ID).Draw(r.T, "types")
		v["eventType"] = types
		events = slices.DeleteFunc(slices.Clone(events), func(e *Event) bool { return !slices.Contains(types, e.Type) })
	}
	if r.chance(50, "size") {
		size = draw(r, "size", 3, 7, 1000)
		v.Set("size", strconv.Itoa(size))
	}
	r.follow(c, path+"?"+v.Encode(), size, events, nil)
}

// statistics reads the statistics of an application whose events are all delivered.
func (r *run) statistics(c Caller, app string) {
	counts, rejections := r.model.Statistics(c, app)
	g := r.send("statistics", c, request{method: "GET", path: "/storage/applications/" + app + "/statistics?days=" + draw(r, "days", "2", "366")})
	r.check(g, Response{Rejections: rejections, Status: 200})
	if rejections != nil {
		return
	}
	var got struct {
		AsOf   time.Time
		Steps  map[string]int
		PerDay []struct {
			Day     string
			Created int
			Steps   map[string]int
		}
	}
	if err := json.Unmarshal(g.body, &got); err != nil || len(got.PerDay) > 2 || got.AsOf.Before(g.sent.Add(-time.Millisecond)) {
		r.Fatalf("statistics %s: %v", g.body, err)
	}
	have := Statistics{Steps: got.Steps, Entered: map[string]int{}}
	for _, day := range got.PerDay {
		have.Created += day.Created
		for step, n := range day.Steps {
			have.Entered[step] += n
		}
	}
	if !reflect.DeepEqual(have, counts) {
		r.Fatalf("statistics %v differ from the model: %v", have, counts)
	}
}

// inOrder reads a feed and returns the events in its order, which the recorder chooses for
// different instances. The order of earlier reads must not change. Every event occurs once, and the
// events of an instance are in order.
func (r *run) inOrder(c Caller, app, path string, events []*Event) []*Event {
	byID := map[string]*Event{}
	for _, e := range events {
		byID[e.ID()] = e
	}
	g := r.send("events", c, request{method: "GET", path: path + "?size=1000"})
	list, ok := g.value.([]any)
	if g.status != 200 || !ok || len(list) != len(events) {
		r.Fatalf("the feed has %d events, want %d: %s", len(list), len(events), g.body)
	}
	var ordered []*Event
	var ids []string
	numbers := map[*Instance]int{}
	for n, each := range list {
		id, _ := each.(map[string]any)["id"].(string)
		e := byID[id]
		if e == nil {
			r.Fatalf("the feed has the unknown or repeated event %s", id)
		}
		delete(byID, id)
		if known := r.feeds[app]; n < len(known) && known[n] != id {
			r.Fatalf("the feed has %s at %d, where it had %s before", id, n, known[n])
		}
		if numbers[e.instance]++; e.Number != numbers[e.instance] {
			r.Fatalf("event %s has position %d in its instance", id, numbers[e.instance])
		}
		r.learnEvent(e, each)
		if want := e.Document(r.model, c); !equal(each, want) {
			r.Fatalf("the event %v differs from the model:%s", want["id"], differences("", each, want))
		}
		ordered, ids = append(ordered, e), append(ids, id)
	}
	r.feeds[app] = ids
	return ordered
}

var eventTypes = []string{
	"WorkflowStateChange", "DataChanged", "InstanceChanged", "DownloadConfirmed", "InstanceDeleted", "InstanceUndeleted", "InstanceVisible",
	"DeadlineNear", "DeadlinePassed", "LegalHoldChanged", "SubstatusChanged", "ReadStatusChanged",
}

// learnEvent learns the time of an event that is not in the document of its instance.
func (r *run) learnEvent(e *Event, value any) {
	document, _ := value.(map[string]any)
	r.learnOne(&e.At, document["at"])
}

// agenda runs the effects of time, which concern the instances of all runs.
func (r *run) agenda() {
	before := time.Now().UTC()
	if _, err := system.Function("agenda-run").Invoke(r.Context(), []byte(`{}`)); err != nil {
		r.Fatal(err)
	}
	for each := range live.runs {
		each.model.Now = before
		if each.passedBefore(time.Now()) {
			each.lost.Store(true)
		}
		each.model.RunAgenda(before)
		each.lines = append(each.lines, "the agenda runs")
	}
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
