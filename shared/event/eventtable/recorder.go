package eventtable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// maxFeeds is the maximum number of feeds to which Append appends concurrently.
const maxFeeds = 32

// Recorder appends to the feeds of all applications.
type Recorder struct {
	client *dynamodb.Client
	table  string
	outbox *outboxtable.Table
	now    func() time.Time
	ends   ends
}

// OpenRecorder returns the recorder for the table in EVENTS_TABLE. The recorder deletes the
// events that it appends from the outbox in OUTBOX_TABLE.
func OpenRecorder(env *coldstart.Env) *Recorder {
	recorder := NewRecorder(dynamo.Client(env), env.String("EVENTS_TABLE"), env.String("OUTBOX_TABLE"), time.Now)
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := recorder.lastSlot(ctx, "warm-up")
		return err
	})
	return recorder
}

// NewRecorder returns the recorder for the given tables and clock.
func NewRecorder(client *dynamodb.Client, table, outbox string, now func() time.Time) *Recorder {
	return &Recorder{client: client, table: table, outbox: outboxtable.New(client, outbox), now: now}
}

// Append appends the events to the feeds of their applications and deletes them from the outbox. It
// appends the events of one instance in the order of their numbers. It skips events that the feed
// already has, and deletes them from the outbox too. It returns one result for each event, in the
// same order. It appends to the feeds of different applications concurrently.
//
// The caller may pass any events in any order any number of times, from several processes
// concurrently, and may stop anywhere: no event enters the feed twice or before its predecessor.
// Append retries conflicts as the budget of package busy allows. An event that failed may be in the
// feed; the next Append of it then reports a duplicate, and completes what is missing.
func (r *Recorder) Append(ctx context.Context, docs []event.Encoded) []event.Result {
	// docs may contain an event several times; append it once.
	outcomes := make(map[string]event.Result, len(docs))
	feeds := map[string][]event.Encoded{}
	for _, doc := range docs {
		if _, twice := outcomes[doc.Event.ID]; !twice {
			outcomes[doc.Event.ID] = event.Result{}
			feeds[doc.Event.AppID] = append(feeds[doc.Event.AppID], doc)
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex // guards outcomes
	running := make(chan struct{}, maxFeeds)
	for appID, batch := range feeds {
		running <- struct{}{}
		all.Go(func() {
			defer func() { <-running }()
			event.Sort(batch)
			for len(batch) > 0 {
				n := slotLen(batch)
				found := r.appendTogether(ctx, appID, batch[:n])
				mu.Lock()
				maps.Copy(outcomes, found)
				mu.Unlock()
				batch = batch[n:]
			}
		})
	}
	all.Wait()
	results := make([]event.Result, len(docs))
	for n, doc := range docs {
		results[n] = outcomes[doc.Event.ID]
	}
	return results
}

// appendTogether appends events of one application, which fit into one slot, and returns the result
// of each by id.
func (r *Recorder) appendTogether(ctx context.Context, appID string, batch []event.Encoded) map[string]event.Result {
	outcomes := map[string]event.Result{}
	if err := r.appendSlot(busy.WithBudget(ctx), appID, batch, outcomes); err != nil {
		r.ends.forget(appID)
		for _, doc := range batch { // also those that are in the feed: their outbox items may not be deleted
			outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed, Err: err}
		}
	}
	return outcomes
}

// appendSlot appends the events that are neither duplicates nor out of order, and stores the
// outcome of each event. The package comment has the steps and why they are correct.
func (r *Recorder) appendSlot(ctx context.Context, appID string, batch []event.Encoded, outcomes map[string]event.Result) error {
	at, known := r.ends.of(appID)
	for {
		var last []event.Encoded // events whose positions may be missing
		var lastSlot *slot
		if !known {
			var err error
			if lastSlot, err = r.lastSlot(ctx, appID); err != nil {
				return err
			}
			if at = (end{}); lastSlot != nil {
				if last, err = lastSlot.events(lastSlot.first, lastSlot.last()); err != nil {
					return err
				}
				at = lastSlot.end()
			}
		}
		recorded, err := r.positioned(ctx, questions(batch, last))
		if err != nil {
			return err
		}
		if lastSlot != nil {
			if err := r.complete(ctx, appID, lastSlot, last, recorded); err != nil {
				return err
			}
			for _, doc := range last {
				recorded[keyOf(doc)] = true
			}
		}
		// All events of the feed up to at have their positions now.
		fresh, acknowledged := classify(batch, recorded, outcomes)
		if len(fresh) > 0 {
			s, won, err := r.put(ctx, appID, at, fresh)
			if err != nil {
				return err
			}
			if !won { // another process has appended; read what
				if known {
					r.ends.outdated(appID)
				}
				if err := busy.Race(ctx); err != nil {
					return err
				}
				known = false
				clear(outcomes)
				continue
			}
			if err := r.complete(ctx, appID, s, fresh, nil); err != nil {
				return err
			}
			at = s.end()
		}
		r.ends.set(appID, at)
		return r.outbox.Delete(ctx, acknowledged)
	}
}

// questions returns the events whose positions appendSlot must read: the events of the batch, their
// predecessors outside of the batch, and the events of the last slot.
func questions(batch, last []event.Encoded) map[eventKey]bool {
	keys := map[eventKey]bool{}
	for _, doc := range last {
		keys[keyOf(doc)] = true
	}
	for _, doc := range batch {
		keys[keyOf(doc)] = true
		if doc.Number > 1 {
			keys[eventKey{doc.InstanceGuid, doc.Number - 1}] = true
		}
	}
	return keys
}

// classify returns the events to append, in order, and all events to delete from the outbox once
// these are appended. It stores the outcomes.
func classify(batch []event.Encoded, recorded map[eventKey]bool, outcomes map[string]event.Result) (fresh, acknowledged []event.Encoded) {
	before := map[eventKey]bool{} // in the new slot so far
	for _, doc := range batch {
		predecessor := eventKey{doc.InstanceGuid, doc.Number - 1}
		outcome := event.Recorded
		switch {
		case recorded[keyOf(doc)]:
			outcome = event.Duplicate
			acknowledged = append(acknowledged, doc)
		case doc.Number > 1 && !recorded[predecessor] && !before[predecessor]:
			outcome = event.OutOfOrder
		default:
			before[keyOf(doc)] = true
			fresh, acknowledged = append(fresh, doc), append(acknowledged, doc)
		}
		outcomes[doc.Event.ID] = event.Result{Outcome: outcome}
	}
	return fresh, acknowledged
}

// put appends a slot with the events after at. won is false if the position has another slot.
func (r *Recorder) put(ctx context.Context, appID string, at end, docs []event.Encoded) (s *slot, won bool, err error) {
	s = &slot{first: at.seq + 1, count: len(docs), recordedAt: r.now().UTC().Truncate(time.Microsecond)}
	if s.recordedAt.Before(at.recordedAt) {
		s.recordedAt = at.recordedAt
	}
	s.counts = at.counts.Add(at.recordedAt, s.recordedAt, docs)
	if s.packed, err = event.Pack(docs...); err != nil {
		return nil, false, err
	}
	item, writeID, err := s.item(appID)
	if err != nil {
		return nil, false, err
	}
	_, err = r.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &r.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(PK)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if taken, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		// The SDK retries if a response is lost. If the first attempt was applied, the slot is
		// ours.
		return s, isWrite(taken.Item, writeID), nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("eventtable: append: %w", err)
	}
	return s, true, nil
}

func (r *Recorder) lastSlot(ctx context.Context, appID string) (*slot, error) {
	return lastSlot(ctx, r.client, r.table, appID, math.MaxInt64, true)
}
