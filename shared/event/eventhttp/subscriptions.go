package eventhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/shared/webhook"
)

// maxSubscription is the maximum size of a body in bytes.
const maxSubscription = 16 << 10

// Places finds places in the feeds of all applications; eventtable.Feed implements it.
type Places interface {
	// End returns the end of an application's feed.
	End(ctx context.Context, appID string) (event.Position, error)
	// Reaches reports whether the feed has the event at a position.
	Reaches(ctx context.Context, appID string, seq int64) (bool, error)
	// PositionOfID returns the position after an event of the application.
	PositionOfID(ctx context.Context, appID, eventID string) (at event.Position, found bool, err error)
	// PositionOfTime returns a position before all events of changes after t.
	PositionOfTime(ctx context.Context, appID string, t time.Time) (event.Position, error)
}

// Waker announces a changed subscription to the senders; eventbus.Bus implements it.
type Waker interface {
	Wake(ctx context.Context, org, subscriptionID string) error
}

// SubscriptionsEndpoint serves the subscriptions of the caller's organisation. Each endpoint uses
// only some of the fields.
type SubscriptionsEndpoint struct {
	Authenticator Authenticator
	Applications  ApplicationStore
	Subscriptions webhook.Subscriptions
	Feeds         Places
	Waker         Waker
	URLs          httpapi.BaseURLs
	Insecure      bool // accepts endpoints on loopback addresses
	Now           func() time.Time
}

// subscriptionDocument is a subscription in a response.
type subscriptionDocument struct {
	ID            string        `json:"id"`
	Endpoint      string        `json:"endpoint"`
	AppIDs        []string      `json:"appIds"`
	EventTypes    []string      `json:"eventTypes"` // empty for all types
	Step          string        `json:"workflow.currentStep,omitempty"`
	Format        string        `json:"format"`
	State         string        `json:"state"`
	PausedReason  string        `json:"pausedReason,omitempty"`
	Secret        string        `json:"secret,omitempty"` // only in the responses to its creation and to a rotation
	OldValidUntil *rfc3339.Time `json:"oldSecretValidUntil,omitempty"`
	Created       rfc3339.Time  `json:"createdDateTime"`
	Changed       rfc3339.Time  `json:"lastChangedDateTime"`
}

// document returns the subscription without its secret.
func (e SubscriptionsEndpoint) document(s *webhook.Subscription) subscriptionDocument {
	d := subscriptionDocument{ID: s.ID, Endpoint: s.Endpoint, AppIDs: s.AppIDs, EventTypes: append([]string{}, s.EventTypes...), Step: s.Step,
		Format: s.Format, State: s.State(), PausedReason: s.PausedBy, Created: rfc3339.Time{Time: s.Created}, Changed: rfc3339.Time{Time: s.Changed}}
	if until := s.Secrets.OldUntil(e.Now()); !until.IsZero() {
		d.OldValidUntil = &rfc3339.Time{Time: until}
	}
	return d
}

// write responds with a subscription and its entity tag. A response with a secret must not be
// stored.
func (e SubscriptionsEndpoint) write(w http.ResponseWriter, status int, s *webhook.Subscription, secret string) error {
	d := e.document(s)
	d.Secret = secret
	w.Header().Set("ETag", httpapi.VersionTag(s.Version))
	if secret != "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	return httpapi.WriteJSON(w, status, d)
}

// authorizeOrg returns the organisation of the caller. It returns a fault if the caller is not an
// owner with the permission to read or, if writes is set, to write.
func (e SubscriptionsEndpoint) authorizeOrg(r *http.Request, writes bool) (string, error) {
	may := auth.Caller.MayRead
	if writes {
		may = auth.Caller.MayWrite
	}
	org, err := authorizeOwner(e.Authenticator, r, may)
	if err != nil {
		return "", err
	}
	_, err = httpapi.ParseQuery(r)
	return org, err
}

