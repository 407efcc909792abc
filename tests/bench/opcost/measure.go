package opcost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/tests/bench/capacity"
)

// Row is the consumption of an operation.
type Row struct {
	Name         string
	Baseline     *Baseline
	Reads        float64
	Writes       int
	Calls        int  // to DynamoDB and S3
	Series       int  // longest chain of sequential calls; 0: not measured
	Puts         int  // PUT requests to S3, and others with the same price
	Gets         int  // GET and HEAD requests to S3
	Events       int  // created events
	OrphanChecks int  // orphan checks, which are read and deleted later
	Notes        int  // notes of the agenda, likewise
	Plain        Cost // in the plain design
	OnPaper      Cost // in the plain design without guarantees
	CallNames    []string
}

// Cost is read and write units.
type Cost struct{ Reads, Writes float64 }

// Ledger is the consumption of all operations in one run.
type Ledger struct {
	Rows []Row // on an instance with one data element and two labels
	Ten  []Row // the same with ten data elements
	// Ruled has the operations in an application that registers retention and deadlines.
	Ruled []Row
	// Event is the work after an operation that creates an event, until the event is in the feed.
	Event Row
	// Batches is the same work for several events that arrive together, in all.
	Batches []Row
	// Many has the creation of many instances by their owner, with single requests and in one
	// batch. Series is 0, because it depends on the machine how parallel items interleave.
	Many []Row
	// Webhooks has the work of webhook-send.
	Webhooks []Row
	// Scanned has the operations that differ in a system that scans content, and the work of
	// scan-record.
	Scanned []Row
}

// Measure runs every operation and returns the ledger. It fails if DynamoDB Local contradicts the
// rules.
func Measure(ctx context.Context) (*Ledger, error) {
	s, err := open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	stored, err := s.fill(ctx)
	if err != nil {
		return nil, err
	}
	var l Ledger
	// The first round starts the functions and fills their caches: only the second round is
	// typical.
	for round := range 2 {
		one, ten := &walk{env: s, app: app, round: round, elements: 1}, &walk{env: s, app: app, round: round, elements: 10}
		ruled := &walk{env: s, app: ruledApp, round: round, elements: 1}
		if l.Rows, err = one.all(ctx, slices.Concat(walkOf(1), queries(), subscribing())); err != nil {
			return nil, err
		}
		if l.Ten, err = ten.all(ctx, walkOf(10)); err != nil {
			return nil, err
		}
		if l.Ruled, err = ruled.all(ctx, underRules()); err != nil {
			return nil, err
		}
		if _, err := s.Deliver(ctx); err != nil { // all events except the measured one
			_, broken := s.recorder.Take()
			return nil, errors.Join(broken, err)
		}
		if err := one.create(ctx, "", 0, [2]string{}); err != nil {
			return nil, err
		}
		if l.Event, err = s.deliver(ctx, 10); err != nil {
			return nil, err
		}
		l.Event.Name = "event, from the outbox to the feed"
		l.Batches = nil
		for _, events := range []int{10, 100} {
			if err := s.emit(ctx, round, events); err != nil {
				return nil, err
			}
			row, err := s.deliver(ctx, events)
			if err != nil {
				return nil, err
			}
			row.Name = fmt.Sprint(events, " events together, from the outbox to the feed")
			l.Batches = append(l.Batches, row)
		}
		if l.Webhooks, err = s.webhooks(ctx, round); err != nil {
			return nil, err
		}
	}
	if l.Many, err = (&walk{env: s, app: app}).createMany(ctx); err != nil {
		return nil, err
	}
	if l.Scanned, err = scanned(ctx); err != nil {
		return nil, err
	}
	for n := range l.Rows {
		if row := &l.Rows[n]; row.Baseline == &baselinePage {
			page := plainPage(stored[:pageSize])
			row.Plain, row.OnPaper = Cost{Reads: page + registrationReads}, Cost{Reads: page}
		}
	}
	return &l, nil
}

// deliver measures the delivery of all events in the outbox, in batches.
func (s *env) deliver(ctx context.Context, batch int) (Row, error) {
	if _, err := s.recorder.Take(); err != nil {
		return Row{}, err
	}
	s.FeedBatch = batch
	events, err := s.Deliver(ctx)
	if err != nil {
		return Row{}, err
	}
	calls, err := s.recorder.Take()
	if err != nil {
		return Row{}, err
	}
	row := s.row(calls)
	row.Events = events
	return row, nil
}

