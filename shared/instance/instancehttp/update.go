package instancehttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// Store reads and changes instances; *instancetable.Table is one. Handlers change instances only
// with the Update methods of Access, which authorize the caller on the version that they replace.
type Store interface {
	Reader
	// MutateFrom calls change with an instance that was just read, and writes the result. If
	// another write came first, it reads the instance again and repeats both steps.
	MutateFrom(ctx context.Context, i *instance.Instance, change EventChange) (*instance.Instance, error)
}

// Changes alter an instance in memory. A store may call them several times, each time with a fresh
// document. If they return instance.ErrUnchanged, the update succeeds without a write.
type (
	Change        = func(*instance.Instance) error
	ElementCheck  = func(*instance.Instance, *instance.DataElement) error
	ElementChange = func(*instance.Instance, *instance.DataElement) ([]event.Event, error)
	EventChange   = func(*instance.Instance) ([]event.Event, error) // stores the event with the change
	AppChange     = func(*instance.Instance, *application.Application) ([]event.Event, error)
)

// UpdateFrom changes the instance that the path names and that Load has just returned, and returns
// the changed instance. On every version that it tries to replace it checks, in this order: the
// caller's access (NotFound), If-Match and If-None-Match against the entity tag of the instance
// (PreconditionFailed), and the rules of change.
//
// A store repeats a write whose response was lost. By then another request may have changed the
// instance again. applied, if not nil, returns instance.ErrUnchanged or another error if i already
// contains this change. It runs before the If-Match check, because If-Match names the version
// before the first attempt.
func (a *Access) UpdateFrom(r *http.Request, instances Store, i *instance.Instance, applied Change, change EventChange) (*instance.Instance, error) {
	return instances.MutateFrom(r.Context(), i, a.authorized(r, applied, change))
}

// ScheduledStore is a Store with the notes of the agenda; *instancetable.Table is one.
type ScheduledStore interface {
	Store
	AgendaScheduler
}

// AgendaScheduler stores notes of the agenda; *instancetable.Table is one.
type AgendaScheduler interface {
	// ScheduleAgenda stores notes. Storing a note again changes nothing.
	ScheduleAgenda(ctx context.Context, notes ...instance.AgendaNote) error
}

// maxNotes is the maximum number of notes that one request schedules. A concurrent change can make
// another note necessary.
const maxNotes = 5

// noteNeeded is returned by a change that needs an agenda note for an earlier time.
type noteNeeded struct{ at time.Time }

func (noteNeeded) Error() string { return "the change needs an agenda note" }

// UpdateScheduled is UpdateFrom for a change after which time may affect the instance earlier than
// before, because of a date, a rule of the application or a pending scan. It schedules an agenda
// note for that time before the change, so a crash cannot lose the effect. UpdateScheduled does not
// change i.
func (a *Access) UpdateScheduled(r *http.Request, instances ScheduledStore, app *application.Application, i *instance.Instance, applied Change, change EventChange) (*instance.Instance, error) {
	return scheduled(r.Context(), instances, app, i, func(i *instance.Instance, scheduling func(EventChange) EventChange) (*instance.Instance, error) {
		return a.UpdateFrom(r, instances, i, applied, scheduling(change))
	})
}

// scheduled calls update with a copy of i, and returns its result. update must make its change with
// scheduling, which lets the change fail as long as a note that it needs does not exist.
func scheduled(ctx context.Context, instances AgendaScheduler, app *application.Application, i *instance.Instance,
	update func(i *instance.Instance, scheduling func(EventChange) EventChange) (*instance.Instance, error),
) (*instance.Instance, error) {
	now := time.Now()
	var noted time.Time
	scheduling := func(change EventChange) EventChange {
		return func(i *instance.Instance) ([]event.Event, error) {
			before := i.NextCheck(app, now)
			ev, err := change(i)
			if err != nil {
				return nil, err
			}
			next := i.NextCheck(app, now)
			// A note at before exists. A note that is due before the change is stored does not
			// count, because its check may not see the change.
			has := !before.Before(now.Add(instance.SettleTime)) && !next.Before(before)
			// A repeated change reads the clock again, so its time may be later than that of the
			// note. An early note suffices, because its check schedules the next one.
			if next.IsZero() || has || !noted.IsZero() && !next.Before(noted) {
				return ev, nil
			}
			return nil, noteNeeded{next}
		}
	}
	for range maxNotes {
		updated, err := update(i.Clone(), scheduling)
		needed, ok := errors.AsType[noteNeeded](err)
		if !ok {
			return updated, err
		}
		if err := instances.ScheduleAgenda(ctx, i.NotesFor(needed.at, now)...); err != nil {
			return nil, err
		}
		noted = needed.at
	}
	return nil, errors.New("concurrent changes keep moving the agenda of the instance")
}

