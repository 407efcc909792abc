package webhooktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/webhook"
)

// Store is a store with the whole contract.
type Store interface {
	webhook.Subscriptions
	webhook.Queue
}

// start is the time of the clock of a store under test.
var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// Conformance tests the contract of a store. open returns a store, which may have subscriptions of
// other organisations, with the given clock.
func Conformance(t *testing.T, open func(t *testing.T, now func() time.Time) Store) {
	for name, check := range map[string]func(*testing.T, *fixture){
		"subscriptions are stored whole":            storedWhole,
		"decisions of one organisation are serial":  serialDecisions,
		"a change is stored with its moves":         changed,
		"concurrent changes are all stored":         concurrentChanges,
		"a failed decision stores nothing":          failedDecision,
		"a deletion removes everything":             deleted,
		"a reader has one holder":                   oneHolder,
		"a wake-up is for events after the reader":  wakesForNewEvents,
		"a failing reader waits":                    failingWaits,
		"a holder gets the target of others":        handedOver,
		"a moved reader changes under its holder":   movedWhileHeld,
		"a lost lease saves nothing":                lostLease,
		"a target survives its holder":              targetSurvives,
		"the log keeps the latest deliveries":       logKept,
		"readers are due in order":                  dueInOrder,
		"a reader without a due time is never due":  neverDue,
		"a lease that has ended is free":            endedLease,
		"a repeated lease with the token is theirs": repeatedLease,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{now: start, org: "org" + strings.ToLower(fmt.Sprintf("%x", time.Now().UnixNano()))}
			f.Store = open(t, func() time.Time { return f.now })
			check(t, f)
		})
	}
}

// fixture is a store with a separate organisation and a clock.
type fixture struct {
	Store
	now time.Time
	org string
}