// emit puts events of submissions into the outbox, each of another instance with one data element.
// Their predecessors are recorded.
func (s *env) emit(ctx context.Context, round, events int) error {
	for number, step := range []string{"FormFilling", "Submit"} {
		for n := range events {
			doc := eventtest.Document(app, nameUUID(fmt.Sprint("event ", round, events, n)), number+1, time.Date(2026, 1, 5, 8, 0, number, n*1000, time.UTC), step)
			put, err := outboxtable.TransactPut("Outbox", doc.Event, doc.Number)
			if err != nil {
				return err
			}
			if _, err := s.Dynamo.PutItem(ctx, &dynamodb.PutItemInput{TableName: put.Put.TableName, Item: put.Put.Item}); err != nil {
				return err
			}
		}
		if number == 0 {
			if _, err := s.deliver(ctx, events); err != nil {
				return err
			}
		}
	}
	return nil
}

// withLeastSeries returns the ledger with the shorter chain of calls of l and of another
// measurement, for each operation.
func (l *Ledger) withLeastSeries(other *Ledger) *Ledger {
	if other != nil {
		for n := range l.Rows {
			l.Rows[n].Series = min(l.Rows[n].Series, other.Rows[n].Series)
		}
		for n := range l.Ten {
			l.Ten[n].Series = min(l.Ten[n].Series, other.Ten[n].Series)
		}
		l.Event.Series = min(l.Event.Series, other.Event.Series)
		for n := range l.Batches {
			l.Batches[n].Series = min(l.Batches[n].Series, other.Batches[n].Series)
		}
		for n := range l.Webhooks {
			l.Webhooks[n].Series = min(l.Webhooks[n].Series, other.Webhooks[n].Series)
		}
		for n := range l.Scanned {
			l.Scanned[n].Series = min(l.Scanned[n].Series, other.Scanned[n].Series)
		}
	}
	return l
}

// all runs the operations in order and returns the consumption of each.
func (w *walk) all(ctx context.Context, operations []operation) (rows []Row, err error) {
	if _, err := w.recorder.Take(); err != nil {
		return nil, err
	}
	for _, o := range operations {
		before := w.i
		err := o.do(ctx, w)
		calls, checkErr := w.recorder.Take()
		if err := errors.Join(err, checkErr); err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		row := w.row(oneCheck(calls))
		row.Name, row.Baseline = o.name, o.baseline
		if before != nil && before.ID != w.i.ID {
			before = nil
		}
		row.Plain, row.OnPaper = w.plain(before, w.i, calls)
		rows = append(rows, row)
	}
	return rows, nil
}

// oneCheck drops all but the first check for new events by a held request. Their number depends on
// real time.
func oneCheck(calls []Call) (kept []Call) {
	checks := 0
	for _, c := range calls {
		if c.Name == "GetItem Events" && c.Reads < 1 {
			if checks++; checks > 1 {
				continue
			}
		}
		kept = append(kept, c)
	}
	return kept
}

// row returns the sum of calls.
func (s *env) row(calls []Call) (row Row) {
	depth := make([]int, len(calls)) // calls are in the order of their ends
	for n, c := range calls {
		row.Calls++
		row.Reads += c.Reads
		row.CallNames = append(row.CallNames, c.Name)
		switch c.Name {
		case "PUT object":
			row.Puts++
		case "GET object", "HEAD object":
			row.Gets++
		}
		for _, w := range c.Writes {
			row.Writes += s.recorder.cost(w).Total()
			switch {
			case w.Table == "Outbox" && w.Before == nil:
				row.Events++
			case isOrphanCheck(w):
				row.OrphanChecks++
			case isNote(w):
				row.Notes++
			}
		}
		depth[n] = 1
		for before := range n {
			if calls[before].ended.Before(c.began) {
				depth[n] = max(depth[n], depth[before]+1)
			}
		}
		row.Series = max(row.Series, depth[n])
	}
	return row
}

// registrationReads is the cost for a page of reading the application's registration, in either
// design.
const registrationReads = 1

// plain returns the consumption of the same operation in the plain design.
func (s *env) plain(before, after *instance.Instance, calls []Call) (plain, onPaper Cost) {
	old, now := plainItems(before), plainItems(after)
	changed := 0
	for _, item := range union(old, now) {
		if !same(item.before, item.after) {
			changed++
		}
	}
	event := false
	for _, c := range calls {
		for _, w := range c.Writes {
			event = event || w.Table == "Outbox"
			if !isInstance(w) {
				plain.Writes += float64(s.recorder.cost(w).Total())
			}
		}
		switch {
		case c.Name != "GetItem Instances":
			plain.Reads += c.Reads
		case before != nil:
			plain.Reads += capacity.Read(capacity.Size(plainOwn(before)), true)
			onPaper.Reads += capacity.Read(capacity.Size(plainOwn(before)), false)
		}
	}
	for _, item := range union(old, now) {
		if same(item.before, item.after) {
			continue
		}
		plain.Writes += float64(plainTable.Write(item.before, item.after, changed > 1 || event).Total())
		onPaper.Writes += float64(paperTable.Write(item.before, item.after, false).Total())
	}
	return plain, onPaper
}
