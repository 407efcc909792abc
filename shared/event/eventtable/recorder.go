package eventtable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// DynamoDB allows 100 items and 4 MB in a transaction. HEAD takes one item, and each event takes
// four.
const (
	maxPerTransaction = 24
	maxDocumentBytes  = 3_000_000
)

// maxFeeds is the maximum number of feeds to which Append appends concurrently.
const maxFeeds = 32

// A backoff is random, up to a limit that doubles with each attempt. Several recorders may append
// to the same feed, and only one of them succeeds in each round.
const (
	firstBackoff = 20 * time.Millisecond
	maxBackoff   = 500 * time.Millisecond
	maxAttempts  = 12
)

// Recorder appends to the feeds of all applications.
type Recorder struct {
	client *dynamodb.Client
	table  string
	outbox string
	now    func() time.Time
}

// OpenRecorder returns the recorder for the table in EVENTS_TABLE. The recorder deletes the
// events that it appends from the outbox in OUTBOX_TABLE.
func OpenRecorder(env *coldstart.Env) *Recorder {
	recorder := NewRecorder(dynamo.Client(env), env.String("EVENTS_TABLE"), env.String("OUTBOX_TABLE"), time.Now)
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := readHead(ctx, recorder.client, recorder.table, "warm-up", true)
		return err
	})
	return recorder
}

// NewRecorder returns the recorder for the given tables and clock.
func NewRecorder(client *dynamodb.Client, table, outbox string, now func() time.Time) *Recorder {
	return &Recorder{client: client, table: table, outbox: outbox, now: now}
}

// Append appends the events to the feeds of their applications and deletes them from the outbox. It
// appends the events of one instance in the order of their numbers. It skips events that the feed
// already has, and deletes them from the outbox too. It returns one result for each event, in the
// same order.
//
// It appends to the feeds of different applications concurrently.
//
// The caller may pass any events in any order any number of times, from several processes
// concurrently, and may stop anywhere: no event enters the feed twice or before its predecessor.
// Append retries conflicts until ctx ends.
func (r *Recorder) Append(ctx context.Context, docs []event.Encoded) []event.Result {
	// docs may contain an event several times; append it once.
	outcomes := map[string]event.Result{}
	feeds := map[string][]event.Encoded{}
	for _, doc := range docs {
		if _, twice := outcomes[doc.Event.ID]; !twice {
			outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed}
			feeds[doc.Event.AppID] = append(feeds[doc.Event.AppID], doc)
		}
	}
	// One feed after the other would make the events of one application wait for those of all
	// others.
	var all sync.WaitGroup
	var mu sync.Mutex // guards outcomes
	running := make(chan struct{}, maxFeeds)
	for appID, batch := range feeds {
		running <- struct{}{}
		all.Go(func() {
			defer func() { <-running }()
			found := map[string]event.Result{}
			event.Sort(batch)
			for len(batch) > 0 {
				n := batchLen(batch)
				r.appendTogether(ctx, appID, batch[:n:n], found)
				batch = batch[n:]
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(outcomes, found)
		})
	}
	all.Wait()
	results := make([]event.Result, len(docs))
	for n, doc := range docs {
		results[n] = outcomes[doc.Event.ID]
	}
	return results
}

// batchLen returns the number of leading events that fit into one transaction.
func batchLen(batch []event.Encoded) int {
	bytes := 0
	for n, doc := range batch {
		if bytes += len(doc.JSON); n == maxPerTransaction || (n > 0 && bytes > maxDocumentBytes) {
			return n
		}
	}
	return len(batch)
}

// appendTogether appends events of one application in one transaction and stores the outcome of
// each. It repeats the transaction without the events that are duplicates or out of order.
//
// The response to a transaction may be lost after the transaction was applied. The next attempt
// then finds a moved HEAD and the events in the feed, and reports them as duplicates.
func (r *Recorder) appendTogether(ctx context.Context, appID string, batch []event.Encoded, outcomes map[string]event.Result) {
	head, err := readHead(ctx, r.client, r.table, appID, true)
	backoff := firstBackoff
	for attempt := 1; err == nil; attempt++ {
		transaction := r.transaction(appID, head, batch)
		if _, err = r.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: transaction.items}); err == nil {
			for _, doc := range batch {
				outcomes[doc.Event.ID] = event.Result{Outcome: event.Recorded}
			}
			return
		}
		var res result
		if res, err = transaction.classify(err); err != nil {
			break
		}
		before := len(batch)
		if batch = r.resolve(ctx, batch, res, outcomes); len(batch) == 0 {
			return
		}
		if len(batch) < before && !res.headMoved && !res.contended {
			continue // the next transaction differs and has no conflict
		}
		if attempt >= maxAttempts {
			err = errors.New("eventtable: append: the feed is contended")
		} else if err = wait(ctx, &backoff); err == nil && res.headMoved {
			if head = res.head; head.Seq == 0 { // the cancellation did not include HEAD
				head, err = readHead(ctx, r.client, r.table, appID, true)
			}
		}
	}
	for _, doc := range batch {
		outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed, Err: err}
	}
}

// resolve stores the outcomes of the duplicate, rejected and out-of-order events, and returns the
// other events.
func (r *Recorder) resolve(ctx context.Context, batch []event.Encoded, res result, outcomes map[string]event.Result) []event.Encoded {
	var rest []event.Encoded
	blocked := map[string]bool{} // instances with a missing predecessor: later events are out of order
	for n, doc := range batch {
		switch {
		case res.duplicate[n]:
			outcomes[doc.Event.ID] = r.acknowledge(ctx, doc)
		case res.rejected[n] != nil:
			outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed, Err: res.rejected[n]}
			blocked[doc.InstanceGuid] = true
		case res.outOfOrder[n] || blocked[doc.InstanceGuid]:
			outcomes[doc.Event.ID] = event.Result{Outcome: event.OutOfOrder}
			blocked[doc.InstanceGuid] = true
		default:
			rest = append(rest, doc)
		}
	}
	return rest
}

// acknowledge deletes a duplicate from the outbox and returns its result. The outbox still has an
// event of the feed only after one of the tables was restored from a backup. Without the deletion,
// the sweep would publish the event forever.
func (r *Recorder) acknowledge(ctx context.Context, doc event.Encoded) event.Result {
	_, err := r.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &r.outbox, Key: outboxtable.Key(doc.InstanceGuid, doc.Number),
	})
	if err != nil {
		return event.Result{Outcome: event.Failed, Err: fmt.Errorf("eventtable: acknowledge: %w", err)}
	}
	return event.Result{Outcome: event.Duplicate}
}

// wait waits for a random time up to *backoff and doubles *backoff. It fails when ctx ends.
func wait(ctx context.Context, backoff *time.Duration) error {
	timer := time.NewTimer(rand.N(*backoff))
	defer timer.Stop()
	*backoff = min(2**backoff, maxBackoff)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
