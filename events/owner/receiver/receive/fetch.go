package receive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

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

// errUnscanned means that the malware scan of content of an instance is still pending after the
// time that the receiver waits for it.
var errUnscanned = errors.New("the malware scan is pending")

// errOverdue means that the malware scan of content of an instance is pending for longer than
// scanOverdue.
var errOverdue = errors.New("the malware scan has had no result for an hour")

// errDeleted means that an instance is permanently deleted.
var errDeleted = errors.New("the instance is permanently deleted")

// task is a submission that the queue lists, while it is fetched.
type task struct {
	listed    storage.Instance
	stored    storage.Instance // the document that the disk has
	content   inbox.Content
	wait      time.Duration // the remaining time to wait for the malware scan
	processed bool          // by OnComplete
	err       error
}

// fetch downloads a submission, unless the disk has it.
func (r *Receiver) fetch(ctx context.Context, t *task) error {
	var isNew bool
	var err error
	t.stored, t.content, isNew, err = r.store(ctx, t)
	switch {
	case storage.IsStatus(err, 404):
		return errors.Join(errDeleted, asDiskError(r.Inbox.Discard(t.listed.ID)))
	case err != nil:
		return err
	}
	if r.OnComplete != nil && (isNew || !t.processed) {
		if err := r.OnComplete(ctx, r.submission(t.stored, t.content)); err != nil {
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

// store makes sure that the disk has the complete submission of an instance, except content that
// the malware scan blocks. It returns the current document, and whether this call has stored the
// submission.
//
// store reads the document before and after the content. When no element changed in between, the
// content is that of the second document; otherwise store returns errChanged.
func (r *Receiver) store(ctx context.Context, t *task) (current storage.Instance, content inbox.Content, isNew bool, err error) {
	before, err := r.read(ctx, t.listed)
	if err != nil {
		return before, content, false, err
	}
	blocked, err := r.blocked(ctx, before)
	if err != nil {
		return before, content, false, err
	}
	content, ok, err := r.Inbox.Content(before.ID, before.ContentTime(), blocked)
	if ok || err != nil { // complete, but an earlier process or attempt could not confirm it
		return before, content, false, asDiskError(err)
	}
	download, err := r.Inbox.Download(before.ID)
	if err != nil {
		return before, content, false, asDiskError(err)
	}
	content, err = r.fetchContent(ctx, t, before, download)
	if err != nil {
		return before, content, false, err
	}
	after, err := r.read(ctx, t.listed)
	if err != nil {
		return after, content, false, err
	}
	if !after.SameSubmission(before) {
		return after, content, false, errChanged
	}
	sizes := map[string]int64{}
	for _, e := range after.Data {
		sizes[e.ID] = e.FileSize
	}
	for _, file := range content.Files { // the digests have already been verified
		if size := sizes[file.Element]; file.Size != size {
			return after, content, false, fmt.Errorf("data element %s has %d bytes, but the instance states %d", file.Element, file.Size, size)
		}
	}
	if !slices.Equal(content.Blocked, blocked) { // the disk may already have this state too
		stored, ok, err := r.Inbox.Content(after.ID, after.ContentTime(), content.Blocked)
		if err == nil && ok {
			err = r.Inbox.Discard(after.ID)
		}
		if ok || err != nil {
			return after, stored, false, asDiskError(err)
		}
	}
	return after, content, true, asDiskError(download.Complete(after.ContentTime(), after.Document, content))
}

// blocked returns the data elements of an instance whose content the malware scan blocks now. The
// status alone does not show this: the API may only observe the scan, and a data type may allow
// unscannable content.
func (r *Receiver) blocked(ctx context.Context, i storage.Instance) (blocked []inbox.Blocked, err error) {
	codes := map[string]string{storage.ScanInfected: storage.CodeInfected, storage.ScanUnscannable: storage.CodeUnscannable}
	for _, element := range i.Data {
		code := codes[element.Scan.Status]
		if code == "" {
			continue
		}
		switch _, err := r.API.DigestOf(ctx, i.Ref(), element.ID); {
		case err == nil:
		case storage.IsStatus(err, 409):
			blocked = append(blocked, inbox.Blocked{Element: element.ID, Code: code})
		case storage.IsStatus(err, 404): // the element or the instance was deleted
			return nil, errChanged
		default:
			return nil, fmt.Errorf("data element %s: %w", element.ID, err)
		}
	}
	return blocked, nil
}

// fetchContent makes sure that the content of an instance is on the disk, except content that the
// malware scan blocks. Content whose scan is pending does not delay the rest: fetchContent fetches
// the rest before it returns an error.
func (r *Receiver) fetchContent(ctx context.Context, t *task, i storage.Instance, download *inbox.Download) (inbox.Content, error) {
	content := inbox.Content{Files: []inbox.File{}}
	var unscanned error
	for _, element := range i.Data {
		file, err := r.fetchScanned(ctx, t, i.Ref(), element, download)
		switch code := storage.CodeOf(err); {
		case err == nil:
			content.Files = append(content.Files, file)
		case code == storage.CodeInfected || code == storage.CodeUnscannable:
			content.Blocked = append(content.Blocked, inbox.Blocked{Element: element.ID, Code: code})
		case storage.IsStatus(err, 404): // the element or the instance was deleted
			return content, errChanged
		case errors.Is(err, errUnscanned), errors.Is(err, errOverdue):
			if !errors.Is(unscanned, errOverdue) {
				unscanned = fmt.Errorf("data element %s: %w", element.ID, err)
			}
		default:
			return content, fmt.Errorf("data element %s: %w", element.ID, err)
		}
	}
	return content, unscanned
}

// fetchScanned is fetchElement, but waits while the malware scan of the content is pending. It
// returns errUnscanned when the remaining time of the task is over, and errOverdue if the scan is
// pending for longer than scanOverdue. It also returns errUnscanned if the object store may not yet
// know a recent result.
func (r *Receiver) fetchScanned(ctx context.Context, t *task, ref storage.Ref, e storage.Element, download *inbox.Download) (inbox.File, error) {
	for n := 1; ; n++ {
		file, err := r.fetchElement(ctx, ref, e, download)
		switch {
		case errors.Is(err, storage.ErrObjectDenied) && (e.Scan.Pending(0) || time.Since(e.Scan.At) < scanTagLag):
			return file, fmt.Errorf("%w: %w", errUnscanned, err)
		case storage.CodeOf(err) != storage.CodeUnscanned || ctx.Err() != nil:
			return file, err
		case e.Scan.Pending(scanOverdue):
			return file, fmt.Errorf("%w: %w", errOverdue, err)
		case t.wait <= 0:
			return file, fmt.Errorf("%w: %w", errUnscanned, err)
		}
		t.wait -= r.API.Backoff(ctx, n, "data element "+e.ID, err)
	}
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
		if err != nil && !storage.IsStatus(err, 409) { // 409: blocked; only the response to GET has the code
			return inbox.File{}, err
		}
		if err == nil {
			file, ok, err := download.Reuse(stored, e.ID, e.FileName, hex.EncodeToString(digest[:]))
			if ok || err != nil {
				return file, asDiskError(err)
			}
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
