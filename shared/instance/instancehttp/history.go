package instancehttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// Histories reads the recorded events of an instance; an eventtable.Feed is one.
type Histories interface {
	// History returns at most limit events of an instance after the given number, in order and
	// without gaps. It ends after the event with which their size reaches maxBytes.
	History(ctx context.Context, instanceGuid string, after, limit, maxBytes int) ([]event.Encoded, error)
}

// Pending reads the events that are not in the feed yet; an outboxtable.Table is one.
type Pending interface {
	// ForInstance returns the pending events of one instance after the given number, in order. It
	// ends after the event with which their size reaches maxBytes.
	ForInstance(ctx context.Context, instanceGuid string, after, maxBytes int) ([]event.Encoded, error)
}

// HistoryEndpoint serves the events of one instance, from the first event, or from the one after
// the parameter "after". The history contains an event as soon as its change is complete: events
// that are not in the feed yet come from the outbox. Users get every event as Encoded.ForUsers
// returns it.
type HistoryEndpoint struct {
	Authorizer Authorizer
	Instances  Reader
	Outbox     Pending
	Feeds      Histories
	URLs       httpapi.BaseURLs
}

// Serve responds to one request with a page of events, and with the URL of the next page in Link. A
// page ends before the event that would make it larger than httpapi.MaxItemBytes.
func (e HistoryEndpoint) Serve(w http.ResponseWriter, r *http.Request) error {
	access, err := e.Authorizer.Read(r)
	if err != nil {
		return err
	}
	i, err := access.Load(r.Context(), e.Instances)
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "after", "size")
	if err != nil {
		return err
	}
	size, err := httpapi.PageSize(values)
	if err != nil {
		return err
	}
	after, err := afterEvent(values, i)
	if err != nil {
		return err
	}
	events, end, err := e.page(r.Context(), i, access.Caller.IsOwner(), after, size)
	if err != nil {
		return err
	}
	logging.Add(r.Context(), slog.Int("events", len(events)))
	subject := i.ID
	if !access.Caller.IsOwner() { // the pages of user and owner differ at the same position
		subject += " user"
	}
	if end > 0 {
		next := url.Values{"after": {event.ID(i.ID, end)}}
		if values.Has("size") {
			next["size"] = values["size"]
		}
		httpapi.SetNextLink(w, e.URLs.PlatformURL(r, next.Encode()))
	}
	w.Header().Set("Vary", "Accept")
	tag := httpapi.PositionTag(r, subject, strconv.Itoa(end))
	if httpapi.NotModified(r, tag) {
		httpapi.WriteNotModified(w, tag)
		return nil
	}
	w.Header().Set("ETag", tag)
	return httpapi.WriteEvents(w, r, e.URLs, events)
}

// Limits of a page that begins with events for the owner only. An empty page means that no events
// follow, so such a page continues with later ones.
const (
	hiddenBatch = 100
	maxHidden   = 10 // batches
)

// page returns the events of a page after the given number, and the number of the last event that
// it has examined. It returns at most size events, and fewer for a user if some are for the owner
// only or internal: the numbers of an instance's events are consecutive and include those.
func (e HistoryEndpoint) page(ctx context.Context, i *instance.Instance, owner bool, after, size int) (events []event.Encoded, end int, err error) {
	end = after
	limit := size
	for range maxHidden {
		docs, err := e.read(ctx, i, end, limit)
		if err != nil {
			return nil, 0, err
		}
		for _, doc := range docs {
			if len(events) == size {
				return events, end, nil
			}
			shown := !event.Internal(doc.Event.EventType)
			if shown && !owner {
				if doc, shown, err = doc.ForUsers(); err != nil {
					return nil, 0, err
				}
			}
			if shown {
				events = append(events, doc)
			}
			end++
		}
		if len(events) > 0 || len(docs) == 0 || end >= i.EventCount {
			break
		}
		limit = hiddenBatch
	}
	return events, end, nil
}

// afterEvent returns the number of the event that the parameter "after" names, or 0 without one.
func afterEvent(values url.Values, i *instance.Instance) (int, error) {
	text, err := httpapi.SingleValue(values, "after")
	if err != nil || text == "" {
		return 0, err
	}
	guid, number, err := event.ParseID(text)
	if err != nil || guid != i.ID || number > i.EventCount {
		return 0, fault.InvalidParameter("after", "it must be the id of an event of this instance")
	}
	return number, nil
}

// The items of a transaction become visible one by one, so for a moment neither the outbox nor the
// feed may contain an event.
const (
	historyAttempts   = 4
	historyRetryDelay = 20 * time.Millisecond // before the second attempt; doubles with each attempt
)

// read returns the events of the page after the given number, at most size. It reads the outbox
// before the feed: an event that leaves the outbox in between is in the feed by then.
func (e HistoryEndpoint) read(ctx context.Context, i *instance.Instance, after, size int) ([]event.Encoded, error) {
	want := min(i.EventCount-after, size)
	delay := historyRetryDelay
	for attempt := 1; ; attempt++ {
		pending, err := e.Outbox.ForInstance(ctx, i.ID, after, httpapi.MaxItemBytes)
		if err != nil {
			return nil, err
		}
		docs, err := e.Feeds.History(ctx, i.ID, after, size, httpapi.MaxItemBytes)
		if err != nil {
			return nil, err
		}
		for _, doc := range pending {
			if doc.Number == after+len(docs)+1 && len(docs) < size {
				docs = append(docs, doc)
			}
		}
		page, full := limitBytes(docs)
		if full || len(page) >= want || attempt == historyAttempts {
			return page, nil
		}
		select {
		case <-time.After(delay):
			delay *= 2
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// limitBytes returns the first docs, as many as a page may have, but at least one. full reports
// whether the page has no space for more.
func limitBytes(docs []event.Encoded) (page []event.Encoded, full bool) {
	size := 0
	for n, doc := range docs {
		if size += len(doc.JSON); size > httpapi.MaxItemBytes && n > 0 {
			return docs[:n], true
		}
	}
	return docs, size >= httpapi.MaxItemBytes
}
