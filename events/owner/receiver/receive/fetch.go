package receive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"altinn.no/instanceapi/events/owner/receiver/inbox"
	"altinn.no/instanceapi/events/owner/receiver/storage"
)

// maxRounds is how often an instance may change during its fetch before it is left for later.
const maxRounds = 5

// diskError is an error of the local disk, which stops the receiver.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

func asDiskError(err error) error {
	if err == nil || errors.Is(err, inbox.ErrChanged) || errors.Is(err, inbox.ErrDamaged) {
		return err
	}
	return &diskError{err}
}

// errMoved means that an instance left the step in which the queue listed it: it was sent back, or
// moved on.
var errMoved = errors.New("the instance moved to another step")

// errChanged means that the content of an instance changed while it was read.
var errChanged = errors.New("the instance changed during every attempt")

// errDeleted means that an instance is permanently deleted.
var errDeleted = errors.New("the instance is permanently deleted")

// task is a submission that the queue lists, while it is fetched.
type task struct {
	listed    storage.Instance
	stored    storage.Instance // the document that the disk has
	files     []inbox.File
	processed bool // by OnComplete
	err       error
}

// fetch downloads a submission, unless the disk has it.
func (r *Receiver) fetch(ctx context.Context, t *task) error {
	var isNew bool
	var err error
	t.stored, t.files, isNew, err = r.store(ctx, t.listed)
	switch {
	case storage.IsStatus(err, 404):
		return errors.Join(errDeleted, asDiskError(r.Inbox.Discard(t.listed.ID)))
	case err != nil:
		return err
	}
	if r.OnComplete != nil && (isNew || !t.processed) {
		if err := r.OnComplete(ctx, r.submission(t.stored, t.files)); err != nil {
			return err
		}
		t.processed = true
	}
	return nil
}

// confirm confirms the tasks without an error, in one request, and sets their errors.
//
// A confirmation holds only for the document that the submission was stored with: its entity tag
// makes the confirmation fail if a newer document exists. A confirmation whose response was lost is
// repeated, which changes nothing.
func (r *Receiver) confirm(ctx context.Context, tasks []*task) {
	var stored []*task
	var instances []storage.Instance
	for _, t := range tasks {
		if t.err == nil {
			stored, instances = append(stored, t), append(instances, t.stored)
		}
	}
	for n, err := range r.API.Confirm(ctx, instances) {
		if storage.IsStatus(err, 404, 409, 412) { // 412: also when a confirmation is repeated after its response was lost
			err = errChanged
		}
		stored[n].err = err
	}
}

// store makes sure that the disk has the complete submission of an instance. It returns the current
// document, and whether this call has stored the submission.
//
// store reads the document before and after the content. When no element changed in between, the
// content is that of the second document; otherwise store returns errChanged.
func (r *Receiver) store(ctx context.Context, listed storage.Instance) (current storage.Instance, files []inbox.File, isNew bool, err error) {
	before, err := r.read(ctx, listed)
	if err != nil {
		return before, nil, false, err
	}
	files, ok, err := r.Inbox.Files(before.ID, before.ContentTime())
	if ok || err != nil { // complete, but an earlier process or attempt could not confirm it
		return before, files, false, asDiskError(err)
	}
	download, err := r.Inbox.Download(before.ID)
	if err != nil {
		return before, nil, false, asDiskError(err)
	}
	files = []inbox.File{}
	for _, element := range before.Data {
		file, err := r.fetchElement(ctx, before.Ref(), element, download)
		switch {
		case storage.IsStatus(err, 404): // the element or the instance was deleted
			return before, nil, false, errChanged
		case err != nil:
			return before, nil, false, fmt.Errorf("data element %s: %w", element.ID, err)
		}
		files = append(files, file)
	}
	after, err := r.read(ctx, listed)
	if err != nil {
		return after, nil, false, err
	}
	if !after.SameSubmission(before) {
		return after, nil, false, errChanged
	}
	for n, e := range after.Data { // the digests have already been verified
		if files[n].Size != e.FileSize {
			return after, nil, false, fmt.Errorf("data element %s has %d bytes, but the instance states %d", e.ID, files[n].Size, e.FileSize)
		}
	}
	return after, files, true, asDiskError(download.Complete(after.ContentTime(), after.Document, files))
}

// read reads the current document of an instance. If the instance has left its step, read discards
// the download, because the instance may have been sent back, and returns errMoved.
func (r *Receiver) read(ctx context.Context, listed storage.Instance) (storage.Instance, error) {
	i, err := r.API.Instance(ctx, listed.Ref())
	if err == nil && i.Workflow.CurrentStep != listed.Workflow.CurrentStep {
		if err := r.Inbox.Discard(i.ID); err != nil {
			return i, asDiskError(err)
		}
		return i, errMoved
	}
	return i, err
}

// fetchElement makes sure that the current content of a data element is on the disk.
func (r *Receiver) fetchElement(ctx context.Context, ref storage.Ref, e storage.Element, download *inbox.Download) (inbox.File, error) {
	if stored := download.Stored(e.ID); len(stored) > 0 && e.Downloaded() {
		digest, err := r.API.DigestOf(ctx, ref, e.ID)
		if err != nil {
			return inbox.File{}, err
		}
		file, ok, err := download.Reuse(stored, e.ID, e.FileName, hex.EncodeToString(digest[:]))
		if ok || err != nil {
			return file, asDiskError(err)
		}
	}
	for attempts := (storage.Attempts{}); ; {
		_, sizeBefore, err := download.Part(e.ID)
		if err != nil {
			return inbox.File{}, asDiskError(err)
		}
		file, err := r.downloadOnce(ctx, ref, e, download)
		var disk *diskError
		if err == nil || errors.As(err, &disk) {
			return file, err
		}
		if _, sizeAfter, _ := download.Part(e.ID); sizeAfter > sizeBefore {
			attempts.Reset()
		}
		if !r.API.Retry(ctx, &attempts, "data element "+e.ID, err) {
			return file, err
		}
	}
}

// downloadOnce downloads the content and resumes an unfinished download.
func (r *Receiver) downloadOnce(ctx context.Context, ref storage.Ref, e storage.Element, download *inbox.Download) (inbox.File, error) {
	etag, from, err := download.Part(e.ID)
	if err != nil {
		return inbox.File{}, asDiskError(err)
	}
	if from >= e.FileSize { // nothing is left to request
		from = 0
	}
	content, err := r.API.Download(ctx, ref, e.ID, etag, from)
	if err != nil {
		return inbox.File{}, err
	}
	defer content.Body.Close()
	part, err := download.Begin(e.ID, e.FileName, content.ETag, content.From)
	if err != nil {
		return inbox.File{}, asDiskError(err)
	}
	out := &progressWriter{part: part, logf: r.Logf, name: e.ID, done: content.From, size: e.FileSize}
	_, err = io.Copy(out, content.Body)
	if out.disk != nil {
		return inbox.File{}, asDiskError(errors.Join(out.disk, part.Close()))
	}
	if err != nil {
		return inbox.File{}, errors.Join(err, part.Close())
	}
	file, err := part.Finish(hex.EncodeToString(content.Digest[:]))
	return file, asDiskError(err)
}
