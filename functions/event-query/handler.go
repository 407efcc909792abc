package main

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
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/requestlog"
)

// Bounds of one request. A page ends at whichever comes first, and the next goes on from there.
const (
	// maxExamined is how many positions a filtered request looks at. One that finds little has come this far at least,
	// unless it has come to the end.
	maxExamined = 5000

	// maxPageBytes is how large a page may be, unless its first event alone is larger: Lambda's answer has room for 6 MB.
	maxPageBytes = 4_000_000

	// chunk is how many positions are read at once: a quarter of a megabyte of usual events, and at most twelve of the
	// largest.
	chunk = 250
)

// feed is an eventtable.Feed.
type feed interface {
	// Read returns at most limit events after a position, dense; fewer than limit means that there are no more now.
	Read(ctx context.Context, appID string, after int64, limit int) ([]eventtable.Record, error)
	PositionOfID(ctx context.Context, appID, eventID string) (seq int64, found bool, err error)
	// PositionOfTime returns a position that no event of a change made after t is at or before.
	PositionOfTime(ctx context.Context, appID string, t time.Time) (int64, error)
}

// handler answers with the events after the position, or the time, that the parameter "after" names.
func handler(verifier *auth.Verifier, events feed, urls httpapi.BaseURLs) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		appID, err := authorize(verifier, r)
		if err != nil {
			return err
		}
		q, err := parseQuery(r, appID)
		if err != nil {
			return err
		}
		at, err := q.start(r.Context(), events, appID)
		if err != nil {
			return err
		}
		page, err := read(r.Context(), events, appID, at, q)
		if err != nil {
			return err
		}
		requestlog.Add(r.Context(), slog.Int("events", len(page.events)), slog.Int64("examined", page.end.seq-at.seq))
		w.Header().Set("Link", "<"+urls.PlatformURL(r, q.next(page.end, appID))+`>; rel="next"`)
		return httpapi.WriteJSON(w, http.StatusOK, page.events)
	})
}

// authorize returns the id of the application in the path, if the caller owns it. Whether it is registered makes no
// difference: an application without events has an empty feed.
func authorize(verifier *auth.Verifier, r *http.Request) (appID string, err error) {
	caller, err := verifier.Caller(r)
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
		return "", instance.NotFound()
	}
	return org + "/" + app, nil
}

// page is what a request found.
type page struct {
	events []json.RawMessage // never nil
	end    cursor            // the last position examined
}

// read collects the events after the position that match, within the bounds.
func read(ctx context.Context, events feed, appID string, at cursor, q query) (page, error) {
	p := page{events: []json.RawMessage{}, end: at}
	bytes := 0
	ask := q.size
	for examined := 0; examined < maxExamined && len(p.events) < q.size; ask *= 2 { // in case few match
		limit := min(ask, chunk, maxExamined-examined)
		if !q.filters(at) {
			limit = min(limit, q.size-len(p.events))
		}
		records, err := events.Read(ctx, appID, p.end.seq, limit)
		if err != nil {
			return page{}, err
		}
		for _, record := range records {
			if q.matches(at, record) {
				if len(p.events) == q.size {
					return p, nil
				}
				if bytes += len(record.Document.JSON); bytes > maxPageBytes && len(p.events) > 0 {
					return p, nil
				}
				p.events = append(p.events, record.Document.JSON)
			}
			p.end.seq = record.Seq
			examined++
		}
		if len(records) < limit {
			break
		}
	}
	return p, nil
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
	if q.step, err = httpapi.Single(values, "workflow.currentStep"); err != nil {
		return query{}, err
	}
	if q.size, err = httpapi.Size(values); err != nil {
		return query{}, err
	}
	text, err := httpapi.Single(values, "after")
	if err != nil {
		return query{}, err
	}
	q.after, err = parseAfter(text, appID)
	return q, err
}

// start returns where to begin.
func (q query) start(ctx context.Context, events feed, appID string) (cursor, error) {
	switch {
	case q.after.id != "":
		seq, found, err := events.PositionOfID(ctx, appID, q.after.id)
		if err == nil && !found {
			err = invalidAfter("no event of this application has this id, or it is not in the feed yet")
		}
		return cursor{seq: seq}, err
	case !q.after.time.IsZero():
		seq, err := events.PositionOfTime(ctx, appID, q.after.time)
		return cursor{seq: seq, since: q.after.time}, err
	default:
		return q.after.cursor, nil
	}
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