// named returns the organisation of the caller and the id in the path. It returns a NotFound fault
// if the id is not that of a subscription.
func (e SubscriptionsEndpoint) named(r *http.Request, writes bool) (org, id string, err error) {
	if org, err = e.authorizeOrg(r, writes); err != nil {
		return "", "", err
	}
	const idLength = 36
	text := r.PathValue("subscriptionId")
	parsed, err := uuid.Parse(text)
	if err != nil || len(text) != idLength {
		return "", "", fault.NoSuchResource()
	}
	return org, parsed.String(), nil
}

// subscriptionBody is the body of a creation or, with Paused, of a change. A null or empty
// EventTypes or Step means all of them. No other member can be null.
type subscriptionBody struct {
	Endpoint   json.RawMessage `json:"endpoint"`
	AppIDs     json.RawMessage `json:"appIds"`
	EventTypes json.RawMessage `json:"eventTypes"`
	Step       json.RawMessage `json:"workflow.currentStep"`
	Format     json.RawMessage `json:"format"`
}

// subscriptionPatch is the body of a change.
type subscriptionPatch struct {
	subscriptionBody
	Paused json.RawMessage `json:"paused"`
}

// member returns a member of a body, or nil if it is absent. The error is an Invalid fault. what
// describes the valid values.
func member[T any](raw json.RawMessage, name, what string) (*T, error) {
	if raw == nil {
		return nil, nil
	}
	value := new(T)
	if bytes.Equal(raw, null) || json.Unmarshal(raw, value) != nil {
		return nil, httpapi.InvalidBody("%s must be %s", name, what)
	}
	return value, nil
}

var null = []byte("null")

// orEmpty returns a member, or empty if the member is null.
func orEmpty(raw json.RawMessage, empty string) json.RawMessage {
	if bytes.Equal(raw, null) {
		return json.RawMessage(empty)
	}
	return raw
}

// edit returns the edit that a body describes. It returns an Invalid fault if a member has the
// wrong type.
func (p subscriptionPatch) edit() (e webhook.Edit, err error) {
	var errs [6]error
	e.Endpoint, errs[0] = member[string](p.Endpoint, "endpoint", "a URL")
	e.AppIDs, errs[1] = member[[]string](p.AppIDs, "appIds", "a list of application ids")
	e.EventTypes, errs[2] = member[[]string](orEmpty(p.EventTypes, "[]"), "eventTypes", "a list of types, or null for all types")
	e.Step, errs[3] = member[string](orEmpty(p.Step, `""`), "workflow.currentStep", "the name of a step, or null for all steps")
	e.Format, errs[4] = member[string](p.Format, "format", webhook.FormatEvent+" or "+webhook.FormatCloudEvent)
	e.Paused, errs[5] = member[bool](p.Paused, "paused", "true or false")
	for _, each := range errs {
		if each != nil {
			return e, each
		}
	}
	if e.AppIDs != nil && (len(*e.AppIDs) == 0 || len(*e.AppIDs) > webhook.MaxApps) {
		return e, httpapi.InvalidBody("appIds must name 1 to %d applications", webhook.MaxApps)
	}
	return e, nil
}

// Create creates a subscription. It responds with 200 and the existing one if the organisation has
// a subscription with the same content.
func (e SubscriptionsEndpoint) Create(w http.ResponseWriter, r *http.Request) error {
	org, err := e.authorizeOrg(r, true)
	if err != nil {
		return err
	}
	var b subscriptionBody
	if err := httpapi.DecodeJSON(r, maxSubscription, &b); err != nil {
		return err
	}
	edit, err := subscriptionPatch{subscriptionBody: b}.edit()
	if err != nil {
		return err
	}
	s := webhook.New(org, edit, e.Now())
	if err := e.check(r.Context(), org, s, nil); err != nil {
		return err
	}
	ends, err := e.ends(r.Context(), s.AppIDs, nil)
	if err != nil {
		return err
	}
	var same *webhook.Subscription
	err = e.Subscriptions.Add(r.Context(), org, func(existing []*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
		same = nil
		if n := slices.IndexFunc(existing, s.SameContent); n >= 0 {
			same = existing[n]
			return nil, nil, nil
		}
		if len(existing) >= webhook.MaxPerOrg {
			return nil, nil, fault.New(fault.Conflict, "subscription-count",
				"The organisation has %d subscriptions, the maximum. Delete one that you do not need, or add the applications to an existing one.", len(existing))
		}
		return s, s.Moves(ends), nil
	})
	if err != nil {
		return err
	}
	if same != nil {
		return e.write(w, http.StatusOK, same, "")
	}
	e.wake(r.Context(), s)
	w.Header().Set("Location", e.URLs.PlatformURL(r, "")+"/"+s.ID)
	return e.write(w, http.StatusCreated, s, s.Secrets.Current)
}

