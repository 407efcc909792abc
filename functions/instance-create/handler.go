package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/rfc3339"
)

// body is the request body: the instance owner and the initial content of the instance.
type body struct {
	Reportee          *instancehttp.Reportee `json:"reportee"`
	InstanceOwnerID   *string                `json:"instanceOwnerId"` // instead of reportee
	Labels            []string               `json:"labels"`
	DueDateTime       rfc3339.Optional       `json:"dueDateTime"`
	VisibleDateTime   rfc3339.Optional       `json:"visibleDateTime"`
	PresentationField string                 `json:"presentationField"`
	Data              []dataElement          `json:"data"`
}

// dataElement is an inline data element. Content is base64 in JSON.
type dataElement struct {
	FormID      string     `json:"formId"`
	ContentType string     `json:"contentType"`
	FileName    string     `json:"fileName"`
	Content     base64Text `json:"content"`

	name string // for error messages; "" for an element of the JSON document
}

// base64Text is content in standard base64. It rejects a JSON array of numbers, which encoding/json
// would accept.
type base64Text []byte

// UnmarshalJSON decodes a JSON string. It fails for any other JSON value.
func (b *base64Text) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '"' {
		return errors.New("content is not a string")
	}
	return json.Unmarshal(text, (*[]byte)(b))
}

// handler holds the dependencies of POST …/instances.
type handler struct {
	authenticator instancehttp.Authenticator
	applications  instancehttp.Applications
	parties       interface {
		auth.PartyFinder
		FindOrAssign(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, err error)
		Exists(ctx context.Context, instanceOwnerID string) (bool, error)
	}
	instances interface {
		instancehttp.Reader
		instancehttp.IdempotencyRecords
		instancehttp.AgendaScheduler
		instancehttp.UsageCounter
		Create(ctx context.Context, i *instance.Instance, ev event.Event) error
	}
	blobs instancehttp.BlobStore
	view  instancehttp.View
	quota instance.Quota
}

func newHandler(h *handler) http.Handler {
	return httpapi.HandlerFunc(h.createInstance)
}

func (h *handler) createInstance(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	caller, err := h.authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	if err := caller.MayWrite(); err != nil {
		return err
	}
	if caller.IsOwner() && caller.Org != r.PathValue("org") {
		return fault.NoSuchResource()
	}
	if _, err := httpapi.ParseQuery(r); err != nil {
		return err
	}
	var app *application.Application
	var appErr error
	var reading sync.WaitGroup
	reading.Go(func() { app, appErr = h.applications.Get(ctx, r.PathValue("org")+"/"+r.PathValue("app")) })
	sender, err := h.resolveCaller(ctx, caller)
	reading.Wait()
	switch {
	case appErr != nil:
		return appErr
	case app == nil:
		return fault.NoSuchResource()
	case err == nil && sender.id == "" && !caller.IsOwner() && r.Header["Idempotency-Key"] != nil:
		// Idempotency-Keys are separate for each party, so this caller needs a party number first.
		sender.id, err = h.parties.FindOrAssign(ctx, caller.Identities...)
		sender.registered = err == nil
	}
	if err != nil {
		return err
	}
	replay := func(earlier *instance.IdempotencyRecord) error {
		i, err := h.loadCreated(ctx, caller, sender, earlier)
		if err != nil {
			return err
		}
		return h.view.For(caller).Write(w, r, http.StatusCreated, i)
	}
	return instancehttp.Idempotent(r, h.instances, caller, sender.id, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		i, err := h.storeInstance(r, caller, sender, app, record)
		if err != nil {
			return err
		}
		return h.view.For(caller).Write(w, r, http.StatusCreated, i)
	})
}

// loadCreated returns the current instance that an earlier request created, or a Conflict if the
// instance was deleted permanently.
func (h *handler) loadCreated(ctx context.Context, caller auth.Caller, sender callerParty, earlier *instance.IdempotencyRecord) (*instance.Instance, error) {
	access := instancehttp.Access{Caller: caller, PartyID: sender.id, InstanceOwnerID: earlier.InstanceOwnerID, Guid: earlier.InstanceID}
	i, err := access.Load(ctx, h.instances)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Conflict, "instance-gone",
			"The request with this Idempotency-Key created an instance that was deleted permanently later. Use a new key to create another instance.").WithCause(err)
	}
	return i, err
}

// callerParty is the party of a user. It is empty for an application owner, and for a user without
// a party number.
type callerParty struct {
	id         string // instanceOwnerId
	registered bool   // false for a party that only the token names
}

