// Package eventhttp provides the feed of an application's events over HTTP. A client that follows
// the Link header misses no event and gets none twice. A response is a JSON array or, by Accept,
// one event per line (NDJSON).
//
// The feed is kept forever, so no cursor expires. A 410 means that a restored feed has not reached
// the cursor again. A response without an error would skip the events that are recorded next.
//
// # Long polls
//
// A held request reads the end of the feed four times a second; EventBridge alone takes longer than
// a quarter of a second. Each held request is one of the account's thousand concurrent executions,
// so hundreds of consumers should subscribe through EventBridge.
package eventhttp

import (
	"context"
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
	// Read returns at most limit events after a position, without gaps. If it returns fewer, there
	// are no more events yet. It costs half a read unit if there are none.
	Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error)
	// Reaches reports whether the feed has the event at a position.
	Reaches(ctx context.Context, appID string, seq int64) (bool, error)
	// PositionOfID returns the position after an event of the application.
	PositionOfID(ctx context.Context, appID, eventID string) (at event.Position, found bool, err error)
	// PositionOfTime returns a position before all events of changes after t.
	PositionOfTime(ctx context.Context, appID string, t time.Time) (event.Position, error)
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
	URLs          httpapi.BaseURLs
	Hold          Hold
}

// Serve responds with a page of events. With Prefer: wait=N it holds a request without new events
// until an event arrives (long poll).
//
// A request without new events costs half a read unit, and now and then a read of the slot that it
// begins after. A held request also costs two write units for its place among those of the
// organisation, and half a read unit per pollInterval.
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
	wait := e.newWaiter(r, r.PathValue("org"), appID, started)
	defer wait.release(ctx)
	if end, ok := taggedPosition(r, appID); ok { // the client has the events up to there
		known := page{end: position{end, q.since()}}
		if err := e.fill(ctx, &known, appID, query{size: 1}, wait); err != nil {
			return err
		}
		if known.examined == 0 {
			e.setHeaders(w, r, q, known.end, wait)
			logPage(ctx, page{}, 0, started)
			httpapi.WriteNotModified(w, httpapi.PositionTag(r, appID, tagOf(end)))
			return nil
		}
	}
	start, err := e.start(ctx, q, appID)
	if err != nil {
		return err
	}
	p := page{end: start}
	if err := e.fill(ctx, &p, appID, q, wait); err != nil {
		return err
	}
	e.setHeaders(w, r, q, p.end, wait)
	logPage(ctx, p, p.end.Seq-start.Seq, started)
	etag := httpapi.PositionTag(r, appID, tagOf(p.end.Position))
	if httpapi.NotModified(r, etag) { // a full page never changes
		httpapi.WriteNotModified(w, etag)
		return nil
	}
	w.Header().Set("ETag", etag)
	return httpapi.WriteEvents(w, r, e.URLs, p.events)
}

// fill reads events into the page, until it has one, has examined the maximum number of
// positions, or may be held no longer.
func (e FeedEndpoint) fill(ctx context.Context, p *page, appID string, q query, wait *waiter) error {
	for checked := false; ; {
		if err := p.read(ctx, e.Feeds, appID, q); err != nil {
			return err
		}
		if p.examined == 0 && !checked { // before any header is set, so that all 404 responses are equal
			if err := e.checkStart(ctx, appID, p.end); err != nil {
				return err
			}
			checked = true
		}
		if len(p.events) > 0 || p.examined >= maxExamined {
			return nil
		}
		if more, err := wait.next(ctx); err != nil || !more {
			return err
		}
	}
}

// checkStart checks a position after which the feed has no events. It returns a NotFound fault if
// the feed is empty and the application not registered: a client with a misspelt name would
// otherwise poll forever. It returns a Gone fault if the feed ends before the position: the feed
// was then restored from a backup, and other events will get the positions that the cursor has
// passed.
func (e FeedEndpoint) checkStart(ctx context.Context, appID string, at position) error {
	if at.Seq == 0 {
		return requireApplication(ctx, e.Applications, appID)
	}
	reached, err := e.Feeds.Reaches(ctx, appID, at.Seq)
	if err == nil && !reached {
		err = cursorGone()
	}
	return err
}

// cursorGone returns the Gone fault for a cursor after the end of the feed.
func cursorGone() error {
	return fault.New(fault.Gone, "cursor-gone",
		"The feed was restored from a backup and ends before this cursor. Continue from a date before the restore, and ignore events whose id you already have.")
}

// requireApplication returns a NotFound fault if the application is not registered.
func requireApplication(ctx context.Context, applications ApplicationStore, appID string) error {
	app, err := applications.Get(ctx, appID)
	if err == nil && app == nil {
		err = fault.NoSuchResource()
	}
	return err
}

// start returns the position after which the page begins. It returns an Invalid fault if after is
// the id of an event that is not in the feed.
func (e FeedEndpoint) start(ctx context.Context, q query, appID string) (position, error) {
	switch {
	case q.after.id != "":
		at, found, err := e.Feeds.PositionOfID(ctx, appID, q.after.id)
		if err == nil && !found {
			if err = requireApplication(ctx, e.Applications, appID); err == nil {
				err = invalidAfter("the feed has no event with this id yet")
			}
		}
		return position{Position: at}, err
	case !q.after.time.IsZero():
		at, err := e.Feeds.PositionOfTime(ctx, appID, q.after.time)
		return position{at, q.after.time}, err
	default:
		return q.after.position, nil
	}
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
	owner, err := authorizeOwner(authenticator, r, auth.Caller.MayRead)
	if err != nil {
		return "", err
	}
	org, app := r.PathValue("org"), r.PathValue("app")
	if owner != org || !application.ValidID(org, app) {
		return "", fault.NoSuchResource()
	}
	return org + "/" + app, nil
}

// authorizeOwner returns the organisation of the caller. It returns a fault if the caller is not an
// owner, or the fault of may.
func authorizeOwner(authenticator Authenticator, r *http.Request, may func(auth.Caller) error) (org string, err error) {
	caller, err := authenticator.Authenticate(r)
	if err != nil {
		return "", err
	}
	if err := caller.MustBeOwner(); err != nil {
		return "", err
	}
	return caller.Org, may(caller)
}

// page is the result of a request so far.
type page struct {
	events   []event.Encoded
	bytes    int
	end      position // after the last examined event
	examined int
}

// read adds the matching events between the page's end and the feed's end, within the limits.
func (p *page) read(ctx context.Context, feeds Feeds, appID string, q query) error {
	batch := q.size
	for p.examined < maxExamined && len(p.events) < q.size {
		limit := min(batch, readBatch, maxExamined-p.examined)
		if !q.filters(p.end) {
			limit = min(limit, q.size-len(p.events))
		}
		records, err := feeds.Read(ctx, appID, p.end.Position, limit)
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
				p.events = append(p.events, record.Document)
			}
			p.end.Position = record.Position
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

// matches reports whether the query returns the event. No query returns an internal event. Its
// position is passed like that of a filtered one.
func (q query) matches(at position, record event.Record) bool {
	ev := record.Document.Event
	return ev.Passes(q.step, q.types) && (at.since.IsZero() || ev.At.After(at.since))
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
