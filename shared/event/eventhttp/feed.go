package eventhttp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

// Bounds of one request. A page ends at whichever comes first, and the next goes on from there.
const (
	// maxExamined is how many positions a filtered request looks at. One that finds little has come this far at least,
	// unless it has come to the end.
	maxExamined = 5000

	// maxPageBytes is how large a page may be, unless its first event alone is larger: Lambda's answer has room for 6 MB.
	maxPageBytes = 4_000_000

	// readBatch is how many positions are read at once: a quarter of a megabyte of usual events, and at most twelve of the
	// largest.
	readBatch = 250
)

// pollInterval is how often a held request looks whether something has come: half a read unit each time.
const pollInterval = 250 * time.Millisecond

// Authenticator tells who sent a request; an auth.Verifier is one.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Caller, error)
}

// Feeds is the feeds of all applications; an eventtable.Feed is one.
type Feeds interface {
	// Head returns where a feed ends; one read unit.
	Head(ctx context.Context, appID string) (eventtable.Head, error)
	// HeadEventual is Head, perhaps as of a moment ago; half a read unit.
	HeadEventual(ctx context.Context, appID string) (eventtable.Head, error)
	// Read returns at most limit events after a position, dense; fewer than limit means that there are no more now.
	Read(ctx context.Context, appID string, after int64, limit int) ([]eventtable.Record, error)
	PositionOfID(ctx context.Context, appID, eventID string) (seq int64, found bool, err error)
	// PositionOfTime returns a position that no event of a change made after t is at or before.
	PositionOfTime(ctx context.Context, appID string, t time.Time) (int64, error)
}

// ApplicationStore finds applications; an applicationtable.Table is one.
type ApplicationStore interface {
	// Get returns the application, or nil when there is none with the id.
	Get(ctx context.Context, id string) (*application.Application, error)
}

// FeedEndpoint answers with the events of an application after the position, or the time, that the parameter "after"
// names.
type FeedEndpoint struct {
	Authenticator Authenticator
	Applications  ApplicationStore
	Feeds         Feeds
	URLs          httpapi.BaseURLs // Platform alone is used
}

// Serve answers one request. With Prefer: wait=N it holds one that would find nothing until there is something.
//
// A request that finds nothing new costs the one read of the feed's end, and half a read unit for each glance while it
// is held.
func (e FeedEndpoint) Serve(w http.ResponseWriter, r *http.Request) error {
	appID, err := authorize(e.Authenticator, r)
	if err != nil {
		return err
	}
	q, err := parseQuery(r, appID)
	if err != nil {
		return err
	}
	ctx := r.Context()
	asked := time.Now()
	head, err := e.Feeds.Head(ctx, appID)
	if err != nil {
		return err
	}
	if err := e.requireApplication(ctx, appID, head); err != nil {
		return err // before anything is said in the header: one 404 is as any other
	}
	until := holdDeadline(w, r, asked)
	tag := func(end int64) string { return httpapi.PositionTag(r, appID, end) }
	if httpapi.NotModified(r, tag(head.Seq)) { // the client has it all, to the end
		before := head.Seq
		if head, err = e.waitForEvents(ctx, appID, head, until); err != nil {
			return err
		}
		if head.Seq == before {
			e.link(w, r, q, cursor{seq: before, since: q.since()}, appID)
			logPage(ctx, page{}, 0, asked)
			httpapi.WriteNotModified(w, tag(before))
			return nil
		}
	}
	at, err := q.start(ctx, e.Feeds, appID)
	if err != nil {
		return err
	}
	if at.seq > head.Seq {
		if at, err = e.checkPastEnd(ctx, appID, at); err != nil {
			return err
		}
	}
	p := page{events: []json.RawMessage{}, end: at}
	for {
		if err := p.read(ctx, e.Feeds, appID, head.Seq, q); err != nil {
			return err
		}
		if len(p.events) > 0 || p.examined >= maxExamined || !time.Now().Before(until) {
			break
		}
		if head, err = e.waitForEvents(ctx, appID, eventtable.Head{Seq: p.end.seq}, until); err != nil {
			return err
		}
	}
	e.link(w, r, q, p.end, appID)
	logPage(ctx, p, p.end.seq-at.seq, asked)
	etag := tag(p.end.seq)
	if httpapi.NotModified(r, etag) { // a full page, which will always be the same
		httpapi.WriteNotModified(w, etag)
		return nil
	}
	w.Header().Set("ETag", etag)
	return httpapi.WriteItems(w, r, p.events)
}

// requireApplication returns NotFound for a feed without events of an application that is not there: whoever polls under a
// misspelt name would wait for ever. A feed with events has its application, so no other poll pays for the look.
func (e FeedEndpoint) requireApplication(ctx context.Context, appID string, head eventtable.Head) error {
	if head.Seq > 0 {
		return nil
	}
	app, err := e.Applications.Get(ctx, appID)
	if err == nil && app == nil {
		err = fault.NoSuchResource()
	}
	return err
}

// waitForEvents returns the end of the feed as soon as it is after the one given, or at the latest at the time given, unchanged.
func (e FeedEndpoint) waitForEvents(ctx context.Context, appID string, head eventtable.Head, until time.Time) (eventtable.Head, error) {
	for {
		left := time.Until(until)
		if left <= 0 {
			return head, nil
		}
		select {
		case <-time.After(min(pollInterval, left)):
		case <-ctx.Done():
			return head, ctx.Err()
		}
		now, err := e.Feeds.HeadEventual(ctx, appID)
		if err != nil || now.Seq > head.Seq {
			return now, err
		}
	}
}

