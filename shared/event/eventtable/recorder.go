package eventtable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// A transaction has at most 100 items and 4 MB: one for HEAD and four for each event.
const (
	maxPerTransaction = 24
	maxDocumentBytes  = 3_000_000
)

// Pauses between two tries are random, up to a bound that doubles. Several recorders may be at the same feed, and one
// of them wins each round.
const (
	firstPause  = 20 * time.Millisecond
	longPause   = 500 * time.Millisecond
	maxAttempts = 12
)

// Recorder appends to the feeds of all applications.
type Recorder struct {
	client *dynamodb.Client
	table  string
	outbox string
	now    func() time.Time
}

// OpenRecorder returns the recorder for the table that EVENTS_TABLE names. What it records it takes out of the outbox
// that OUTBOX_TABLE names.
func OpenRecorder(env *coldstart.Env) *Recorder {
	recorder := NewRecorder(dynamo.Client(env), env.String("EVENTS_TABLE"), env.String("OUTBOX_TABLE"), time.Now)
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := readHead(ctx, recorder.client, recorder.table, "warm-up", true)
		return err
	})
	return recorder
}

// NewRecorder returns the recorder for the tables of those names, with a clock.
func NewRecorder(client *dynamodb.Client, table, outbox string, now func() time.Time) *Recorder {
	return &Recorder{client: client, table: table, outbox: outbox, now: now}
}

// Append puts the events in the feeds of their applications, those of one instance in the order of their numbers, and
// takes them out of the outbox; what is in the feed already is left as it is and taken out of the outbox as well. It
// returns one result for each event, in the same order. It may be given anything in any order any number of times, from
// several processes at once, and may be cut off anywhere: an event is never in the feed twice, and never before its
// predecessor. Conflicts are retried while ctx lasts.
func (r *Recorder) Append(ctx context.Context, docs []event.Encoded) []event.Result {
	// The same event may be there several times; it is appended once.
	outcomes := map[string]event.Result{}
	feeds := map[string][]event.Encoded{}
	for _, doc := range docs {
		if _, twice := outcomes[doc.Event.ID]; !twice {
			outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed}
			feeds[doc.Event.AppID] = append(feeds[doc.Event.AppID], doc)
		}
	}
	for appID, batch := range feeds {
		event.Sort(batch)
		for len(batch) > 0 {
			n := batchLen(batch)
			r.appendTogether(ctx, appID, batch[:n:n], outcomes)
			batch = batch[n:]
		}
	}
	results := make([]event.Result, len(docs))
	for n, doc := range docs {
		results[n] = outcomes[doc.Event.ID]
	}
	return results
}

// batchLen returns how many events from the first on go into one transaction.
func batchLen(batch []event.Encoded) int {
	bytes := 0
	for n, doc := range batch {
		if bytes += len(doc.JSON); n == maxPerTransaction || (n > 0 && bytes > maxDocumentBytes) {
			return n
		}
	}
	return len(batch)
}

// appendTogether appends events of one application in one transaction, or fewer of them when some turn out to be
// duplicates or early, and notes the outcome of each.
//
// The answer to a transaction may be lost after it has had its effect. The next try then finds that HEAD has moved and
// that the events are there, and takes them for duplicates, which they are.
func (r *Recorder) appendTogether(ctx context.Context, appID string, batch []event.Encoded, outcomes map[string]event.Result) {
	head, err := readHead(ctx, r.client, r.table, appID, true)
	pause := firstPause
	for try := 1; err == nil; try++ {
		transaction := r.transaction(appID, head, batch)
		if _, err = r.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: transaction.items}); err == nil {
			for _, doc := range batch {
				outcomes[doc.Event.ID] = event.Result{Outcome: event.Recorded}
			}
			return
		}
		var v result
		if v, err = transaction.classify(err); err != nil {
			break
		}
		before := len(batch)
		if batch = r.resolve(ctx, batch, v, outcomes); len(batch) == 0 {
			return
		}
		if len(batch) < before && !v.headMoved && !v.contended {
			continue // the next transaction is another, and nobody is in its way
		}
		if try >= maxAttempts {
			err = errors.New("eventtable: append: the feed is contended")
		} else if err = wait(ctx, &pause); err == nil && v.headMoved {
			if head = v.head; head.Seq == 0 { // not told
				head, err = readHead(ctx, r.client, r.table, appID, true)
			}
		}
	}
	for _, doc := range batch {
		outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed, Err: err}
	}
}

// resolve notes the outcome of the events that the verdict takes out of the batch, and returns the others.
func (r *Recorder) resolve(ctx context.Context, batch []event.Encoded, v result, outcomes map[string]event.Result) []event.Encoded {
	var rest []event.Encoded
	early := map[string]bool{} // instances of which an event is early: so are those after it
	for n, doc := range batch {
		switch {
		case v.duplicate[n]:
			outcomes[doc.Event.ID] = r.acknowledge(ctx, doc)
		case v.refused[n] != nil:
			outcomes[doc.Event.ID] = event.Result{Outcome: event.Failed, Err: v.refused[n]}
			early[doc.InstanceGuid] = true
		case v.outOfOrder[n] || early[doc.InstanceGuid]:
			outcomes[doc.Event.ID] = event.Result{Outcome: event.OutOfOrder}
			early[doc.InstanceGuid] = true
		default:
			rest = append(rest, doc)
		}
	}
	return rest
}

// acknowledge takes an event that is in the feed out of the outbox. It is there only after one of the tables was
// restored from a backup, but would then be published for ever.
func (r *Recorder) acknowledge(ctx context.Context, doc event.Encoded) event.Result {
	_, err := r.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &r.outbox, Key: outboxtable.Key(doc.InstanceGuid, doc.Number),
	})
	if err != nil {
		return event.Result{Outcome: event.Failed, Err: fmt.Errorf("eventtable: acknowledge: %w", err)}
	}
	return event.Result{Outcome: event.Duplicate}
}

// wait pauses for a random time up to *pause, and doubles that.
func wait(ctx context.Context, pause *time.Duration) error {
	timer := time.NewTimer(rand.N(*pause))
	defer timer.Stop()
	*pause = min(2**pause, longPause)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
