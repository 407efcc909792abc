package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
)

// parallelCalls is the maximum number of concurrent calls for the contents of one request.
const parallelCalls = 8

// maxMissing is the maximum number of times that attempt reads the instance again because content
// was deleted while the validation fetched it.
const maxMissing = 3

// handler holds the dependencies of POST …/changes.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications instancehttp.Applications
	instances    interface {
		instancehttp.IdempotentStore
		instancehttp.ContentUpdateStore
		instancehttp.OrphanCheckScheduler
		instancehttp.UploadStore
		instancehttp.UsageCounter
	}
	blobs interface {
		instancehttp.BlobStore
		instancehttp.BlobStat
	}
	data  *validation.Checker
	view  instancehttp.View
	quota instance.Quota

	malware instancehttp.MalwareScan
}

func newHandler(h *handler) http.Handler { return httpapi.HandlerFunc(h.applyChanges) }

func (h *handler) applyChanges(w http.ResponseWriter, r *http.Request) error {
	access, err := h.authorizer.Write(r)
	if err != nil {
		return err
	}
	// The table repeats a write whose response was lost. If another request has changed the
	// instance by then, only the record shows that the changes were applied. So a request without a
	// key has a record too.
	if _, has := r.Header["Idempotency-Key"]; !has {
		r.Header.Set("Idempotency-Key", uuid.New().String())
	}
	replay := func(i *instance.Instance, _ *instance.IdempotencyRecord) error {
		return h.view.For(access.Caller).Write(w, r, http.StatusOK, i)
	}
	return access.Idempotent(r, h.instances, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		i, err := h.load(r, access, record)
		if err != nil {
			return err
		}
		return h.view.For(access.Caller).Write(w, r, http.StatusOK, i)
	})
}

// load reads the instance, applies the changes of the request, and returns the changed instance.
func (h *handler) load(r *http.Request, access *instancehttp.Access, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	r = r.WithContext(busy.WithBudget(r.Context()))
	i, app, err := access.LoadWithApplication(r.Context(), h.instances, h.applications)
	if err != nil {
		return nil, err
	}
	b, content, err := decodeBody(r)
	if err != nil {
		return nil, err
	}
	if err := httpapi.CheckConditions(r, instancehttp.ETag(i)); err != nil {
		return nil, err
	}
	c, err := h.newChange(r, access, app, i, b, content, record)
	if err != nil {
		return nil, err
	}
	changed, err := c.run(i)
	if !c.hasUploads() || !instancehttp.MayBeRepeated(err) {
		return changed, err
	}
	// A concurrent request may have committed one of the uploads. Its operation is then done.
	again, readErr := h.newChange(r, access, app, i, b, content, record)
	if readErr != nil {
		return nil, readErr
	}
	if again.committed() > c.committed() {
		return again.run(i)
	}
	return nil, err
}

// change is one request to change an instance.
type change struct {
	*handler
	r      *http.Request
	access *instancehttp.Access
	app    *application.Application
	record *instance.IdempotencyRecord
	body   body

	contents []*content                     // of the operations; nil for a deletion
	infected map[string]instance.ScanResult // an upload that is known to be infected, by revision; or none
	checker  *validation.Checker
	stored   bool   // whether the contents of the parts are stored
	release  func() // subtracts the parts from the quota; set with stored
}

// content is the new content of a data element.
type content struct {
	id      string           // of the element to add
	key     blob.Key         // of a part
	body    []byte           // of a part
	content instance.Content // of a part

	upload    *instance.Upload // nil if the content is a part, or if err is not
	committed *instance.IdempotencyRecord
	err       error // why the upload cannot be used
}

