package eventtest

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
)

// Store is the pair of tables under test and a way to put events into the outbox.
type Store interface {
	Put(ctx context.Context, doc event.Encoded) error
	Scan(ctx context.Context, before time.Time) iter.Seq2[event.Backlog, error]
	Pending(ctx context.Context, docs []event.Encoded) (int, error)
	Append(ctx context.Context, docs []event.Encoded) []event.Result
	ForInstance(ctx context.Context, instanceGuid string, after, maxBytes int) ([]event.Encoded, error)
	First(ctx context.Context, instanceGuid string) (doc event.Encoded, found bool, err error)
	SubjectOf(ctx context.Context, instanceGuid string) (subject event.Subject, found bool, err error)
	History(ctx context.Context, instanceGuid string, after, limit, maxBytes int) ([]event.Encoded, error)
	Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error)
	Reaches(ctx context.Context, appID string, seq int64) (bool, error)
	PositionOfID(ctx context.Context, appID, eventID string) (at event.Position, found bool, err error)
	End(ctx context.Context, appID string) (event.Position, error)
	PositionOfTime(ctx context.Context, appID string, t time.Time) (event.Position, error)
	Counts(ctx context.Context, appID, first string) (event.Counts, time.Time, error)
	Take(ctx context.Context, org string, limit int, now, until time.Time) (*eventtable.Place, error)
	Release(ctx context.Context, org string, place *eventtable.Place) error
}

// start is the initial time of the suite's clock.
var start = time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)

// Conformance tests a store. open returns a store with the given clock. Its tables may have
// events of other tests, because each test uses its own applications and instances. No other test
// may write to the outbox during the suite.
func Conformance(t *testing.T, open func(t *testing.T, now func() time.Time) Store) {
	for name, test := range map[string]func(*suite){
		"an empty feed":                            testEmpty,
		"appended events are read":                 testAppend,
		"a duplicate is dropped":                   testDuplicate,
		"an out-of-order event waits":              testOutOfOrder,
		"a batch with all outcomes":                testMixed,
		"each application has its own feed":        testApplications,
		"many events":                              testMany,
		"large events":                             testLarge,
		"record times never decrease":              testClock,
		"a position by time skips no event":        testPositionOfTime,
		"the history of an instance":               testHistory,
		"the application and owner of an instance": testSubject,
		"many recorders and a reader concurrently": testConcurrent,
		"counts":                        testCounts,
		"the outbox is scanned":         testScan,
		"places of held requests":       testPlaces,
		"places of concurrent requests": testConcurrentPlaces,
		"random deliveries and pollers": testRandom,
	} {
		t.Run(name, func(t *testing.T) {
			clock := &Clock{at: start}
			s := &suite{T: t, Clock: clock, app: "nav/app-" + uuid.New().String()[:8]}
			s.Store = open(t, clock.Now)
			test(s)
		})
	}
}

// Clock is a clock that changes only when Move is called. It is safe for concurrent use.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// Now returns the current time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Move advances the clock by d, which may be negative.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// suite is one test of the suite.
type suite struct {
	*testing.T
	Store
	*Clock
	app string
}

// insert puts the events first to last of an instance into the outbox and returns them.
func (s *suite) insert(app, guid string, first, last int) []event.Encoded {
	s.Helper()
	var docs []event.Encoded
	for number := first; number <= last; number++ {
		doc := Document(app, guid, number, s.Now().Add(time.Duration(number)*time.Millisecond), "Step"+strconv.Itoa(number))
		if err := s.Put(s.Context(), doc); err != nil {
			s.Fatal(err)
		}
		docs = append(docs, doc)
	}
	return docs
}

// append appends the events and compares the outcomes, one letter for each event: r(ecorded),
// d(uplicate), o(ut of order), f(ailed).
func (s *suite) append(want string, docs ...event.Encoded) {
	s.Helper()
	var got strings.Builder
	for _, result := range s.Append(s.Context(), docs) {
		if (result.Outcome == event.Failed) != (result.Err != nil) {
			s.Errorf("outcome %v with error %v", result.Outcome, result.Err)
		}
		got.WriteByte(result.Outcome.String()[0])
	}
	if got.String() != want {
		s.Fatalf("outcomes %q, want %q", got.String(), want)
	}
}

// feed returns the complete feed of an application and checks that its positions are dense.
func (s *suite) feed(app string) []event.Record {
	s.Helper()
	records, err := s.Read(s.Context(), app, event.Position{}, 10_000)
	if err != nil {
		s.Fatal(err)
	}
	for n, record := range records {
		if record.Seq != int64(n)+1 {
			s.Fatalf("position %d holds %d", n+1, record.Seq)
		}
		if n > 0 && record.RecordedAt.Before(records[n-1].RecordedAt) {
			s.Fatalf("position %d is recorded before its predecessor", record.Seq)
		}
	}
	return records
}

// expect compares the feed of an application with the events and checks that the outbox has none
// of them.
func (s *suite) expect(app string, docs ...event.Encoded) {
	s.Helper()
	var want, got []string
	for _, doc := range docs {
		want = append(want, string(doc.JSON))
	}
	for _, record := range s.feed(app) {
		got = append(got, string(record.Document.JSON))
	}
	if !slices.Equal(got, want) {
		s.Fatalf("feed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	waiting := s.waiting()
	for _, doc := range docs {
		if slices.Contains(waiting, doc.Event.ID) {
			s.Fatalf("%s is in the feed and in the outbox", doc.Event.ID)
		}
	}
}

// waiting returns the ids of all events in the outbox.
func (s *suite) waiting() []string {
	s.Helper()
	docs, unreadable := s.scan(s.Now().AddDate(10, 0, 0))
	for _, doc := range docs {
		unreadable = append(unreadable, doc.Event.ID)
	}
	return unreadable
}

// scan returns the events of all pages of a scan. Each page must be in order, with its oldest
// event.
func (s *suite) scan(before time.Time) (docs []event.Encoded, unreadable []string) {
	s.Helper()
	for backlog, err := range s.Scan(s.Context(), before) {
		if err != nil {
			s.Fatal(err)
		}
		sorted := slices.Clone(backlog.Documents)
		event.Sort(sorted)
		for n, doc := range sorted {
			if backlog.Documents[n].Event.ID != doc.Event.ID {
				s.Errorf("a page of the outbox is not in order")
			}
			if backlog.Oldest.IsZero() || doc.Event.At.Before(backlog.Oldest) {
				s.Errorf("the oldest event of a page is of %v, but one is of %v", backlog.Oldest, doc.Event.At)
			}
		}
		docs, unreadable = append(docs, backlog.Documents...), append(unreadable, backlog.Unreadable...)
	}
	return docs, unreadable
}

func shuffled(docs []event.Encoded) []event.Encoded {
	docs = slices.Clone(docs)
	rand.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	return docs
}

func splitID(appID string) (org, app string) {
	org, app, _ = strings.Cut(appID, "/")
	return org, app
}
