package receive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"altinn.no/instanceapi/events/owner/client/inbox"
	"altinn.no/instanceapi/events/owner/client/storage"
)

// Bounds of what is tried with one instance before it is left for later.
const (
	maxRounds = 5 // how often it may change while it is fetched
	maxStalls = 5 // how often a download may break without a byte more
)

// diskError is what went wrong on this machine.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

func onDisk(err error) error {
	if err == nil {
		return nil
	}
	return &diskError{err}
}

// fetch downloads an instance and confirms it.
//
// The document is read before the bytes and again after. When no element has changed in between, the bytes are those of
// the second document, and the confirmation holds only for that one: If-Match makes it fail if there is a newer one.
func (r *Receiver) fetch(ctx context.Context, ref storage.Ref) error {
	var folder *inbox.Folder
	var here storage.Instance // as it was when all of it was here, and its confirmation was sent
	for range maxRounds {
		before, err := r.API.Instance(ctx, ref)
		switch {
		case storage.IsStatus(err, 404): // deleted for good
			return onDisk(r.Inbox.Abandon(ref.ID))
		case err != nil:
			return err
		case !slices.Contains(r.Steps, before.Workflow.CurrentStep): // sent back
			return nil
		case before.Confirmed() && (len(before.Data) > 0 || r.Inbox.IsComplete(ref.ID)):
			if here.ID != "" && before.SameBytes(here) { // the confirmation had its effect, and its answer was lost
				r.done(before, folder)
			}
			return nil
		}
		if folder, err = r.Inbox.Folder(ref.ID); err != nil {
			return onDisk(err)
		}
		files, after, err := r.download(ctx, before, folder)
		if storage.IsStatus(err, 404) { // the element is gone, or the instance
			continue
		}
		if err != nil {
			return err
		}
		if !after.SameBytes(before) {
			continue
		}
		if err := sizes(after, files); err != nil {
			return err
		}
		if err := folder.Complete(after.Document, files); err != nil {
			return onDisk(err)
		}
		if after.Confirmed() { // there is nothing to confirm
			r.Done(folder.Path())
			return nil
		}
		here = after
		err = r.API.Confirm(ctx, after)
		switch {
		case err == nil:
			r.done(after, folder)
			return nil
		case !storage.IsStatus(err, 404, 409, 412): // a 412 may be the repetition of a confirmation whose answer was lost
			return err
		}
	}
	return errors.New("it changes all the time")
}

// done tells of an instance that is here and confirmed.
func (r *Receiver) done(i storage.Instance, folder *inbox.Folder) {
	r.Say("%s: %d files, confirmed", i.ID, len(i.Data))
	r.Done(folder.Path())
}

// download makes sure that all data elements of an instance are on the disk, and reads the instance again.
func (r *Receiver) download(ctx context.Context, i storage.Instance, folder *inbox.Folder) ([]inbox.File, storage.Instance, error) {
	files := []inbox.File{}
	for _, element := range i.Data {
		file, err := r.element(ctx, i.Ref(), element, folder)
		if err != nil {
			return nil, i, fmt.Errorf("data element %s: %w", element.ID, err)
		}
		files = append(files, file)
	}
	after, err := r.API.Instance(ctx, i.Ref())
	return files, after, err
}

// sizes holds the sizes of the files against the document. Their digests have been checked already.
func sizes(i storage.Instance, files []inbox.File) error {
	for n, e := range i.Data {
		if files[n].Size != e.FileSize {
			return fmt.Errorf("data element %s has %d bytes, and the instance says %d", e.ID, files[n].Size, e.FileSize)
		}
	}
	return nil
}

// element makes sure that a data element is on the disk, as it is now.
func (r *Receiver) element(ctx context.Context, ref storage.Ref, e storage.Element, folder *inbox.Folder) (inbox.File, error) {
	file, ok, err := folder.Has(e.ID, e.FileName)
	if err != nil {
		return file, onDisk(err)
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
		_, had, err := folder.Part(e.ID)
		if err != nil {
			return file, onDisk(err)
		}
		file, err = r.once(ctx, ref, e, folder)
		if err == nil {
			return file, nil
		}
		var disk *diskError
		if ctx.Err() != nil || errors.As(err, &disk) || !storage.Temporary(err) {
			return file, err
		}
		if _, has, _ := folder.Part(e.ID); has > had {
			failures = 0
		}
		if failures++; failures > maxStalls {
			return file, err
		}
		r.API.Wait(ctx, failures, "data element "+e.ID, err)
	}
}

// once downloads the bytes, from where an earlier download has come.
func (r *Receiver) once(ctx context.Context, ref storage.Ref, e storage.Element, folder *inbox.Folder) (inbox.File, error) {
	etag, from, err := folder.Part(e.ID)
	if err != nil {
		return inbox.File{}, onDisk(err)
	}
	if from >= e.FileSize { // no byte would be left to ask for
		from = 0
	}
	got, err := r.API.Download(ctx, ref, e.ID, etag, from)
	if err != nil {
		return inbox.File{}, err
	}
	defer got.Body.Close()
	part, err := folder.Begin(e.ID, e.FileName, got.ETag, got.From)
	if err != nil {
		return inbox.File{}, onDisk(err)
	}
	into := &counted{part: part, say: r.Say, name: e.ID, done: got.From, size: e.FileSize}
	_, err = io.Copy(into, got.Body)
	if into.disk != nil {
		return inbox.File{}, onDisk(errors.Join(into.disk, part.Close()))
	}
	if err != nil {
		return inbox.File{}, errors.Join(err, part.Close())
	}
	file, err := part.Finish(hex.EncodeToString(got.Digest[:]))
	if err != nil && !errors.Is(err, inbox.ErrDamaged) {
		err = onDisk(err)
	}
	return file, err
}