// check returns a fault if the content of a subscription is not valid. known are applications that
// need no check.
func (e SubscriptionsEndpoint) check(ctx context.Context, org string, s *webhook.Subscription, known []string) error {
	if err := webhook.CheckEndpoint(s.Endpoint, e.Insecure); err != nil {
		return err
	}
	if len(s.AppIDs) == 0 {
		return httpapi.InvalidBody("appIds must name at least one application, such as %s/app2018", org)
	}
	for _, name := range s.EventTypes {
		if !slices.Contains(event.Types(), name) {
			return httpapi.InvalidBody("eventTypes may contain %s", strings.Join(event.Types(), ", "))
		}
	}
	if s.Step != "" && !application.ValidStepName(s.Step) {
		return httpapi.InvalidBody("workflow.currentStep must be the name of a step")
	}
	if s.Format != webhook.FormatEvent && s.Format != webhook.FormatCloudEvent {
		return httpapi.InvalidBody("format must be %s or %s", webhook.FormatEvent, webhook.FormatCloudEvent)
	}
	for _, appID := range s.AppIDs {
		if slices.Contains(known, appID) {
			continue
		}
		owner, name, ok := application.SplitID(appID)
		if !ok || owner != org || !application.ValidID(owner, name) {
			return httpapi.InvalidBody("appIds may contain only applications of the organisation %s", org)
		}
		app, err := e.Applications.Get(ctx, appID)
		if err != nil {
			return err
		}
		if app == nil {
			return httpapi.InvalidBody("appIds contains an application that is not registered; register it first")
		}
	}
	return nil
}

// ends returns the ends of the feeds of the applications, except those of known.
func (e SubscriptionsEndpoint) ends(ctx context.Context, appIDs, known []string) (map[string]event.Position, error) {
	ends := map[string]event.Position{}
	for _, appID := range appIDs {
		if slices.Contains(known, appID) {
			continue
		}
		at, err := e.Feeds.End(ctx, appID)
		if err != nil {
			return nil, err
		}
		ends[appID] = at
	}
	return ends, nil
}

// wake announces a changed subscription. Without the announcement, the senders find it within a
// minute.
func (e SubscriptionsEndpoint) wake(ctx context.Context, s *webhook.Subscription) {
	if err := e.Waker.Wake(ctx, s.Org, s.ID); err != nil {
		slog.WarnContext(ctx, "did not announce the subscription", slog.String("subscriptionId", s.ID), slog.String("cause", err.Error()))
	}
}

// List responds with the subscriptions of the organisation, in the order of their creation.
func (e SubscriptionsEndpoint) List(w http.ResponseWriter, r *http.Request) error {
	org, err := e.authorizeOrg(r, false)
	if err != nil {
		return err
	}
	all, err := e.Subscriptions.List(r.Context(), org)
	if err != nil {
		return err
	}
	body := struct {
		Subscriptions []subscriptionDocument `json:"subscriptions"`
	}{make([]subscriptionDocument, len(all))}
	for n, s := range all {
		body.Subscriptions[n] = e.document(s)
	}
	return httpapi.WriteJSON(w, http.StatusOK, body)
}

// get returns the subscription that the path names, or a NotFound fault.
func (e SubscriptionsEndpoint) get(r *http.Request, writes bool) (*webhook.Subscription, error) {
	org, id, err := e.named(r, writes)
	if err != nil {
		return nil, err
	}
	s, err := e.Subscriptions.Get(r.Context(), org, id)
	if err == nil && s == nil {
		err = fault.NoSuchResource()
	}
	return s, err
}

