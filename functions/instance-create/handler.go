package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

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

// body is the request: who the instance is for, and what it starts with.
type body struct {
	Reportee          *reportee     `json:"reportee"`
	InstanceOwnerID   string        `json:"instanceOwnerId"` // instead of reportee, when it is known
	Labels            []string      `json:"labels"`
	DueDateTime       *rfc3339.Time `json:"dueDateTime"`
	VisibleDateTime   *rfc3339.Time `json:"visibleDateTime"`
	PresentationField string        `json:"presentationField"`
	Data              []dataElement `json:"data"`
}

// reportee names a party by exactly one of its identities.
type reportee struct {
	SSN                string `json:"ssn"`
	OrganizationNumber string `json:"organizationNumber"`
	UserName           string `json:"userName"`
}

// dataElement is an inline data element. Content is base64 in JSON.
type dataElement struct {
	FormID      string     `json:"formId"`
	ContentType string     `json:"contentType"`
	FileName    string     `json:"fileName"`
	Content     base64Text `json:"content"`

	name string // what an error may call it; "" for its place in data
}

// base64Text is bytes in standard base64. A JSON array, which encoding/json would take for bytes, is an error.
type base64Text []byte

// UnmarshalJSON decodes a JSON string.
func (b *base64Text) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '"' {
		return errors.New("content is not a string")
	}
	return json.Unmarshal(text, (*[]byte)(b))
}

// handler is what creating an instance needs.
type handler struct {
	authenticator instancehttp.Authenticator
	applications  interface {
		Get(ctx context.Context, id string) (*application.Application, error)
	}
	parties interface {
		auth.PartyFinder
		FindOrAssign(ctx context.Context, id party.Identity) (instanceOwnerID string, err error)
		Exists(ctx context.Context, instanceOwnerID string) (bool, error)
	}
	instances interface {
		instancehttp.IdempotencyRecords
		instancehttp.OrphanChecks
		counter
		Create(ctx context.Context, i *instance.Instance, ev event.Event) error
	}
	blobs instancehttp.BlobStore
	view  instancehttp.View
	quota instance.Quota
}

func newHandler(c *handler) http.Handler {
	return httpapi.HandlerFunc(c.create)
}

func (c *handler) create(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	caller, err := c.authenticator.Authenticate(r)
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
	var unread error
	var reading sync.WaitGroup
	reading.Go(func() { app, unread = c.applications.Get(ctx, r.PathValue("org")+"/"+r.PathValue("app")) })
	sender, err := c.resolveCaller(ctx, caller)
	reading.Wait()
	switch {
	case unread != nil:
		return unread
	case app == nil:
		return fault.NoSuchResource()
	case err == nil && sender.id == "" && !caller.IsOwner() && r.Header["Idempotency-Key"] != nil:
		// A key is its sender's own, so who sends one must be told from others before the first number is assigned.
		sender.id, err = c.parties.FindOrAssign(ctx, caller.Identity)
		sender.registered = err == nil
	}
	if err != nil {
		return err
	}
	replay := func(earlier *instance.Replay) error {
		return c.view.Write(w, r, http.StatusCreated, earlier.Instance)
	}
	return instancehttp.Idempotent(r, c.instances, caller, sender.id, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		i, err := c.buildInstance(r, caller, sender, app, record)
		if err != nil {
			return err
		}
		return c.view.Write(w, r, http.StatusCreated, i)
	})
}

// callerParty is the party that a user is. It is empty for an owner, and for a user to whom no number is assigned yet.
type callerParty struct {
	id         string // instanceOwnerId
	registered bool   // and not only named by the token
}

func (c *handler) resolveCaller(ctx context.Context, caller auth.Caller) (callerParty, error) {
	id, known, err := auth.ResolveParty(ctx, caller, c.parties)
	if known && err == nil && caller.PartyID != "" {
		known, err = c.parties.Exists(ctx, id)
	}
	return callerParty{id, known}, err
}

// buildInstance creates the instance that the request's body asks for.
func (c *handler) buildInstance(r *http.Request, caller auth.Caller, sender callerParty, app *application.Application, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	b, err := decode(r)
	if err != nil {
		return nil, err
	}
	// Everything that can be refused is, before a number is assigned or a byte stored.
	draft := instance.Draft{
		Application: app, Labels: b.Labels, DueDateTime: (*time.Time)(b.DueDateTime), VisibleDateTime: (*time.Time)(b.VisibleDateTime),
		PresentationField: b.PresentationField,
	}
	if draft.ID, err = check(draft, b.Data); err != nil {
		return nil, err
	}
	if draft.InstanceOwnerID, err = c.owner(ctx, caller, sender, app, &b); err != nil {
		return nil, err
	}
	release, err := c.reserve(ctx, caller, draft.InstanceOwnerID)
	if err != nil {
		return nil, err
	}
	logging.Add(ctx, slog.String("app", app.ID), slog.String("instance", draft.ID))
	stored, err := c.storeBlobs(ctx, draft, b.Data)
	if err != nil {
		release()
		return nil, err
	}
	by := caller.Name()
	if by == "" {
		by = draft.InstanceOwnerID
	}
	// The clock is read last: a poller trusts that what it does not see yet was changed a short while ago.
	i, err := build(draft, b.Data, stored, by, time.Now())
	if err != nil {
		release()
		return nil, err
	}
	i.IdempotencyRecord = record
	if err := c.instances.Create(ctx, i, i.StepEvent("", by, c.view.Links(i))); err != nil {
		if instancehttp.NotApplied(err) {
			release()
		}
		for _, e := range stored {
			instancehttp.DiscardContent(ctx, c.blobs, blob.KeyOf(app.ID, i.ID, e.id, e.bytes.Revision), err)
		}
		return nil, err
	}
	return i, nil
}

