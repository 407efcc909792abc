package eventhttp

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

// poller is a client that follows Link.
type poller struct {
	step  string
	since time.Time // zero: start at the beginning
	query string
	seen  []string
}

// TestPollersMissNothing records events in any order and with any delay, and hides some of them for
// a while. Pollers with and without filters follow the feed at any pace. At the end each poller
// must have received all matching events once and in feed order.
func TestPollersMissNothing(t *testing.T) {
	steps := []string{"FormFilling", "Submit", "Archived"}
	rapid.Check(t, func(t *rapid.T) {
		e := newEnv()
		base := e.clock
		var waiting []event.Encoded
		for n := range rapid.IntRange(1, 6).Draw(t, "instances") {
			guid := uuid.New().String()
			for number := range rapid.IntRange(1, len(steps)).Draw(t, fmt.Sprintf("events of %d", n)) {
				at := base.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "made at, s")) * time.Second)
				waiting = append(waiting, eventtest.Document(app, guid, number+1, at, steps[number]))
			}
		}
		e.clock = base.Add(10 * time.Minute) // no event is recorded before its change
		pollers := make([]*poller, 3)
		for n := range pollers {
			p := &poller{}
			values := url.Values{"size": {fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "size"))}}
			if rapid.Bool().Draw(t, "filtered") {
				p.step = rapid.SampledFrom(steps).Draw(t, "step")
				values.Set("workflow.currentStep", p.step)
			}
			if rapid.Bool().Draw(t, "from a time") {
				p.since = base.Add(time.Duration(rapid.IntRange(-60, 700).Draw(t, "since, s")) * time.Second)
				values.Set("after", p.since.Format(time.RFC3339))
			}
			p.query = values.Encode()
			pollers[n] = p
		}
		poll := func(p *poller) {
			got := e.get(p.query)
			if got.Code != 200 || got.code != "" {
				t.Fatalf("%s: %d %s", p.query, got.Code, got.code)
			}
			p.seen = append(p.seen, got.ids...)
			p.query = got.next
		}
		for range rapid.IntRange(0, 40).Draw(t, "actions") {
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				e.Append(context.Background(), rapid.SliceOfN(rapid.SampledFrom(waiting), 1, 5).Draw(t, "batch"))
				e.clock = e.clock.Add(time.Duration(rapid.IntRange(-30, 90).Draw(t, "clock, s")) * time.Second)
			case 1:
				e.HideFrom(app, 0)
				all, _ := e.Read(context.Background(), app, event.Position{}, 1000)
				if len(all) > 0 && rapid.Bool().Draw(t, "hidden") {
					e.HideFrom(app, hideable(t, pollers, int64(len(all))))
				}
			default:
				poll(pollers[rapid.IntRange(0, len(pollers)-1).Draw(t, "poller")])
			}
		}
		e.HideFrom(app, 0)
		e.Append(context.Background(), waiting)
		records, _ := e.Read(context.Background(), app, event.Position{}, 1000)
		for n, p := range pollers {
			for range len(records) + 1 {
				poll(p)
			}
			var want []string
			for _, record := range records {
				ev := record.Document.Event
				if (p.step == "" || ev.WorkflowStep == p.step) && ev.At.After(p.since) {
					want = append(want, ev.ID)
				}
			}
			if fmt.Sprint(p.seen) != fmt.Sprint(want) {
				t.Fatalf("poller %d (step %q, since %v) saw\n%v\nwant\n%v", n, p.step, p.since, p.seen, want)
			}
		}
	})
}

// hideable draws a position that no poller has passed, or returns 0 if there is none.
func hideable(t *rapid.T, pollers []*poller, last int64) int64 {
	var passed int64
	for _, p := range pollers {
		values, _ := url.ParseQuery(p.query)
		if p, ok := decodePosition(values.Get("after"), app); ok {
			passed = max(passed, p.Seq)
		}
	}
	if passed >= last {
		return 0
	}
	return rapid.Int64Range(passed+1, last).Draw(t, "first hidden")
}