// Get responds with a subscription.
func (e SubscriptionsEndpoint) Get(w http.ResponseWriter, r *http.Request) error {
	s, err := e.get(r, false)
	if err != nil {
		return err
	}
	if tag := httpapi.VersionTag(s.Version); httpapi.NotModified(r, tag) {
		httpapi.WriteNotModified(w, tag)
		return nil
	}
	return e.write(w, http.StatusOK, s, "")
}

// Update changes, pauses or resumes a subscription.
func (e SubscriptionsEndpoint) Update(w http.ResponseWriter, r *http.Request) error {
	current, err := e.get(r, true)
	if err != nil {
		return err
	}
	var patch subscriptionPatch
	if err := httpapi.DecodeMergePatch(r, maxSubscription, &patch); err != nil {
		return err
	}
	edit, err := patch.edit()
	if err != nil {
		return err
	}
	changed := current.Clone()
	changed.Apply(edit, nil, e.Now())
	if err := e.check(r.Context(), current.Org, changed, current.AppIDs); err != nil {
		return err
	}
	ends, err := e.ends(r.Context(), changed.AppIDs, current.AppIDs)
	if err != nil {
		return err
	}
	s, moved, err := e.change(r, current.Org, current.ID, func(s *webhook.Subscription) ([]webhook.Move, error) {
		if edit.AppIDs != nil && !slices.Equal(s.AppIDs, current.AppIDs) {
			return nil, fault.Busy(errors.New("another request changed the applications of the subscription"))
		}
		return s.Apply(edit, ends, e.Now()), nil
	})
	if err != nil {
		return err
	}
	if moved {
		e.wake(r.Context(), s)
	}
	return e.write(w, http.StatusOK, s, "")
}

// change changes a subscription if the conditions of the request hold. It reports whether the
// change moves readers. It returns a NotFound fault if there is no subscription.
func (e SubscriptionsEndpoint) change(r *http.Request, org, id string, change func(*webhook.Subscription) ([]webhook.Move, error)) (s *webhook.Subscription, moved bool, err error) {
	s, err = e.Subscriptions.Change(r.Context(), org, id, func(s *webhook.Subscription) ([]webhook.Move, error) {
		if err := httpapi.CheckConditions(r, httpapi.VersionTag(s.Version)); err != nil {
			return nil, err
		}
		moves, err := change(s)
		moved = len(moves) > 0
		return moves, err
	})
	if err == nil && s == nil {
		err = fault.NoSuchResource()
	}
	return s, moved, err
}