// newChange returns the change of b, and reads its uploads. The contents of parts get their keys
// here, so that every attempt of the change uses the same ones.
func (h *handler) newChange(r *http.Request, access *instancehttp.Access, app *application.Application, i *instance.Instance,
	b body, parts map[int]httpapi.Part, record *instance.IdempotencyRecord,
) (*change, error) {
	c := &change{handler: h, r: r, access: access, app: app, body: b, contents: make([]*content, len(b.Data)), record: record}
	inline := map[blob.Key][]byte{}
	for n, o := range b.Data {
		if part, ok := parts[n]; ok {
			formID := o.FormID
			if element := i.Element(o.ID); element != nil {
				formID = element.FormID
			}
			key := blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID)
			payload := instancehttp.PayloadOf(part)
			if payload.FileName == "" && o.Op == opAdd {
				payload.FileName = instance.DefaultFileName(o.FormID, payload.ContentType)
			}
			inline[key] = payload.Body
			// The first revision of an element is its id.
			c.contents[n] = &content{id: key.Revision(), key: key, body: payload.Body, content: instance.Content{
				ContentType: payload.ContentType, FileName: payload.FileName, Size: int64(len(payload.Body)), Revision: key.Revision(),
				Scanning: h.malware.Of(app, formID),
			}}
		}
	}
	c.checker = h.data.WithContent(inline)
	if err := c.findUploads(i); err != nil {
		return nil, err
	}
	return c, c.findInfected()
}

// run applies the change to i, the instance as read before the uploads, and returns the changed
// instance. It deletes the stored content again if the change was certainly not applied.
func (c *change) run(i *instance.Instance) (*instance.Instance, error) {
	var err error
	if c.committed() > 0 { // i may be older than the element of an upload
		if i, err = c.access.Load(c.r.Context(), c.instances); err != nil {
			return nil, err
		}
	}
	changed, err := c.attempt(i)
	if c.stored && instancehttp.NotApplied(err) {
		c.undo(err)
	}
	return changed, err
}

// undo subtracts the parts from the quota and deletes them. It does nothing if the instance has one
// of them: the change was then applied, but its response was lost, and err is of a later attempt.
func (c *change) undo(err error) {
	ctx := c.r.Context()
	i, loadErr := c.access.Load(ctx, c.instances)
	if loadErr != nil { // the sweep deletes what no instance refers to
		return
	}
	var keys []blob.Key
	for n := range c.body.Data {
		if c.isPart(n) {
			if i.HasRevision(c.contents[n].key.Revision()) {
				return
			}
			keys = append(keys, c.contents[n].key)
		}
	}
	instancehttp.Undo(ctx, err, c.release, c.blobs, keys...)
}

// attempt is run without the deletion. It applies the change in memory first, so a rejected request
// stores nothing. If another request changes the instance concurrently, attempt validates the new
// data and tries again, while the request's budget for lost races allows it.
func (c *change) attempt(i *instance.Instance) (*instance.Instance, error) {
	ctx := c.r.Context()
	var found validation.Findings
	for missing := 0; ; {
		trial := i.Clone()
		_, err := c.applyTo(trial, found)
		if errors.Is(err, validation.ErrNotValidated) {
			if found, err = c.checker.Elements(ctx, c.app, trial, trial.DataFor(c.access.Role()), found); err == nil {
				continue
			}
			if !errors.Is(err, blob.ErrNotFound) || missing == maxMissing {
				return nil, err
			}
			missing++
		} else {
			if err != nil && !errors.Is(err, instance.ErrUnchanged) {
				return nil, err
			}
			if err := c.store(ctx, i); err != nil {
				return nil, err
			}
			started := time.Now()
			changed, err := c.access.UpdateScheduled(c.r, c.instances, c.app, i, nil, func(i *instance.Instance) ([]event.Event, error) {
				return c.applyTo(i, found)
			})
			if err == nil {
				changed = instancehttp.ApplyScans(ctx, c.instances, c.app, c.view, changed, started)
			}
			if !errors.Is(err, validation.ErrNotValidated) {
				return changed, err
			}
		}
		if err := busy.Race(ctx); err != nil {
			return nil, err
		}
		if i, err = c.access.Load(ctx, c.instances); err != nil {
			return nil, err
		}
	}
}

