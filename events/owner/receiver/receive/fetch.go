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

// Limits on the attempts for one instance before it is left for a later run.
const (
	maxRounds = 5 // how often the instance may change during its fetch
	maxStalls = 5 // how often in a row a download may fail without receiving a byte
)

// diskError is an error of the local disk, which stops the receiver.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

func asDiskError(err error) error {
	if err == nil {
		return nil
	}
	return &diskError{err}
}

// errMoved means that an instance left the step in which the queue listed it: it was sent back, or
// moved on.
var errMoved = errors.New("the instance moved to another step")

// fetch downloads a submission that the queue lists, and confirms it.
//
// fetch reads the document before and after the content. When no element changed in between, the
// content is that of the second document. The confirmation holds only for that document: If-Match
// makes it fail if a newer one exists. A confirmation whose response was lost is repeated, which
// changes nothing.
func (r *Receiver) fetch(ctx context.Context, listed storage.Instance) error {
	ref := listed.Ref()
	for range maxRounds {
		before, err := r.API.Instance(ctx, ref)
		switch {
		case storage.IsStatus(err, 404): // permanently deleted
			return asDiskError(r.Inbox.RemoveIncomplete(ref.ID))
		case err != nil:
			return err
		case before.Workflow.CurrentStep != listed.Workflow.CurrentStep:
			return r.moved(ref)
		}
		folder, err := r.Inbox.Folder(ref.ID)
		if err != nil {
			return asDiskError(err)
		}
		files, after, err := r.download(ctx, before, folder)
		if storage.IsStatus(err, 404) { // the element or the instance was deleted
			continue
		}
		if err != nil {
			return err
		}
		if after.Workflow.CurrentStep != listed.Workflow.CurrentStep {
			return r.moved(ref)
		}
		if !after.SameSubmission(before) {
			continue
		}
		if err := checkSizes(after, files); err != nil {
			return err
		}
		if err := folder.Complete(after.Document, files); err != nil {
			return asDiskError(err)
		}
		err = r.API.Confirm(ctx, after)
		switch {
		case err == nil:
			r.finish(after, folder)
			return nil
		case !storage.IsStatus(err, 404, 409, 412): // 412: also when a confirmation is repeated after its response was lost
			return err
		}
	}
	return errors.New("the instance changed during every attempt")
}

// moved removes what the fetch has stored of an instance that may have been sent back, and returns
// errMoved.
func (r *Receiver) moved(ref storage.Ref) error {
	if err := r.Inbox.RemoveIncomplete(ref.ID); err != nil {
		return asDiskError(err)
	}
	return errMoved
}

// download stores all data elements of an instance on the disk and reads the instance again.
func (r *Receiver) download(ctx context.Context, i storage.Instance, folder *inbox.Folder) ([]inbox.File, storage.Instance, error) {
	files := []inbox.File{}
	for _, element := range i.Data {
		file, err := r.fetchElement(ctx, i.Ref(), element, folder)
		if err != nil {
			return nil, i, fmt.Errorf("data element %s: %w", element.ID, err)
		}
		files = append(files, file)
	}
	after, err := r.API.Instance(ctx, i.Ref())
	return files, after, err
}

// checkSizes compares the sizes of the files with the document. Their digests have already been
// verified.
func checkSizes(i storage.Instance, files []inbox.File) error {
	for n, e := range i.Data {
		if files[n].Size != e.FileSize {
			return fmt.Errorf("data element %s has %d bytes, but the instance states %d", e.ID, files[n].Size, e.FileSize)
		}
	}
	return nil
}

// fetchElement makes sure that the current content of a data element is on the disk.
func (r *Receiver) fetchElement(ctx context.Context, ref storage.Ref, e storage.Element, folder *inbox.Folder) (inbox.File, error) {
	file, ok, err := folder.Has(e.ID, e.FileName)
	if err != nil {
		return file, asDiskError(err)
	}
	if ok && e.Downloaded() {
		digest, err := r.API.DigestOf(ctx, ref, e.ID)
		if err != nil {
			return file, err
		}
		if file.SHA256 == hex.EncodeToString(digest[:]) {
			return file, nil
		}
	}
	for failures := 0; ; {
		_, sizeBefore, err := folder.Part(e.ID)
		if err != nil {
			return file, asDiskError(err)
		}
		file, err = r.downloadOnce(ctx, ref, e, folder)
		if err == nil {
			return file, nil
		}
		var disk *diskError
		if ctx.Err() != nil || errors.As(err, &disk) || !storage.IsRetryable(err) {
			return file, err
		}
		if _, sizeAfter, _ := folder.Part(e.ID); sizeAfter > sizeBefore {
			failures = 0
		}
		if failures++; failures > maxStalls {
			return file, err
		}
		r.API.Backoff(ctx, failures, "data element "+e.ID, err)
	}
}

// downloadOnce downloads the content and resumes an unfinished download.
func (r *Receiver) downloadOnce(ctx context.Context, ref storage.Ref, e storage.Element, folder *inbox.Folder) (inbox.File, error) {
	etag, from, err := folder.Part(e.ID)
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
	part, err := folder.Begin(e.ID, e.FileName, content.ETag, content.From)
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
	if err != nil && !errors.Is(err, inbox.ErrDamaged) {
		err = asDiskError(err)
	}
	return file, err
}