// resolveCaller returns the caller's party.
func (h *handler) resolveCaller(ctx context.Context, caller auth.Caller) (callerParty, error) {
	id, known, err := auth.ResolveParty(ctx, caller, h.parties)
	if known && err == nil && caller.PartyID != "" {
		known, err = h.parties.Exists(ctx, id)
	}
	return callerParty{id, known}, err
}

// storeInstance creates and stores the instance that the request's body describes. After an error,
// nothing is stored unless the outcome of the write is unknown.
func (h *handler) storeInstance(r *http.Request, caller auth.Caller, sender callerParty, app *application.Application, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	b, err := decodeBody(r)
	if err != nil {
		return nil, err
	}
	if visible := b.VisibleDateTime.Pointer(); !caller.IsOwner() && visible != nil && visible.After(time.Now()) {
		return nil, fault.New(fault.Invalid, "date-invalid", "Only the application owner can create an instance that is visible later. Leave visibleDateTime out.")
	}
	// Validate everything before assigning a party number or storing content.
	draft := instance.Draft{
		Application: app, Labels: b.Labels, DueDateTime: b.DueDateTime.Pointer(), VisibleDateTime: b.VisibleDateTime.Pointer(),
		PresentationField: b.PresentationField,
	}
	if draft.ID, err = validateDraft(draft, b.Data, caller.Name()); err != nil {
		return nil, err
	}
	var reserved reservation
	if draft.InstanceOwnerID, reserved, err = h.reserveFor(ctx, caller, sender, app, &b); err != nil {
		return nil, err
	}
	logging.Add(ctx, slog.String("app", app.ID), slog.String("instance", draft.ID))
	stored, err := h.storeBlobs(ctx, draft, b.Data)
	keys := make([]blob.Key, len(stored))
	for n, e := range stored {
		keys[n] = blob.KeyOf(app.ID, draft.InstanceOwnerID, draft.ID, e.id)
	}
	release, quotaErr := reserved()
	if quotaErr != nil {
		instancehttp.Undo(ctx, quotaErr, func() {}, h.blobs, keys...) // nothing is counted
		return nil, quotaErr
	}
	if err != nil {
		release()
		return nil, err
	}
	by := caller.Name()
	if by == "" {
		by = draft.InstanceOwnerID
	}
	// Read the clock as late as possible: pollers rely on a short time between lastChangedDateTime
	// and the write.
	i, err := buildInstance(draft, b.Data, stored, by, time.Now())
	if err != nil {
		release()
		return nil, err
	}
	i.IdempotencyRecord = record
	i.Timeline.UserChanged = !caller.IsOwner()
	now := time.Now()
	if at := i.NextCheck(app, now); !at.IsZero() {
		if err := h.instances.ScheduleAgenda(ctx, i.NotesFor(at, now)...); err != nil {
			release()
			return nil, err
		}
	}
	if err := h.instances.Create(ctx, i, i.StepEvent("", by, h.view.Links(i))); err != nil {
		instancehttp.Undo(ctx, err, release, h.blobs, keys...)
		return nil, err
	}
	return i, nil
}

// reservation waits until the creation is counted, and returns the function that subtracts it. It
// returns the error of instancehttp.Reserve. Call it once.
type reservation func() (release func(), err error)

// reserveFor returns the instanceOwnerId of the party that the body names, and counts the creation.
// It counts an owner's creation before it assigns a number, so an owner over its quota assigns
// none. A user can get only one number, its own, so that number comes first: the count needs it.
func (h *handler) reserveFor(ctx context.Context, caller auth.Caller, sender callerParty, app *application.Application, b *body) (instanceOwnerID string, reserved reservation, err error) {
	var identity party.Identity
	switch {
	case (b.Reportee != nil) == (b.InstanceOwnerID != nil), b.InstanceOwnerID != nil && *b.InstanceOwnerID == "":
		err = errOneOwner()
	case b.Reportee != nil:
		identity, err = b.Reportee.Identity(app.CheckIdentityNumbers)
	default:
		err = h.checkNumber(ctx, caller, sender, *b.InstanceOwnerID)
	}
	if err != nil {
		return "", nil, err
	}
	if !caller.IsOwner() {
		if instanceOwnerID, err = h.ownParty(ctx, caller, sender, identity); err != nil {
			return "", nil, err
		}
		return instanceOwnerID, h.reserveBeside(ctx, caller, instanceOwnerID, b), nil
	}
	release, err := instancehttp.Reserve(ctx, h.instances, h.quota, caller, "", usageOf(b))
	if err != nil {
		return "", nil, err
	}
	reserved = func() (func(), error) { return release, nil }
	if b.InstanceOwnerID != nil {
		return *b.InstanceOwnerID, reserved, nil
	}
	if instanceOwnerID, err = h.parties.FindOrAssign(ctx, identity); err != nil {
		release()
	}
	return instanceOwnerID, reserved, err
}

