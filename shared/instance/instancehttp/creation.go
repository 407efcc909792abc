package instancehttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Creation is the JSON document of a creation: the instance owner and the initial content of the
// instance.
type Creation struct {
	Reportee          *Reportee         `json:"reportee"`
	InstanceOwnerID   *string           `json:"instanceOwnerId"` // instead of reportee
	Labels            []string          `json:"labels"`
	DueDateTime       rfc3339.Optional  `json:"dueDateTime"`
	VisibleDateTime   rfc3339.Optional  `json:"visibleDateTime"`
	PresentationField string            `json:"presentationField"`
	Data              []CreationElement `json:"data"`
}

// CreationElement is an inline data element. Content is base64 in JSON.
type CreationElement struct {
	FormID      string     `json:"formId"`
	ContentType string     `json:"contentType"`
	FileName    string     `json:"fileName"`
	Content     base64Text `json:"content"`

	// Source is the part of a form that has the element, for error messages. It is "" for an
	// element of the JSON document.
	Source string `json:"-"`
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

// nameOf returns the name of e, the n-th data element of a creation, for error messages.
func (e *CreationElement) nameOf(n int) string {
	if e.Source != "" {
		return e.Source
	}
	return fmt.Sprintf("data[%d]", n)
}

// WithSource returns a copy of err, a fault, whose detail begins with the part of the request that
// caused it. It returns other errors unchanged.
func WithSource(source string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	named := *f
	named.Detail = source + ": " + f.Detail
	return &named
}

// PartyRegister finds and assigns party numbers; *partytable.Table is one.
type PartyRegister interface {
	auth.PartyFinder
	FindOrAssign(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, err error)
	Exists(ctx context.Context, instanceOwnerID string) (bool, error)
}

// CreationStore stores new instances; *instancetable.Table is one.
type CreationStore interface {
	Reader
	IdempotencyRecords
	AgendaScheduler
	UsageCounter
	scan.Store
	Create(ctx context.Context, i *instance.Instance, ev event.Event) error
}

// Creator creates instances.
type Creator struct {
	Parties   PartyRegister
	Instances CreationStore
	Blobs     BlobStore
	View      View
	Quota     instance.Quota
	Malware   MalwareScan
}

// CallerParty is the party of a user. It is empty for an application owner, and for a user without
// a party number.
type CallerParty struct {
	ID         string // instanceOwnerId
	Registered bool   // false for a party that only the token names
}

// LoadCreated returns the current instance that an earlier request created, or a Conflict if the
// instance was deleted permanently.
func (c *Creator) LoadCreated(ctx context.Context, caller auth.Caller, sender CallerParty, earlier *instance.IdempotencyRecord) (*instance.Instance, error) {
	access := Access{Caller: caller, PartyID: sender.ID, InstanceOwnerID: earlier.InstanceOwnerID, Guid: earlier.InstanceID}
	i, err := access.Load(ctx, c.Instances)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Conflict, "instance-gone",
			"The request with this idempotency key created an instance that was deleted permanently later. Use a new key to create another instance.").WithCause(err)
	}
	return i, err
}

