package eventtest

import (
	"fmt"
	"reflect"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/event"
)

// poller follows a feed from its beginning at any speed.
type poller struct {
	at   event.Position
	seen []event.Record
}

// testRandom delivers the events of a few instances in random batches, like a queue: out of
// order, late, twice, or not before a sweep, over some days. Pollers read at random times and
// sizes. At the end the feed must have each event once, and the events of an instance in order.
// Every poller must have read exactly the feed, and the counts must be those of the feed. A
// failure reports the seed that reproduces it.
func testRandom(s *suite) {
	rapid.Check(s, func(t *rapid.T) {
		app := "nav/app-" + uuid.New().String()[:13]
		var docs []event.Encoded
		for n := range rapid.IntRange(1, 4).Draw(t, "instances") {
			events := rapid.IntRange(1, 5).Draw(t, fmt.Sprintf("events of %d", n))
			docs = append(docs, s.insert(app, uuid.New().String(), 1, events)...)
		}
		pollers := make([]poller, 2)
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "poll") {
				p := &pollers[rapid.IntRange(0, len(pollers)-1).Draw(t, "poller")]
				poll(t, s, app, p, rapid.IntRange(1, 5).Draw(t, "size"))
				continue
			}
			s.Move(time.Duration(rapid.IntRange(-2, 20).Draw(t, "hours")) * time.Hour)
			batch := rapid.SliceOfN(rapid.SampledFrom(docs), 1, 6).Draw(t, "batch")
			for n, result := range s.Append(s.Context(), batch) {
				if result.Outcome == event.Failed {
					t.Fatalf("event %d of an instance: %v", batch[n].Number, result.Err)
				}
			}
		}
		// The sweeps deliver the events that were lost or out of order.
		for _, result := range s.Append(s.Context(), docs) {
			if result.Outcome != event.Recorded && result.Outcome != event.Duplicate {
				t.Fatalf("outcome of the last delivery: %v, %v", result.Outcome, result.Err)
			}
		}
		feed, err := s.Read(s.Context(), app, event.Position{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(feed) != len(docs) {
			t.Fatalf("%d events in the feed, want %d", len(feed), len(docs))
		}
		checkOrder(t, feed)
		counts, _, err := s.Counts(s.Context(), app, "2000-01-01")
		if want := CountsOf(feed, "2000-01-01"); err != nil || !reflect.DeepEqual(counts, want) {
			t.Fatalf("counts %v, %v; want %v", counts, err, want)
		}
		for n := range pollers {
			for before := -1; len(pollers[n].seen) != before; {
				before = len(pollers[n].seen)
				poll(t, s, app, &pollers[n], 3)
			}
			if len(pollers[n].seen) != len(feed) {
				t.Fatalf("a poller saw %d events of %d", len(pollers[n].seen), len(feed))
			}
			for at, record := range pollers[n].seen {
				if record.Document.Event.ID != feed[at].Document.Event.ID {
					t.Fatalf("a poller saw another event at position %d", at+1)
				}
			}
		}
	})
}

func poll(t *rapid.T, s *suite, app string, p *poller, size int) {
	records, err := s.Read(s.Context(), app, p.at, size)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) > size {
		t.Fatalf("%d events on a page of %d", len(records), size)
	}
	p.seen = append(p.seen, records...)
	if len(records) > 0 {
		p.at = records[len(records)-1].Position
	}
}