// owner returns the instanceOwnerId that the body names, assigning one to an identity that has none yet. A user can create
// for itself only; another's is NotFound, whether it exists or not.
func (c *handler) owner(ctx context.Context, caller auth.Caller, sender callerParty, app *application.Application, b *body) (string, error) {
	if b.InstanceOwnerID != "" {
		switch {
		case b.Reportee != nil:
			return "", errOneOwner()
		case !instance.ValidOwnerID(b.InstanceOwnerID), !caller.IsOwner() && (b.InstanceOwnerID != sender.id || !sender.registered):
			return "", fault.NoSuchResource()
		case !caller.IsOwner():
			return sender.id, nil
		}
		exists, err := c.parties.Exists(ctx, b.InstanceOwnerID)
		if err == nil && !exists {
			err = fault.NoSuchResource()
		}
		return b.InstanceOwnerID, err
	}
	identity, err := b.Reportee.identity(app.CheckIdentityNumbers)
	if err != nil {
		return "", err
	}
	if caller.IsOwner() || sender.id == "" && caller.Identity == identity {
		return c.parties.FindOrAssign(ctx, identity)
	}
	id, found, err := c.parties.Find(ctx, identity)
	if err == nil && (!found || id != sender.id) {
		err = fault.NoSuchResource()
	}
	return id, err
}

func errOneOwner() error {
	return fault.New(fault.Invalid, "reportee-invalid",
		"Name the instance owner once: by reportee with exactly one of ssn, organizationNumber and userName, or by instanceOwnerId.")
}

func (r *reportee) identity(checkDigits bool) (party.Identity, error) {
	if r == nil {
		return party.Identity{}, errOneOwner()
	}
	var identities []party.Identity
	for kind, value := range map[party.Kind]string{
		party.SSN: r.SSN, party.OrganizationNumber: r.OrganizationNumber, party.UserName: r.UserName,
	} {
		if value != "" {
			identities = append(identities, party.Identity{Kind: kind, Value: value})
		}
	}
	if len(identities) != 1 {
		return party.Identity{}, errOneOwner()
	}
	identity := identities[0]
	if !identity.WellFormed() {
		return identity, fault.New(fault.Invalid, "reportee-invalid",
			"The %s is not of the right form: an ssn has 11 digits, an organizationNumber 9, a userName 1 to 64 letters, digits and . _ @ -", identity.Kind)
	}
	if checkDigits && !identity.ValidCheckDigits() {
		return identity, fault.New(fault.Invalid, "reportee-invalid", "The check digits of the %s are wrong.", identity.Kind)
	}
	return identity, nil
}

// check returns the id of an instance that can be made of the draft and the data elements, or why none can.
func check(draft instance.Draft, data []dataElement) (id string, err error) {
	for n, d := range data {
		if err := draft.Application.CheckUpload(d.FormID, d.ContentType, int64(len(d.Content))); err != nil {
			return "", about(d.nameOf(n), err)
		}
	}
	trial, err := build(draft, data, make([]element, len(data)), "", time.Now())
	if err != nil {
		return "", err
	}
	return trial.ID, nil
}

// element is an inline data element whose bytes are stored.
type element struct {
	id    string
	bytes instance.Content
}

// build returns the new instance with its data elements.
func build(draft instance.Draft, data []dataElement, stored []element, by string, now time.Time) (*instance.Instance, error) {
	i, err := instance.New(draft, by, now)
	for n := 0; n < len(data) && err == nil; n++ {
		err = i.AddData(draft.Application, stored[n].id, data[n].FormID, stored[n].bytes, by, now)
	}
	return i, err
}

// storeBlobs puts the bytes of the inline data elements into the blob store, all at once.
func (c *handler) storeBlobs(ctx context.Context, draft instance.Draft, data []dataElement) ([]element, error) {
	to := &instance.Instance{ID: draft.ID, AppID: draft.Application.ID, InstanceOwnerID: draft.InstanceOwnerID}
	stored := make([]element, len(data))
	keys := make([]blob.Key, len(data))
	notes := make([]instance.OrphanCheck, len(data))
	for n := range data {
		stored[n].id = uuid.Must(uuid.NewV7()).String() // fails only if the system has no randomness
		keys[n] = blob.FirstKey(to.AppID, to.ID, stored[n].id)
		notes[n] = to.OrphanCheck(stored[n].id, keys[n].Revision(), time.Now())
	}
	// Noted first: whatever happens next, bytes that nothing points at are found again.
	if err := c.instances.ScheduleOrphanChecks(ctx, notes...); err != nil {
		return nil, err
	}
	errs := make([]error, len(data))
	var puts sync.WaitGroup
	for n, d := range data {
		puts.Go(func() {
			upload := instancehttp.Payload{Body: d.Content, ContentType: d.ContentType, FileName: blobhttp.SafeName(d.FileName)}
			if upload.FileName == "" {
				upload.FileName = instance.DefaultFileName(d.FormID, d.ContentType)
			}
			stored[n].bytes, errs[n] = upload.Put(ctx, c.blobs, keys[n])
		})
	}
	puts.Wait()
	return stored, errors.Join(errs...)
}