// Create creates and stores the instance that n describes, and record with it. After an error,
// nothing is stored unless the outcome of the write is unknown.
func (c *Creator) Create(ctx context.Context, caller auth.Caller, sender CallerParty, app *application.Application, n *Creation, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	if visible := n.VisibleDateTime.Pointer(); !caller.IsOwner() && visible != nil && visible.After(time.Now()) {
		return nil, fault.New(fault.Invalid, "date-invalid", "Only the application owner can create an instance that is visible later. Leave visibleDateTime out.")
	}
	// Validate everything before assigning a party number or storing content.
	draft := instance.Draft{
		Application: app, Labels: n.Labels, DueDateTime: n.DueDateTime.Pointer(), VisibleDateTime: n.VisibleDateTime.Pointer(),
		PresentationField: n.PresentationField,
	}
	org, _, _ := application.SplitID(app.ID)
	by := caller.NameFor(org)
	var err error
	if draft.ID, err = validateDraft(draft, n.Data, by); err != nil {
		return nil, err
	}
	var reserved reservation
	if draft.InstanceOwnerID, reserved, err = c.reserveFor(ctx, caller, sender, app, n); err != nil {
		return nil, err
	}
	stored, err := c.storeBlobs(ctx, draft, n.Data)
	keys := make([]blob.Key, len(stored))
	for k, e := range stored {
		keys[k] = blob.KeyOf(app.ID, draft.InstanceOwnerID, draft.ID, e.id)
	}
	release, quotaErr := reserved()
	if quotaErr != nil {
		Undo(ctx, quotaErr, func() {}, c.Blobs, keys...) // nothing is counted
		return nil, quotaErr
	}
	if err != nil {
		release()
		return nil, err
	}
	if by == "" {
		by = draft.InstanceOwnerID
	}
	// Read the clock as late as possible: pollers rely on a short time between lastChangedDateTime
	// and the write.
	i, err := buildInstance(draft, n.Data, stored, by, time.Now())
	if err != nil {
		release()
		return nil, err
	}
	started := i.CreatedDateTime
	i.IdempotencyRecord = record
	i.Timeline.UserChanged = !caller.IsOwner()
	now := time.Now()
	if at := i.NextCheck(app, now); !at.IsZero() {
		if err := c.Instances.ScheduleAgenda(ctx, i.NotesFor(at, now)...); err != nil {
			release()
			return nil, err
		}
	}
	if err := c.Instances.Create(ctx, i, i.StepEvent("", by, c.View.Links(i))); err != nil {
		Undo(ctx, err, release, c.Blobs, keys...)
		return nil, err
	}
	return ApplyScans(ctx, c.Instances, app, c.View, i, started), nil
}

// reservation waits until the creation is counted, and returns the function that subtracts it. It
// returns the error of Reserve. Call it once.
type reservation func() (release func(), err error)

// reserveFor returns the instanceOwnerId of the party that n names, and counts the creation.
// It counts an owner's creation before it assigns a number, so an owner over its quota assigns
// none. A user can get only one number, its own, so that number comes first: the count needs it.
func (c *Creator) reserveFor(ctx context.Context, caller auth.Caller, sender CallerParty, app *application.Application, n *Creation) (instanceOwnerID string, reserved reservation, err error) {
	var identity party.Identity
	switch {
	case (n.Reportee != nil) == (n.InstanceOwnerID != nil), n.InstanceOwnerID != nil && *n.InstanceOwnerID == "":
		err = errOneOwner()
	case n.Reportee != nil:
		identity, err = n.Reportee.Identity(app.CheckIdentityNumbers)
	default:
		err = c.checkNumber(ctx, caller, sender, *n.InstanceOwnerID)
	}
	if err != nil {
		return "", nil, err
	}
	if !caller.IsOwner() {
		if instanceOwnerID, err = c.ownParty(ctx, caller, sender, identity); err != nil {
			return "", nil, err
		}
		return instanceOwnerID, c.reserveBeside(ctx, caller, instanceOwnerID, n), nil
	}
	release, err := Reserve(ctx, c.Instances, c.Quota, caller, "", usageOf(n))
	if err != nil {
		return "", nil, err
	}
	reserved = func() (func(), error) { return release, nil }
	if n.InstanceOwnerID != nil {
		return *n.InstanceOwnerID, reserved, nil
	}
	if instanceOwnerID, err = c.Parties.FindOrAssign(ctx, identity); err != nil {
		release()
	}
	return instanceOwnerID, reserved, err
}

// reserveBeside counts the creation of a user while the content is stored. The content of a
// creation over the quota is deleted again.
func (c *Creator) reserveBeside(ctx context.Context, caller auth.Caller, instanceOwnerID string, n *Creation) reservation {
	var release func()
	var err error
	var counting sync.WaitGroup
	counting.Go(func() {
		release, err = Reserve(ctx, c.Instances, c.Quota, caller, instanceOwnerID, usageOf(n))
	})
	return func() (func(), error) {
		counting.Wait()
		return release, err
	}
}