// add stores a subscription of the organisation and returns it. Its applications start at the
// position 5.
func (f *fixture) add(t *testing.T, id string, apps ...string) *webhook.Subscription {
	t.Helper()
	s := &webhook.Subscription{ID: f.id(id), Org: f.org, Endpoint: "https://example.com/" + id, Format: webhook.FormatEvent, Challenge: "c-" + id,
		Secrets: webhook.Secrets{Current: webhook.NewSecret()}, Created: f.now, Changed: f.now}
	moves := []webhook.Move{{AppID: webhook.VerificationApp, Start: &webhook.Start{}}}
	for _, app := range apps {
		s.AppIDs = append(s.AppIDs, f.org+"/"+app)
		moves = append(moves, webhook.Move{AppID: f.org + "/" + app, Start: &webhook.Start{At: event.Position{Seq: 5, Slot: 3}}})
	}
	err := f.Add(t.Context(), f.org, func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) { return s, moves, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// id returns the id of a subscription, which no other test uses.
func (f *fixture) id(name string) string { return f.org + "-" + name }

// key returns the key of the reader of an application.
func (f *fixture) key(id, app string) webhook.Key {
	return webhook.Key{Org: f.org, Subscription: f.id(id), AppID: f.org + "/" + app}
}

// lease leases a reader for a minute and checks the outcome.
func (f *fixture) lease(t *testing.T, key webhook.Key, token string, target int64, want webhook.Outcome) webhook.Reader {
	t.Helper()
	r, outcome, err := f.Lease(t.Context(), key, token, f.now, f.now.Add(time.Minute), target)
	if err != nil || outcome != want {
		t.Fatalf("lease %s to the target %d: outcome %d, want %d, %v", token, target, outcome, want, err)
	}
	return r
}

// save saves a reader and checks whether the holder must go on.
func (f *fixture) save(t *testing.T, r *webhook.Reader, release webhook.Release, want bool) {
	t.Helper()
	if again, err := f.Save(t.Context(), r, release); err != nil || again != want {
		t.Fatalf("save: again is %v, want %v, %v", again, want, err)
	}
}

func storedWhole(t *testing.T, f *fixture) {
	f.add(t, "one", "app")
	s, err := f.Change(t.Context(), f.org, f.id("one"), func(s *webhook.Subscription) ([]webhook.Move, error) {
		s.EventTypes, s.Step, s.Verified, s.PausedBy, s.Format = []string{event.DataChanged}, "Submit", true, webhook.PausedGone, webhook.FormatCloudEvent
		s.Secrets.Rotate(f.now)
		return nil, nil
	})
	if err != nil || s.Version != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	f.now = f.now.Add(time.Second)
	second := f.add(t, "two", "app")
	if stored, err := f.Get(t.Context(), f.org, f.id("one")); err != nil || !reflect.DeepEqual(stored, s) {
		t.Errorf("got %+v, want %+v, %v", stored, s, err)
	}
	if all, err := f.List(t.Context(), f.org); err != nil || !reflect.DeepEqual(all, []*webhook.Subscription{s, second}) {
		t.Errorf("the list is %+v, %v", all, err)
	}
	for _, other := range [][2]string{{f.org, f.id("three")}, {f.org + "x", f.id("one")}} {
		if stored, err := f.Get(t.Context(), other[0], other[1]); stored != nil || err != nil {
			t.Errorf("%v: got %+v, %v", other, stored, err)
		}
	}
	readers, err := f.Readers(t.Context(), f.id("one"))
	if err != nil || len(readers) != 2 || readers[0].Key != f.key("one", "app") || readers[0].At != (event.Position{Seq: 5, Slot: 3}) ||
		readers[1].AppID != webhook.VerificationApp || !readers[0].Due.Equal(start) {
		t.Errorf("the readers are %+v, %v", readers, err)
	}
}

// serialDecisions adds subscriptions at the same time, of which only three may exist.
func serialDecisions(t *testing.T, f *fixture) {
	full := errors.New("full")
	var wait sync.WaitGroup
	results := make([]error, 8)
	for n := range results {
		wait.Go(func() {
			results[n] = f.Add(t.Context(), f.org, func(existing []*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
				if len(existing) == 3 {
					return nil, nil, full
				}
				return &webhook.Subscription{ID: f.id(fmt.Sprint(n)), Org: f.org, Created: start, Changed: start}, nil, nil
			})
		})
	}
	wait.Wait()
	rejected := 0
	for _, err := range results {
		if errors.Is(err, full) {
			rejected++
		} else if err != nil {
			t.Error(err)
		}
	}
	if all, err := f.List(t.Context(), f.org); err != nil || len(all) != 3 || rejected != 5 {
		t.Errorf("%d subscriptions and %d rejected, %v", len(all), rejected, err)
	}
}

func changed(t *testing.T, f *fixture) {
	f.add(t, "one", "a", "b")
	f.now = f.now.Add(time.Hour)
	_, err := f.Change(t.Context(), f.org, f.id("one"), func(s *webhook.Subscription) ([]webhook.Move, error) {
		s.AppIDs = []string{f.org + "/b", f.org + "/c"}
		return []webhook.Move{{AppID: f.org + "/a", Remove: true}, {AppID: f.org + "/b"},
			{AppID: f.org + "/c", Start: &webhook.Start{At: event.Position{Seq: 9}, Since: start}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	readers, err := f.Readers(t.Context(), f.id("one"))
	if err != nil || len(readers) != 3 {
		t.Fatalf("the readers are %+v, %v", readers, err)
	}
	b, c := readers[0], readers[1]
	if b.AppID != f.org+"/b" || b.At.Seq != 5 || !b.Due.Equal(f.now) || b.Version != 2 || c.At.Seq != 9 || !c.Since.Equal(start) || !c.Due.Equal(f.now) {
		t.Errorf("the readers are %+v", readers)
	}
	same, err := f.Change(t.Context(), f.org, f.id("one"), func(*webhook.Subscription) ([]webhook.Move, error) { return nil, nil })
	if err != nil || same.Version != 2 {
		t.Errorf("a change without an effect returns %+v, %v", same, err)
	}
	if none, err := f.Change(t.Context(), f.org, f.id("two"), func(*webhook.Subscription) ([]webhook.Move, error) { t.Error("called"); return nil, nil }); none != nil || err != nil {
		t.Errorf("a change of no subscription returns %+v, %v", none, err)
	}
}

func concurrentChanges(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			_, err := f.Change(t.Context(), f.org, f.id("one"), func(s *webhook.Subscription) ([]webhook.Move, error) {
				s.Step += "x"
				return []webhook.Move{{AppID: f.org + "/a"}}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if s, err := f.Get(t.Context(), f.org, f.id("one")); err != nil || s.Step != "xxxxxx" || s.Version != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func failedDecision(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	no := errors.New("no")
	if err := f.Add(t.Context(), f.org, func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) { return nil, nil, no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Change(t.Context(), f.org, f.id("one"), func(s *webhook.Subscription) ([]webhook.Move, error) { s.Step = "x"; return nil, no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if s, err := f.Get(t.Context(), f.org, f.id("one")); err != nil || s.Version != 1 || s.Step != "" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func deleted(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	r := f.lease(t, f.key("one", "a"), "x", 0, webhook.Leased)
	no, yes := errors.New("no"), func(*webhook.Subscription) error { return nil }
	if _, err := f.Delete(t.Context(), f.org, f.id("one"), func(s *webhook.Subscription) error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if was, err := f.Delete(t.Context(), f.org, f.id("one"), yes); err != nil || !was {
		t.Fatal(was, err)
	}
	if was, err := f.Delete(t.Context(), f.org, f.id("one"), yes); err != nil || was {
		t.Error(was, err)
	}
	if _, err := f.Save(t.Context(), &r, webhook.ReleaseAtEnd); !errors.Is(err, webhook.ErrLost) {
		t.Errorf("a holder of a deleted reader gets %v", err)
	}
	f.lease(t, f.key("one", "a"), "y", 9, webhook.NotDue)
	if readers, err := f.Readers(t.Context(), f.id("one")); err != nil || len(readers) != 0 {
		t.Errorf("got %+v, %v", readers, err)
	}
}

func oneHolder(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	r := f.lease(t, key, "x", 0, webhook.Leased)
	f.lease(t, key, "y", 0, webhook.Held)
	r.At, r.Due = event.Position{Seq: 8}, time.Time{}
	f.save(t, &r, webhook.Keep, false)
	f.lease(t, key, "y", 0, webhook.Held)
	f.save(t, &r, webhook.ReleaseAtEnd, false)
	if readers, err := f.Readers(t.Context(), f.id("one")); err != nil || readers[0].At.Seq != 8 || readers[0].At.Slot != 0 || !readers[0].Due.IsZero() {
		t.Errorf("got %+v, %v", readers, err)
	}
	if next := f.lease(t, key, "y", 9, webhook.Leased); next.At.Seq != 8 || next.Target != 9 {
		t.Errorf("got %+v", next)
	}
}

func wakesForNewEvents(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	f.lease(t, f.key("one", "a"), "x", 5, webhook.NotDue)
	f.lease(t, f.key("one", "a"), "x", 6, webhook.Leased)
	f.lease(t, f.key("one", "b"), "x", 6, webhook.NotDue)
}

func failingWaits(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	r := f.lease(t, key, "x", 0, webhook.Leased)
	r.Fail(f.now)
	f.save(t, &r, webhook.ReleaseNow, false)
	f.lease(t, key, "y", 9, webhook.NotDue)
	f.lease(t, key, "y", 0, webhook.NotDue)
	f.now = f.now.Add(webhook.RetryDelay(0))
	r = f.lease(t, key, "y", 9, webhook.Leased)
	if r.Failures != 1 || !r.FailingSince.Equal(start) {
		t.Errorf("got %+v", r)
	}
	r.Succeed()
	f.save(t, &r, webhook.ReleaseNow, false)
	if readers, err := f.Readers(t.Context(), f.id("one")); err != nil || readers[0].Failures != 0 || !readers[0].FailingSince.IsZero() {
		t.Errorf("got %+v, %v", readers, err)
	}
}

func handedOver(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	r := f.lease(t, key, "x", 6, webhook.Leased)
	f.lease(t, key, "y", 9, webhook.Held)
	f.lease(t, key, "z", 8, webhook.Held)
	r.At = event.Position{Seq: 6}
	f.save(t, &r, webhook.ReleaseAtEnd, true)
	if r.Target != 9 || r.At.Seq != 6 {
		t.Errorf("got %+v", r)
	}
	r.At = event.Position{Seq: 9}
	f.save(t, &r, webhook.ReleaseAtEnd, false)
	f.lease(t, key, "y", 9, webhook.NotDue)
}

func movedWhileHeld(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	r := f.lease(t, f.key("one", "a"), "x", 0, webhook.Leased)
	_, err := f.Change(t.Context(), f.org, f.id("one"), func(*webhook.Subscription) ([]webhook.Move, error) {
		return []webhook.Move{{AppID: f.org + "/a", Start: &webhook.Start{At: event.Position{Seq: 2}, Since: start}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.At, r.Failures = event.Position{Seq: 9}, 3
	f.save(t, &r, webhook.ReleaseAtEnd, true)
	if r.At.Seq != 2 || !r.Since.Equal(start) || r.Failures != 0 {
		t.Errorf("the holder continues with %+v", r)
	}
	r.At = event.Position{Seq: 3}
	f.save(t, &r, webhook.Keep, false)
}

func lostLease(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	late := f.lease(t, key, "x", 0, webhook.Leased)
	f.now = f.now.Add(2 * time.Minute)
	f.lease(t, key, "y", 0, webhook.Leased)
	late.At.Seq = 99
	for _, release := range []webhook.Release{webhook.Keep, webhook.ReleaseAtEnd, webhook.ReleaseNow} {
		if _, err := f.Save(t.Context(), &late, release); !errors.Is(err, webhook.ErrLost) {
			t.Errorf("release %d: got %v", release, err)
		}
	}
}

func targetSurvives(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	f.lease(t, key, "x", 6, webhook.Leased)
	f.lease(t, key, "y", 9, webhook.Held)
	f.now = f.now.Add(2 * time.Minute)           // x ended without a save
	r := f.lease(t, key, "z", 5, webhook.Leased) // a wake-up for what the endpoint has
	r.At = event.Position{Seq: 7}
	f.save(t, &r, webhook.ReleaseAtEnd, true)
}

func logKept(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	r := f.lease(t, f.key("one", "a"), "x", 0, webhook.Leased)
	r.Log(webhook.Delivery{At: start, Error: webhook.ErrorChallenge, Status: 200, Took: 7 * time.Millisecond})
	for n := range webhook.MaxDeliveries {
		r.Log(webhook.Delivery{EventID: event.ID("0f0e0d0c-0b0a-4908-8706-050403020100", n+1), At: start.Add(time.Duration(n) * time.Second), Status: 500 + n, Error: webhook.ErrorStatus})
	}
	r.Deliveries[1].Error = webhook.ErrorTimeout
	f.save(t, &r, webhook.ReleaseNow, false)
	readers, err := f.Readers(t.Context(), f.id("one"))
	if err != nil || len(readers[0].Deliveries) != webhook.MaxDeliveries || !reflect.DeepEqual(readers[0].Deliveries, r.Deliveries) {
		t.Errorf("got %+v, %v", readers, err)
	}
}

func dueInOrder(t *testing.T, f *fixture) {
	f.now = f.now.Add(-24 * time.Hour) // before the readers of other tests
	f.add(t, "one", "a")
	f.now = f.now.Add(-time.Hour)
	f.add(t, "two", "b")
	var mine []webhook.Key
	for range 20 { // an index may be late
		keys, err := f.Due(t.Context(), f.now.Add(2*time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		mine = mine[:0]
		for _, key := range keys {
			if key.Org == f.org {
				mine = append(mine, key)
			}
		}
		if len(mine) == 4 {
			break
		}
	}
	if len(mine) != 4 || mine[0].Subscription != f.id("two") || mine[1].Subscription != f.id("two") || mine[2].Subscription != f.id("one") {
		t.Errorf("got %+v", mine)
	}
	if keys, err := f.Due(t.Context(), f.now.Add(2*time.Hour), 1); err != nil || len(keys) != 1 {
		t.Errorf("got %+v, %v", keys, err)
	}
}

func neverDue(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	r := f.lease(t, key, "x", 0, webhook.Leased)
	r.Due = time.Time{}
	f.save(t, &r, webhook.ReleaseNow, false)
	f.now = f.now.Add(1000 * time.Hour)
	f.lease(t, key, "y", 0, webhook.NotDue)
}

func endedLease(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	f.lease(t, key, "x", 0, webhook.Leased)
	f.now = f.now.Add(time.Minute)
	f.lease(t, key, "y", 0, webhook.Leased)
}

func repeatedLease(t *testing.T, f *fixture) {
	f.add(t, "one", "a")
	key := f.key("one", "a")
	f.lease(t, key, "x", 0, webhook.Leased)
	f.lease(t, key, "x", 0, webhook.Leased)
	if _, _, err := f.Lease(context.Background(), key, "y", f.now, f.now.Add(time.Second), 0); err != nil {
		t.Error(err)
	}
}
