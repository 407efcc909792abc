package instancehttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/logging"
)

// MalwareScan says whether the system scans content, and whether it hands out only clean
// content. The zero value does neither.
type MalwareScan struct{ Scans, Blocks bool }

// OpenMalwareScan returns the setting in MALWARE_SCAN: off, observe, which only scans, or
// guardduty. If the variable is unset, the setting is off.
func OpenMalwareScan(env *coldstart.Env) MalwareScan {
	const name = "MALWARE_SCAN"
	switch env.Optional(name, "off") {
	case "off":
		return MalwareScan{}
	case "observe":
		return MalwareScan{Scans: true}
	case "guardduty":
		return MalwareScan{Scans: true, Blocks: true}
	}
	env.Invalid(name, "must be off, observe or guardduty")
	return MalwareScan{}
}

// Of returns how the system treats new content with the formId.
func (m MalwareScan) Of(app *application.Application, formID string) application.Scanning {
	if !m.Scans {
		return application.NoScanning
	}
	dataType, _ := app.DataType(formID)
	return dataType.Scanning()
}

// OfUpload returns how the system treats the content of an upload that is committed now: the
// stricter of what was announced and what the registration says. It returns a Conflict, code
// "upload-differs", if the content must be scanned now, but was announced without a scan: its
// object may have a tag that exempts it.
func (m MalwareScan) OfUpload(app *application.Application, u *instance.Upload) (application.Scanning, error) {
	registered, announced := m.Of(app, u.FormID), u.Content.Scanning
	switch {
	case !m.Scans:
		return application.NoScanning, nil
	case registered.Scans() && !announced.Scans():
		return "", fault.New(fault.Conflict, "upload-differs",
			"The upload was announced before its content needed a malware scan. Start a new upload with POST …/uploads.")
	case registered == application.ScanningStrict:
		return registered, nil
	}
	return announced, nil
}

// scanWait is the Retry-After for content whose scan has no result. Most results arrive within
// seconds.
const scanWait = 5 * time.Second

// Check returns a Conflict if the system blocks the content of the element: its scan has no result
// (code "data-unscanned"), or it is infected ("data-infected") or cannot be scanned
// ("data-unscannable").
func (m MalwareScan) Check(element *instance.DataElement) error {
	if !m.Blocks {
		return nil
	}
	switch status := element.ScanStatus(); {
	case status == instance.ScanPending:
		return errUnscanned()
	case status == instance.ScanInfected:
		return fault.New(fault.Conflict, "data-infected",
			"The malware scan found that the content is infected. It is not handed out. Replace or delete the data element, if you can change it.")
	case element.IsUnavailable():
		return fault.New(fault.Conflict, "data-unscannable",
			"The malware scan cannot read the content, for example because it is encrypted. It is not handed out. Replace the data element, if you can change it.")
	}
	return nil
}

func errUnscanned() *fault.Error {
	f := fault.New(fault.Conflict, "data-unscanned",
		"The malware scan of the content has no result yet. Repeat the request after the number of seconds in Retry-After.")
	f.RetryAfter = scanWait
	return f
}

// tagDelay is the maximum time for which the bucket denies clean content, because the tag of its
// scan comes later than the result.
const tagDelay = time.Minute

// ContentSource reads content; *blobbucket.Bucket is one.
type ContentSource interface {
	blobhttp.Source
	BlobStat
}

// checkTag returns the Conflict for content that the bucket still denies to a client with a
// presigned URL. It calls the bucket only within tagDelay of the result, and only for content that
// is too large for a function. A smaller one is read by the function itself.
func (m MalwareScan) checkTag(ctx context.Context, source BlobStat, content blobhttp.Content, element *instance.DataElement) error {
	if content.Size <= blob.InlineLimit || !m.isTagLate(element, time.Now()) {
		return nil
	}
	if _, err := source.Stat(ctx, content.Key); !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return errUnscanned()
}

// isTagLate reports whether the bucket may still deny the content of the element, which is
// available.
func (m MalwareScan) isTagLate(element *instance.DataElement, now time.Time) bool {
	return m.Blocks && element.Scan != nil && now.Sub(element.Scan.At) < tagDelay
}

// ContentUpdateStore is the store of changes that commit content; *instancetable.Table is one.
type ContentUpdateStore interface {
	ScheduledStore
	scan.Store
}

// UpdateContent is UpdateFrom for a change that commits content stored as scanning says. If the
// content is scanned, UpdateContent schedules the check of an overdue scan before the change, and
// applies a result that has already arrived after it.
func (a *Access) UpdateContent(r *http.Request, instances ContentUpdateStore, app *application.Application, view View, i *instance.Instance, scanning application.Scanning, applied Change, change EventChange) (*instance.Instance, error) {
	if !scanning.Scans() {
		return a.UpdateFrom(r, instances, i, applied, change)
	}
	started := time.Now()
	i, err := a.UpdateScheduled(r, instances, app, i, applied, change)
	if err != nil {
		return nil, err
	}
	return ApplyScans(r.Context(), instances, app, view, i, started), nil
}

// UpdateElementContent is UpdateContent for the data element that the path names, with the checks
// of UpdateElement.
func (a *Access) UpdateElementContent(r *http.Request, instances ContentUpdateStore, app *application.Application, view View, i *instance.Instance, scanning application.Scanning, applied ElementCheck, change ElementChange) (*instance.Instance, error) {
	if !scanning.Scans() {
		return a.UpdateElement(r, instances, i, applied, change)
	}
	started := time.Now()
	i, err := scheduled(r.Context(), instances, app, i, func(i *instance.Instance, scheduling func(EventChange) EventChange) (*instance.Instance, error) {
		return a.UpdateElement(r, instances, i, applied, func(i *instance.Instance, element *instance.DataElement) ([]event.Event, error) {
			return scheduling(func(i *instance.Instance) ([]event.Event, error) { return change(i, element) })(i)
		})
	})
	if err != nil {
		return nil, err
	}
	return ApplyScans(r.Context(), instances, app, view, i, started), nil
}

// ApplyScans applies the scan results that arrived before i was stored, for the elements that
// became pending at or after since, and returns the changed instance. If it fails, it logs the
// error and returns i: the request has had its effect, and the agenda applies the results later.
func ApplyScans(ctx context.Context, instances scan.Store, app *application.Application, view View, i *instance.Instance, since time.Time) *instance.Instance {
	changed, err := scan.Apply(ctx, instances, app, view.Links, i.Clone(), i.PendingScans(instance.TruncateTime(since)))
	if err != nil {
		logging.Add(ctx, slog.String("scan", err.Error()))
		return i
	}
	return changed
}

// ETag returns the entity tag of an instance. A scan result is a mark: it changes the entity tag,
// but a client that sends If-Match need not read the instance again.
func ETag(i *instance.Instance) string {
	return httpapi.MarkedTag(i.Version-i.ScanWrites, i.ScanWrites)
}
