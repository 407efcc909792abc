// Package eventhttp provides the feed of an application's events over HTTP. A client that follows
// the Link header misses no event and gets none twice. A response is a JSON array or, by Accept,
// one event per line (NDJSON).
package eventhttp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

// Limits of one request. A page ends at the first limit that it reaches, and the next page
// continues there.
const (
	// maxExamined is the maximum number of positions that a filtered request examines. A request
	// that finds few events examines this many, unless it reaches the end of the feed.
	maxExamined = 5000

	// readBatch is the maximum number of positions in one read: 0.25 MB of usual events, and 12 MB
	// of the largest ones.
	readBatch = 250
)

// Authenticator authenticates requests; auth.Verifier implements it.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Caller, error)
}

// Feeds reads the feeds of all applications; eventtable.Feed implements it.
type Feeds interface {
	// Head returns the end of a feed. It costs one read unit.
	Head(ctx context.Context, appID string) (eventtable.Head, error)
	// HeadEventual returns the end of a feed, which may be outdated by a moment. It costs half a
	// read unit.
	HeadEventual(ctx context.Context, appID string) (eventtable.Head, error)
	// Read returns at most limit events after a position, without gaps. If it returns fewer, there
	// are no more events yet.
	Read(ctx context.Context, appID string, after int64, limit int) ([]eventtable.Record, error)
	// PositionOfID returns the position of an event of the application.
	PositionOfID(ctx context.Context, appID, eventID string) (seq int64, found bool, err error)
	// PositionOfTime returns a position before all events of changes after t.
	PositionOfTime(ctx context.Context, appID string, t time.Time) (int64, error)
	// Take takes one of an organisation's first limit places for held requests until the given
	// time. It returns nil if other requests have all of them. It costs one write unit, rarely
	// more.
	Take(ctx context.Context, org string, limit int, now, until time.Time) (*eventtable.Place, error)
	// Release frees a place. It costs one write unit.
	Release(ctx context.Context, org string, place *eventtable.Place) error
}

// ApplicationStore reads applications; applicationtable.Table implements it.
type ApplicationStore interface {
	// Get returns the application with the id, or nil if there is none.
	Get(ctx context.Context, id string) (*application.Application, error)
}

// FeedEndpoint serves the feed of an application, beginning after the position, event or time of
// the parameter after.
type FeedEndpoint struct {
	Authenticator Authenticator
	Applications  ApplicationStore
	Feeds         Feeds
	URLs          httpapi.BaseURLs // only Platform is used
	Hold          Hold
}

// Serve responds with a page of events. With Prefer: wait=N it holds a request without new events
// until an event arrives (long poll).
//
// A request without new events costs the read of the feed's end. A held request also costs two
// write units for its place among those of the organisation, and half a read unit per pollInterval.
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
	started := time.Now()
	head, err := e.Feeds.Head(ctx, appID)
	if err != nil {
		return err
	}
	if err := e.requireApplication(ctx, appID, head); err != nil {
		return err // before any header is set, so that all 404 responses are equal
	}
	wait := e.newWaiter(r, r.PathValue("org"), appID, started)
	defer wait.release(ctx)
	tag := func(end int64) string { return httpapi.PositionTag(r, appID, end) }
	if httpapi.NotModified(r, tag(head.Seq)) { // the client has all events up to the end
		before := head.Seq
		if head, err = wait.forEvents(ctx, head); err != nil {
			return err
		}
		if head.Seq == before {
			e.setHeaders(w, r, q, position{seq: before, since: q.since()}, wait)
			logPage(ctx, page{}, 0, started)
			httpapi.WriteNotModified(w, tag(before))
			return nil
		}
	}
	start, err := q.start(ctx, e.Feeds, appID)
	if err != nil {
		return err
	}
	if start.seq > head.Seq {
		if start, err = e.checkPastEnd(ctx, appID, start); err != nil {
			return err
		}
	}
	p := page{events: []json.RawMessage{}, end: start}
	for {
		if err := p.read(ctx, e.Feeds, appID, head.Seq, q); err != nil {
			return err
		}
		if len(p.events) > 0 || p.examined >= maxExamined || wait.ended() {
			break
		}
		if head, err = wait.forEvents(ctx, eventtable.Head{Seq: p.end.seq}); err != nil {
			return err
		}
	}
	e.setHeaders(w, r, q, p.end, wait)
	logPage(ctx, p, p.end.seq-start.seq, started)
	etag := tag(p.end.seq)
	if httpapi.NotModified(r, etag) { // a full page never changes
		httpapi.WriteNotModified(w, etag)
		return nil
	}
	w.Header().Set("ETag", etag)
	return httpapi.WriteItems(w, r, p.events)
}

// requireApplication returns a NotFound fault if the application is not registered: a client with a
// misspelt name would otherwise poll forever. It looks the application up only if the feed is
// empty; other polls need no extra read.
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