// findUploads reads the uploads of the operations, and whether they are committed.
func (c *change) findUploads(i *instance.Instance) error {
	return c.parallel(func(n int) bool { return c.body.Data[n].Upload != "" }, func(ctx context.Context, n int) error {
		u, err := instancehttp.LookUpUpload(ctx, c.instances, i, c.body.Data[n].Upload)
		found := &content{upload: u, err: err}
		c.contents[n] = found
		if err != nil {
			return unlessFault(err)
		}
		found.id, found.content = u.NewDataGuid(), u.Content
		if found.committed, err = c.instances.IdempotencyRecord(ctx, u.IdempotencyRecordID()); err != nil || found.committed != nil {
			return err
		}
		if found.err = instancehttp.VerifyUpload(ctx, c.blobs, u); found.err == nil {
			found.content.Scanning, found.err = c.malware.OfUpload(c.app, u)
		}
		return unlessFault(found.err)
	})
}

// findInfected reads the results of the uploads that are already scanned, and keeps one of them
// that is infected. A transition in the same request then does not accept that content. The other
// results are recorded after the change, like those that arrive later.
func (c *change) findInfected() error {
	var revisions []string
	for _, found := range c.contents {
		if found != nil && found.upload != nil && found.committed == nil && found.content.Scanning.Scans() {
			revisions = append(revisions, found.content.Revision)
		}
	}
	if len(revisions) == 0 || c.body.Workflow == nil {
		return nil
	}
	results, err := c.instances.ScanResults(c.r.Context(), revisions...)
	for _, revision := range revisions {
		if result := results[revision]; result.Status == instance.ScanInfected {
			c.infected = map[string]instance.ScanResult{revision: result}
			break
		}
	}
	return err
}

// hasUploads reports whether an operation names an upload.
func (c *change) hasUploads() bool {
	return slices.ContainsFunc(c.body.Data, func(o operation) bool { return o.Upload != "" })
}

// committed returns the number of uploads that are committed already.
func (c *change) committed() int {
	n := 0
	for _, found := range c.contents {
		if found != nil && found.committed != nil {
			n++
		}
	}
	return n
}

// store counts the parts for the quota, schedules the orphan check of all content that documents
// lose by the change, and stores the parts. The sweep finds the new revisions of
// concurrent requests by their day.
func (c *change) store(ctx context.Context, i *instance.Instance) error {
	if c.stored {
		return nil
	}
	var sizes []int64
	for n := range c.body.Data {
		if c.isPart(n) {
			sizes = append(sizes, int64(len(c.contents[n].body)))
		}
	}
	var err error
	if c.release, err = c.access.ReserveContent(ctx, c.instances, c.quota, i, sizes...); err != nil {
		return err
	}
	var lost []string
	for _, o := range c.body.Data {
		if element := i.Element(o.ID); element != nil {
			lost = append(lost, element.Revision)
		}
	}
	if len(lost) > 0 {
		if err := c.instances.ScheduleOrphanChecks(ctx, i.OrphanCheck(time.Now(), lost...)); err != nil {
			c.release()
			return err
		}
	}
	err = c.parallel(c.isPart, func(ctx context.Context, n int) error {
		found := c.contents[n]
		payload := instancehttp.Payload{Body: found.body, ContentType: found.content.ContentType, FileName: found.content.FileName}
		content, err := payload.Put(ctx, c.blobs, found.key, found.content.Scanning)
		found.content = content
		return err
	})
	if err != nil { // the sweep deletes the parts that are stored
		c.release()
		return err
	}
	c.stored = true
	return nil
}

func (c *change) isPart(n int) bool { return c.body.Data[n].Part != "" }

// parallel calls do with the indexes of the selected operations.
func (c *change) parallel(selected func(n int) bool, do func(ctx context.Context, n int) error) error {
	var indexes []int
	for n := range c.body.Data {
		if selected(n) {
			indexes = append(indexes, n)
		}
	}
	return busy.InBatches(c.r.Context(), indexes, 1, parallelCalls, func(ctx context.Context, batch []int) ([]int, error) {
		return nil, do(ctx, batch[0])
	})
}