// authorized returns change, preceded by the checks of UpdateFrom.
func (a *Access) authorized(r *http.Request, applied Change, change EventChange) EventChange {
	return func(i *instance.Instance) ([]event.Event, error) {
		if err := a.check(i); err != nil {
			return nil, err
		}
		if applied != nil {
			if err := applied(i); err != nil {
				return nil, err
			}
		}
		if err := httpapi.CheckConditions(r, ETag(i)); err != nil {
			return nil, err
		}
		ev, err := change(i)
		a.markChanged(i)
		return ev, err
	}
}

// UpdateElement is UpdateFrom for the data element that the path names. It returns NotFound if the
// instance lacks the element, and checks the conditions against the entity tag of the element's
// content.
func (a *Access) UpdateElement(r *http.Request, instances Store, i *instance.Instance, applied ElementCheck, change ElementChange) (*instance.Instance, error) {
	return instances.MutateFrom(r.Context(), i, func(i *instance.Instance) ([]event.Event, error) {
		if err := a.check(i); err != nil {
			return nil, err
		}
		element, err := a.Element(i)
		if err != nil {
			return nil, err
		}
		if applied != nil {
			if err := applied(i, element); err != nil {
				return nil, err
			}
		}
		if err := httpapi.CheckConditions(r, ContentETag(element)); err != nil {
			return nil, err
		}
		ev, err := change(i, element)
		a.markChanged(i)
		return ev, err
	})
}

// DownloadStore is the store of instances and their recorded downloads; *instancetable.Table is
// one.
type DownloadStore interface {
	Reader
	// RecordDownload calls record with an instance that was just read, and stores its recorded
	// downloads. If another write came first, it reads the instance again and repeats both steps.
	RecordDownload(ctx context.Context, i *instance.Instance, record Change) error
}

// RecordDownload records that the owner downloads the content with the given revision of the data
// element that the path names. It returns NotFound if the caller has no access or the instance
// lacks the element, ErrContentReplaced if the element has other content, and the Conflict of
// MalwareScan.Check.
func (a *Access) RecordDownload(ctx context.Context, instances DownloadStore, i *instance.Instance, revision string, malware MalwareScan) error {
	now := time.Now()
	return instances.RecordDownload(ctx, i, func(i *instance.Instance) error {
		if err := a.check(i); err != nil {
			return err
		}
		element, err := a.Element(i)
		if err != nil {
			return err
		}
		if element.Revision != revision {
			return ErrContentReplaced
		}
		if err := malware.Check(element); err != nil {
			return err
		}
		return i.RecordDownload(element.ID, now)
	})
}

// markChanged records that the caller, if a user, changes the instance. From then on the owner
// cannot hide it again.
func (a *Access) markChanged(i *instance.Instance) {
	if !a.Caller.IsOwner() {
		i.Timeline.UserChanged = true
	}
}

// IdempotentStore is a Store for requests with an Idempotency-Key; *instancetable.Table is one.
type IdempotentStore interface {
	ScheduledStore
	IdempotencyRecords
}

// maxIgnoredBody is the maximum size, in bytes, of a body that ServeUpdate ignores.
const maxIgnoredBody = 4 << 10

// ServeChange applies change to the instance that the path names, with Change, and responds with
// the instance.
func (a *Access) ServeChange(w http.ResponseWriter, r *http.Request, instances ScheduledStore, applications Applications, view View, change AppChange) error {
	i, err := a.Change(r, instances, applications, change)
	if err != nil {
		return err
	}
	return view.For(a.Caller).Write(w, r, http.StatusOK, i)
}

// ServeChangeNow is ServeChange for a change after which time affects the instance no earlier than
// before. It schedules nothing.
func (a *Access) ServeChangeNow(w http.ResponseWriter, r *http.Request, instances Store, applications Applications, view View, change AppChange) error {
	i, app, err := a.LoadWithApplication(r.Context(), instances, applications)
	if err != nil {
		return err
	}
	i, err = a.UpdateFrom(r, instances, i, nil, func(i *instance.Instance) ([]event.Event, error) { return change(i, app) })
	if err != nil {
		return err
	}
	return view.For(a.Caller).Write(w, r, http.StatusOK, i)
}

// Change loads the instance of a, applies change with UpdateScheduled, and returns the changed
// instance.
func (a *Access) Change(r *http.Request, instances ScheduledStore, applications Applications, change AppChange) (*instance.Instance, error) {
	i, app, err := a.LoadWithApplication(r.Context(), instances, applications)
	if err != nil {
		return nil, err
	}
	return a.UpdateScheduled(r, instances, app, i, nil, func(i *instance.Instance) ([]event.Event, error) { return change(i, app) })
}

// ServeUpdate is ServeChange for a POST without a body: it applies change once per Idempotency-Key.
func (a *Access) ServeUpdate(w http.ResponseWriter, r *http.Request, instances IdempotentStore, applications Applications, view View, change AppChange) error {
	replay := func(i *instance.Instance, _ *instance.IdempotencyRecord) error {
		return view.For(a.Caller).Write(w, r, http.StatusOK, i)
	}
	return a.Idempotent(r, instances, maxIgnoredBody, replay, func(record *instance.IdempotencyRecord) error {
		return a.ServeChange(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			i.IdempotencyRecord = record
			return change(i, app)
		})
	})
}