// reserveBeside counts the creation of a user while the content is stored. The content of a
// creation over the quota is deleted again.
func (h *handler) reserveBeside(ctx context.Context, caller auth.Caller, instanceOwnerID string, b *body) reservation {
	var release func()
	var err error
	var counting sync.WaitGroup
	counting.Go(func() {
		release, err = instancehttp.Reserve(ctx, h.instances, h.quota, caller, instanceOwnerID, usageOf(b))
	})
	return func() (func(), error) {
		counting.Wait()
		return release, err
	}
}

// usageOf returns what the request counts for the quota.
func usageOf(b *body) instance.Usage {
	use := instance.Usage{Instances: 1, Elements: int64(len(b.Data))}
	for _, d := range b.Data {
		use.Bytes += int64(len(d.Content))
	}
	return use
}

// checkNumber returns NotFound unless the caller can create instances for the party with this
// number: any party for an owner, its own for a user. It looks up no party of another user.
func (h *handler) checkNumber(ctx context.Context, caller auth.Caller, sender callerParty, number string) error {
	exists := number == sender.id && sender.registered
	if caller.IsOwner() && instance.ValidInstanceOwnerID(number) {
		var err error
		if exists, err = h.parties.Exists(ctx, number); err != nil {
			return err
		}
	}
	if !exists {
		return fault.NoSuchResource()
	}
	return nil
}

// ownParty returns the instanceOwnerId of a user's own party, and assigns one if the user has none.
// It returns NotFound unless identity, if it is not zero, is in the token and belongs to that
// party. For the identity of another user it makes no call, so its time does not reveal whether
// that party exists.
func (h *handler) ownParty(ctx context.Context, caller auth.Caller, sender callerParty, identity party.Identity) (string, error) {
	if identity == (party.Identity{}) {
		return sender.id, nil
	}
	if !slices.Contains(caller.Identities, identity) {
		return "", fault.NoSuchResource()
	}
	own := sender.id
	if own == "" {
		var err error
		if own, err = h.parties.FindOrAssign(ctx, caller.Identities...); err != nil {
			return "", err
		}
	}
	named, _, err := h.parties.Find(ctx, identity)
	if err == nil && named != own { // the token has identities of two parties: see package party
		err = fault.NoSuchResource()
	}
	return own, err
}

// errOneOwner returns the fault for a body that names no instance owner, or more than one.
func errOneOwner() error {
	return fault.New(fault.Invalid, "reportee-invalid",
		"Identify the instance owner once: with instanceOwnerId, or with reportee and exactly one of ssn, organizationNumber and userName.")
}

// validateDraft returns the id of the new instance, or a fault if the draft or a data element is
// invalid, or if the actor by may not write the element.
func validateDraft(draft instance.Draft, data []dataElement, by string) (id string, err error) {
	for n, d := range data {
		if err := draft.Application.CheckUpload(d.FormID, d.ContentType, int64(len(d.Content))); err != nil {
			return "", withSource(d.nameOf(n), err)
		}
	}
	trial, err := buildInstance(draft, data, make([]element, len(data)), by, time.Now())
	if err != nil {
		return "", err
	}
	return trial.ID, nil
}

// element is a data element whose content is stored.
type element struct {
	id      string
	content instance.Content
}

// buildInstance returns the new instance with its data elements, or a fault if the draft or the
// data is invalid.
func buildInstance(draft instance.Draft, data []dataElement, stored []element, by string, now time.Time) (*instance.Instance, error) {
	i, err := instance.New(draft, by, now)
	for n := 0; n < len(data) && err == nil; n++ {
		err = i.AddData(draft.Application, stored[n].id, data[n].FormID, stored[n].content, by, now)
	}
	return i, err
}

// storeBlobs stores the content of the inline data elements in parallel and returns the stored
// elements in the same order.
func (h *handler) storeBlobs(ctx context.Context, draft instance.Draft, data []dataElement) ([]element, error) {
	stored := make([]element, len(data))
	errs := make([]error, len(data))
	var puts sync.WaitGroup
	for n, d := range data {
		puts.Go(func() {
			payload := instancehttp.Payload{Body: d.Content, ContentType: d.ContentType, FileName: blobhttp.SafeName(d.FileName)}
			if payload.FileName == "" {
				payload.FileName = instance.DefaultFileName(d.FormID, d.ContentType)
			}
			key := blob.NewKey(draft.Application.ID, draft.InstanceOwnerID, draft.ID)
			stored[n].id = key.Revision()
			stored[n].content, errs[n] = payload.Put(ctx, h.blobs, key)
		})
	}
	puts.Wait()
	return stored, errors.Join(errs...)
}
