package opcost

import (
	"context"
	"errors"
	"fmt"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/tests/bench/capacity"
)

// Row is what an operation consumes.
type Row struct {
	Name      string
	Floor     *Floor
	Reads     float64
	Writes    int
	Calls     int  // of DynamoDB and S3
	Series    int  // the longest chain of calls that waited for each other
	Puts      int  // of S3, and other requests of it that cost as much
	Gets      int  // of S3
	Events    int  // that it makes
	Notes     int  // of litter, which are read and deleted later
	Plain     Cost // in the plain design
	OnPaper   Cost // in the plain design on paper
	CallNames []string
}

// Cost is units.
type Cost struct{ Reads, Writes float64 }

// Ledger is what all operations consume, in the same run.
type Ledger struct {
	Rows []Row // on an instance with one data element and two labels
	Ten  []Row // the same with ten data elements
	// Event is what happens after an operation that makes an event, until it is in the feed.
	Event Row
}

// Measure runs every operation and returns the ledger. It fails when DynamoDB Local contradicts it.
func Measure(ctx context.Context) (*Ledger, error) {
	s, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	stored, err := s.fill(ctx)
	if err != nil {
		return nil, err
	}
	var l Ledger
	// The first round starts the functions, and fills what they remember: only the second is one of many.
	for round := range 2 {
		one, ten := &walk{env: s, round: round, elements: 1}, &walk{env: s, round: round, elements: 10}
		if l.Rows, err = one.all(ctx, append(walkOf(1), queries()...)); err != nil {
			return nil, err
		}
		if l.Ten, err = ten.all(ctx, walkOf(10)); err != nil {
			return nil, err
		}
		if _, err := s.Deliver(ctx); err != nil { // all but the one that is measured
			return nil, err
		}
		if err := one.create(ctx, "", 0, [2]string{}); err != nil {
			return nil, err
		}
		if _, err := s.recorder.Take(); err != nil {
			return nil, err
		}
		var events int
		if events, err = s.Deliver(ctx); err != nil {
			return nil, err
		}
		calls, err := s.recorder.Take()
		if err != nil {
			return nil, err
		}
		l.Event = s.row(calls)
		l.Event.Name, l.Event.Events = "event, from the outbox to the feed", events
	}
	for n := range l.Rows {
		if row := &l.Rows[n]; row.Floor == &floorPage {
			page := plainPage(stored[:pageSize])
			row.Plain, row.OnPaper = Cost{Reads: page + registrationReads}, Cost{Reads: page}
		}
	}
	return &l, nil
}

// all does the operations, one after the other, and returns what each has consumed.
func (w *walk) all(ctx context.Context, operations []operation) (rows []Row, err error) {
	if _, err := w.recorder.Take(); err != nil {
		return nil, err
	}
	for _, o := range operations {
		before := w.i
		err := o.do(ctx, w)
		calls, contradiction := w.recorder.Take()
		if err := errors.Join(err, contradiction); err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		row := w.row(calls)
		row.Name, row.Floor = o.name, o.floor
		if before != nil && before.ID != w.i.ID {
			before = nil
		}
		row.Plain, row.OnPaper = w.plain(before, w.i, calls)
		rows = append(rows, row)
	}
	return rows, nil
}

// row adds up calls.
func (s *env) row(calls []Call) (row Row) {
	depth := make([]int, len(calls)) // calls stand in the order of their ends
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

// registrationReads is what reading the registration of the application costs a page, in either design.
const registrationReads = 1

// plain returns what the same operation would consume in the plain design.
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