// checkPastEnd reads the feed's end again, because the position is after the end that the request
// read first. It returns a Gone fault if the position is after the new end too: the feed was then
// restored from a backup, and other events will get the positions that the cursor has passed.
func (e FeedEndpoint) checkPastEnd(ctx context.Context, appID string, at position) (position, error) {
	head, err := e.Feeds.Head(ctx, appID)
	if err == nil && at.seq > head.Seq {
		err = fault.New(fault.Gone, "cursor-gone",
			"The feed was restored from a backup and ends before this cursor. Continue from a date before the restore, and ignore events whose id you already have.")
	}
	return at, err
}

// setHeaders sets Vary, the link to the next page and, if the client prefers to wait,
// Preference-Applied.
func (e FeedEndpoint) setHeaders(w http.ResponseWriter, r *http.Request, q query, end position, wait *waiter) {
	w.Header().Set("Vary", "Accept, Prefer")
	httpapi.SetNextLink(w, e.URLs.PlatformURL(r, q.next(end, wait.appID)))
	if wait.preferred {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.wait/time.Second)))
	}
}

// logPage adds the numbers of events and of examined positions to the request's log line.
func logPage(ctx context.Context, p page, examined int64, started time.Time) {
	logging.Add(ctx, slog.Int("events", len(p.events)), slog.Int64("examined", examined),
		slog.Float64("heldMs", float64(time.Since(started).Microseconds())/1000))
}

// authorize returns the id of the application in the path. It returns a fault if the caller is not
// the application's owner with permission to read. It does not check whether the application is
// registered.
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

// page is the result of a request so far.
type page struct {
	events   []json.RawMessage // never nil
	bytes    int
	end      position // the last examined position
	examined int
}

// read adds the matching events between the page's end and the feed's end, within the limits.
func (p *page) read(ctx context.Context, feeds Feeds, appID string, head int64, q query) error {
	batch := q.size
	for p.end.seq < head && p.examined < maxExamined && len(p.events) < q.size {
		limit := min(batch, readBatch, maxExamined-p.examined)
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
				if p.bytes += len(record.Document.JSON); p.bytes > httpapi.MaxItemBytes && len(p.events) > 0 {
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
		batch *= 2 // few events may match
	}
	return nil
}

// query holds the parameters of a request.
type query struct {
	values url.Values
	after  after
	step   string   // workflow.currentStep; "" for any step
	types  []string // eventType; empty for any type
	size   int
}

// parseQuery returns the parameters, or an Invalid fault.
func parseQuery(r *http.Request, appID string) (query, error) {
	values, err := httpapi.ParseQuery(r, "after", "workflow.currentStep", "eventType", "size")
	if err != nil {
		return query{}, err
	}
	q := query{values: values}
	if q.step, err = httpapi.SingleValue(values, "workflow.currentStep"); err != nil {
		return query{}, err
	}
	q.types = values["eventType"]
	for _, name := range q.types {
		if !slices.Contains(event.Types(), name) {
			return query{}, fault.InvalidParameter("eventType", "use %s; repeat the parameter for several types", strings.Join(event.Types(), ", "))
		}
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

// start returns the position after which the page begins. It returns an Invalid fault if after is
// the id of an event that is not in the feed.
func (q query) start(ctx context.Context, feeds Feeds, appID string) (position, error) {
	switch {
	case q.after.id != "":
		seq, found, err := feeds.PositionOfID(ctx, appID, q.after.id)
		if err == nil && !found {
			err = invalidAfter("the feed has no event with this id yet")
		}
		return position{seq: seq}, err
	case !q.after.time.IsZero():
		seq, err := feeds.PositionOfTime(ctx, appID, q.after.time)
		return position{seq: seq, since: q.after.time}, err
	default:
		return q.after.position, nil
	}
}

// since returns the time that the reader started from, or zero if it started from a position. All
// returned events belong to later changes.
func (q query) since() time.Time {
	if !q.after.time.IsZero() {
		return q.after.time
	}
	return q.after.position.since
}

// filters reports whether the query may drop events.
func (q query) filters(at position) bool {
	return q.step != "" || len(q.types) > 0 || !at.since.IsZero()
}

// matches reports whether the query returns the event.
func (q query) matches(at position, record eventtable.Record) bool {
	ev := record.Document.Event
	return (q.step == "" || ev.WorkflowStep == q.step) &&
		(len(q.types) == 0 || slices.Contains(q.types, ev.EventType)) && (at.since.IsZero() || ev.At.After(at.since))
}

// next returns the query string of the next page: a new cursor and the other parameters unchanged.
func (q query) next(end position, appID string) string {
	values := url.Values{"after": {end.encode(appID)}}
	for _, name := range []string{"workflow.currentStep", "eventType", "size"} {
		if values[name] = q.values[name]; values[name] == nil {
			delete(values, name)
		}
	}
	return values.Encode()
}