// Delete deletes a subscription. A sender that is sending to its endpoint stops within a second.
func (e SubscriptionsEndpoint) Delete(w http.ResponseWriter, r *http.Request) error {
	org, id, err := e.named(r, true)
	if err != nil {
		return err
	}
	deleted, err := e.Subscriptions.Delete(r.Context(), org, id, func(s *webhook.Subscription) error {
		return httpapi.CheckConditions(r, httpapi.VersionTag(s.Version))
	})
	if err == nil && !deleted {
		err = fault.NoSuchResource()
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Rotate replaces the secret of a subscription. The replaced one is valid for a day.
func (e SubscriptionsEndpoint) Rotate(w http.ResponseWriter, r *http.Request) error {
	org, id, err := e.named(r, true)
	if err != nil {
		return err
	}
	s, _, err := e.change(r, org, id, func(s *webhook.Subscription) ([]webhook.Move, error) {
		now := e.Now().UTC().Truncate(time.Microsecond)
		s.Secrets.Rotate(now)
		s.Changed = now
		return nil, nil
	})
	if err != nil {
		return err
	}
	return e.write(w, http.StatusOK, s, s.Secrets.Current)
}

// replayBody is the body of a replay.
type replayBody struct {
	After string `json:"after"`
	AppID string `json:"appId"`
}

// Replay makes the endpoint receive the events after a place in the feed again. A date or time
// applies to all applications of the subscription, or to the one that appId names. An event or a
// cursor belongs to one application.
func (e SubscriptionsEndpoint) Replay(w http.ResponseWriter, r *http.Request) error {
	current, err := e.get(r, true)
	if err != nil {
		return err
	}
	var b replayBody
	if err := httpapi.DecodeJSON(r, maxSubscription, &b); err != nil {
		return err
	}
	starts, err := e.starts(r.Context(), current, b)
	if err != nil {
		return err
	}
	s, moved, err := e.change(r, current.Org, current.ID, func(s *webhook.Subscription) ([]webhook.Move, error) {
		var moves []webhook.Move
		for _, appID := range s.AppIDs {
			if start, ok := starts[appID]; ok {
				moves = append(moves, webhook.Move{AppID: appID, Start: &start})
			}
		}
		return moves, nil
	})
	if err != nil {
		return err
	}
	if moved {
		e.wake(r.Context(), s)
	}
	return e.write(w, http.StatusOK, s, "")
}

// starts returns the places where the readers of a replay start, by application.
func (e SubscriptionsEndpoint) starts(ctx context.Context, s *webhook.Subscription, b replayBody) (map[string]webhook.Start, error) {
	appIDs := s.AppIDs
	if b.AppID != "" {
		if !s.Reads(b.AppID) {
			return nil, httpapi.InvalidBody("appId must be one of the applications of the subscription")
		}
		appIDs = []string{b.AppID}
	}
	starts := map[string]webhook.Start{}
	for _, appID := range appIDs {
		a, err := parseAfter(b.After, appID)
		switch {
		case err != nil || b.After == "": // perhaps the cursor of another application
			continue
		case a.id != "":
			at, found, err := e.Feeds.PositionOfID(ctx, appID, a.id)
			if err != nil {
				return nil, err
			}
			if found {
				starts[appID] = webhook.Start{At: at}
			}
		case a.time.After(e.Now()) || a.position.since.After(e.Now()):
			return nil, httpapi.InvalidBody("after must not be in the future")
		case !a.time.IsZero():
			at, err := e.Feeds.PositionOfTime(ctx, appID, a.time)
			if err != nil {
				return nil, err
			}
			starts[appID] = webhook.Start{At: at, Since: a.time}
		default:
			reached, err := e.Feeds.Reaches(ctx, appID, a.position.Seq)
			if err != nil {
				return nil, err
			}
			if !reached { // the reader would skip the next events
				return nil, cursorGone()
			}
			starts[appID] = webhook.Start{At: a.position.Position, Since: a.position.since}
		}
	}
	if len(starts) == 0 {
		return nil, httpapi.InvalidBody("after must be a date (2019-03-30), a date-time with an offset (2019-03-30T12:00:00Z), the id of an event in the feed of an application of the subscription, or a cursor of such a feed")
	}
	return starts, nil
}

// deliveryDocument is an attempt in a response.
type deliveryDocument struct {
	EventID string       `json:"eventId,omitempty"` // absent for the verification
	At      rfc3339.Time `json:"at"`
	Status  int          `json:"status,omitempty"` // absent without a response
	Millis  int64        `json:"ms"`
	Error   string       `json:"error,omitempty"`
}

// Deliveries responds with the latest attempts to send to the endpoint, the newest first.
func (e SubscriptionsEndpoint) Deliveries(w http.ResponseWriter, r *http.Request) error {
	s, err := e.get(r, false)
	if err != nil {
		return err
	}
	readers, err := e.Subscriptions.Readers(r.Context(), s.ID)
	if err != nil {
		return err
	}
	latest := webhook.Latest(readers)
	body := struct {
		Deliveries []deliveryDocument `json:"deliveries"`
	}{make([]deliveryDocument, len(latest))}
	for n, d := range latest {
		body.Deliveries[n] = deliveryDocument{d.EventID, rfc3339.Time{Time: d.At}, d.Status, d.Took.Milliseconds(), string(d.Error)}
	}
	return httpapi.WriteJSON(w, http.StatusOK, body)
}