// usageOf returns what a creation counts for the quota.
func usageOf(n *Creation) instance.Usage {
	use := instance.Usage{Instances: 1, Elements: int64(len(n.Data))}
	for _, d := range n.Data {
		use.Bytes += int64(len(d.Content))
	}
	return use
}

// checkNumber returns NotFound unless the caller can create instances for the party with this
// number: any party for an owner, its own for a user. It looks up no party of another user.
func (c *Creator) checkNumber(ctx context.Context, caller auth.Caller, sender CallerParty, number string) error {
	exists := number == sender.ID && sender.Registered
	if caller.IsOwner() && instance.ValidInstanceOwnerID(number) {
		var err error
		if exists, err = c.Parties.Exists(ctx, number); err != nil {
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
func (c *Creator) ownParty(ctx context.Context, caller auth.Caller, sender CallerParty, identity party.Identity) (string, error) {
	if identity == (party.Identity{}) {
		return sender.ID, nil
	}
	if !slices.Contains(caller.Identities, identity) {
		return "", fault.NoSuchResource()
	}
	own := sender.ID
	if own == "" {
		var err error
		if own, err = c.Parties.FindOrAssign(ctx, caller.Identities...); err != nil {
			return "", err
		}
	}
	named, _, err := c.Parties.Find(ctx, identity)
	if err == nil && named != own { // the token has identities of two parties: see package party
		err = fault.NoSuchResource()
	}
	return own, err
}

// errOneOwner returns the fault for a creation that names no instance owner, or more than one.
func errOneOwner() error {
	return fault.New(fault.Invalid, "reportee-invalid",
		"Identify the instance owner once: with instanceOwnerId, or with reportee and exactly one of ssn, organizationNumber and userName.")
}

// validateDraft returns the id of the new instance, or a fault if the draft or a data element is
// invalid, or if the actor by may not write the element.
func validateDraft(draft instance.Draft, data []CreationElement, by string) (id string, err error) {
	for n, d := range data {
		if err := draft.Application.CheckUpload(d.FormID, d.ContentType, int64(len(d.Content))); err != nil {
			return "", WithSource(d.nameOf(n), err)
		}
	}
	trial, err := buildInstance(draft, data, make([]storedElement, len(data)), by, time.Now())
	if err != nil {
		return "", err
	}
	return trial.ID, nil
}

// storedElement is a data element whose content is stored.
type storedElement struct {
	id      string
	content instance.Content
}

// buildInstance returns the new instance with its data elements, or a fault if the draft or the
// data is invalid.
func buildInstance(draft instance.Draft, data []CreationElement, stored []storedElement, by string, now time.Time) (*instance.Instance, error) {
	i, err := instance.New(draft, by, now)
	for n := 0; n < len(data) && err == nil; n++ {
		err = i.AddData(draft.Application, stored[n].id, data[n].FormID, stored[n].content, by, now)
	}
	return i, err
}

// storeBlobs stores the content of the inline data elements in parallel and returns the stored
// elements in the same order.
func (c *Creator) storeBlobs(ctx context.Context, draft instance.Draft, data []CreationElement) ([]storedElement, error) {
	stored := make([]storedElement, len(data))
	errs := make([]error, len(data))
	var puts sync.WaitGroup
	for n, d := range data {
		puts.Go(func() {
			payload := Payload{Body: d.Content, ContentType: d.ContentType, FileName: blobhttp.SafeName(d.FileName)}
			if payload.FileName == "" {
				payload.FileName = instance.DefaultFileName(d.FormID, d.ContentType)
			}
			key := blob.NewKey(draft.Application.ID, draft.InstanceOwnerID, draft.ID)
			stored[n].id = key.Revision()
			stored[n].content, errs[n] = payload.Put(ctx, c.Blobs, key, c.Malware.Of(draft.Application, d.FormID))
		})
	}
	puts.Wait()
	return stored, errors.Join(errs...)
}