// checkPastEnd settles a cursor that is after the feed's end as it was read a moment ago. If it still is, the feed has been
// restored from a backup: other events will come at the positions that the cursor has passed.
func (e FeedEndpoint) checkPastEnd(ctx context.Context, appID string, at cursor) (cursor, error) {
	head, err := e.Feeds.Head(ctx, appID)
	if err == nil && at.seq > head.Seq {
		err = fault.New(fault.Gone, "cursor-gone",
			"The feed was restored from a backup and ends before this cursor. Go on from a date before the restoration, and drop the events whose id you have.")
	}
	return at, err
}

func (e FeedEndpoint) link(w http.ResponseWriter, r *http.Request, q query, end cursor, appID string) {
	w.Header().Set("Vary", "Accept, Prefer")
	httpapi.SetNextLink(w, e.URLs.PlatformURL(r, q.next(end, appID)))
}

func logPage(ctx context.Context, p page, passed int64, asked time.Time) {
	logging.Add(ctx, slog.Int("events", len(p.events)), slog.Int64("examined", passed),
		slog.Float64("heldMs", float64(time.Since(asked).Microseconds())/1000))
}

// authorize returns the id of the application in the path, if the caller owns it. Whether it is registered is not looked
// at yet.
func authorize(authenticator Authenticator, r *http.Request) (appID string, err error) {
	caller, err := authenticator.Authenticate(r)
	if err != nil {
		return "", err
	}
	if err := caller.MustBeOwner(); err != nil {
		return "", err
	}
	if err := caller.MayRead(); err != nil {
		return "", err
	}
	org, app := r.PathValue("org"), r.PathValue("app")
	if caller.Org != org || !application.ValidID(org, app) {
		return "", fault.NoSuchResource()
	}
	return org + "/" + app, nil
}

// page is what a request has found so far.
type page struct {
	events   []json.RawMessage // never nil
	bytes    int
	end      cursor // the last position examined
	examined int
}

// read collects the events between the page's end and the feed's that match, within the bounds.
func (p *page) read(ctx context.Context, feeds Feeds, appID string, head int64, q query) error {
	ask := q.size
	for p.end.seq < head && p.examined < maxExamined && len(p.events) < q.size {
		limit := min(ask, readBatch, maxExamined-p.examined)
		if !q.filters(p.end) {
			limit = min(limit, q.size-len(p.events))
		}
		records, err := feeds.Read(ctx, appID, p.end.seq, limit)
		if err != nil {
			return err
		}
		for _, record := range records {
			if q.matches(p.end, record) {
				if len(p.events) == q.size {
					return nil
				}
				if p.bytes += len(record.Document.JSON); p.bytes > maxPageBytes && len(p.events) > 0 {
					return nil
				}
				p.events = append(p.events, record.Document.JSON)
			}
			p.end.seq = record.Seq
			p.examined++
		}
		if len(records) < limit {
			return nil
		}
		ask *= 2 // in case few match
	}
	return nil
}

// query is the parameters of a request.
type query struct {
	values url.Values
	after  after
	step   string // workflow.currentStep, or "" for any
	size   int
}

func parseQuery(r *http.Request, appID string) (query, error) {
	values, err := httpapi.ParseQuery(r, "after", "workflow.currentStep", "size")
	if err != nil {
		return query{}, err
	}
	q := query{values: values}
	if q.step, err = httpapi.SingleValue(values, "workflow.currentStep"); err != nil {
		return query{}, err
	}
	if q.size, err = httpapi.PageSize(values); err != nil {
		return query{}, err
	}
	text, err := httpapi.SingleValue(values, "after")
	if err != nil {
		return query{}, err
	}
	q.after, err = parseAfter(text, appID)
	return q, err
}

// start returns where to begin.
func (q query) start(ctx context.Context, feeds Feeds, appID string) (cursor, error) {
	switch {
	case q.after.id != "":
		seq, found, err := feeds.PositionOfID(ctx, appID, q.after.id)
		if err == nil && !found {
			err = invalidAfter("no event of this application has this id, or it is not in the feed yet")
		}
		return cursor{seq: seq}, err
	case !q.after.time.IsZero():
		seq, err := feeds.PositionOfTime(ctx, appID, q.after.time)
		return cursor{seq: seq, since: q.after.time}, err
	default:
		return q.after.cursor, nil
	}
}

// since returns the time that events are to be after, or zero.
func (q query) since() time.Time {
	if !q.after.time.IsZero() {
		return q.after.time
	}
	return q.after.cursor.since
}

// filters reports whether some events may be left out.
func (q query) filters(at cursor) bool { return q.step != "" || !at.since.IsZero() }

func (q query) matches(at cursor, record eventtable.Record) bool {
	ev := record.Document.Event
	return (q.step == "" || ev.WorkflowStep == q.step) && (at.since.IsZero() || ev.At.After(at.since))
}

// next returns the query that goes on after the position, all else as it was asked.
func (q query) next(end cursor, appID string) string {
	values := url.Values{"after": {end.encode(appID)}}
	for _, name := range []string{"workflow.currentStep", "size"} {
		if values[name] = q.values[name]; values[name] == nil {
			delete(values, name)
		}
	}
	return values.Encode()
}
