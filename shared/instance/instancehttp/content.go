package instancehttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// ErrContentReplaced is the error that beforeSending returns to ServeContent if the element's
// content was replaced after ServeContent read the instance. ServeContent then reads the instance
// again.
var ErrContentReplaced = errors.New("the content of the data element was replaced concurrently")

// maxReads is how often ServeContent reads an instance whose element is replaced concurrently.
const maxReads = 3

// ServeContent responds to a GET or HEAD with the content of the data element that the path names.
// It redirects to a presigned URL if the content is larger than a function can return. It returns
// NotFound if the caller has no access to the instance or the instance has no such element.
//
// It returns the Conflict of MalwareScan.Check for content that the malware scan does not let it
// hand out, for every method and header.
//
// ServeContent calls beforeSending, if not nil, with the instance and the element when the response
// is ready, before it sends the first byte. It does not call it for a range that ends before the
// last byte. If beforeSending fails, ServeContent returns its error and sends nothing.
func ServeContent(w http.ResponseWriter, r *http.Request, access *Access, instances Reader, source ContentSource, malware MalwareScan,
	beforeSending func(*instance.Instance, *instance.DataElement) error,
) error {
	for attempt := 1; ; attempt++ {
		i, err := access.Load(r.Context(), instances)
		if err != nil {
			return err
		}
		element, err := access.Element(i)
		if err == nil {
			err = malware.Check(element)
		}
		if err != nil {
			return err
		}
		content := blobhttp.Content{
			Key:      blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, element.Revision),
			FileName: element.FileName, URLFileName: urlFileName(element), ContentType: element.ContentType, SHA256: element.SHA256, Size: element.FileSize,
		}
		if err := malware.checkTag(r.Context(), source, content, element); err != nil {
			return err
		}
		sent, err := blobhttp.ServeContent(w, r, content, source, func() error {
			if beforeSending == nil {
				return nil
			}
			return beforeSending(i, element)
		})
		if attempt < maxReads && (errors.Is(err, blob.ErrNotFound) || errors.Is(err, ErrContentReplaced)) {
			continue
		}
		if errors.Is(err, blob.ErrNotFound) && malware.isTagLate(element, time.Now()) {
			err = errUnscanned().WithCause(err)
		}
		logging.Add(r.Context(), slog.Group("audit", slog.String("action", "read-data"), slog.Bool("sent", sent),
			slog.String("instance", i.ID), slog.String("data", element.ID), slog.String("sha256", element.SHA256)))
		return err
	}
}

// urlFileName returns the file name of a data element in a presigned URL, which proxies may log:
// the formId with the usual extension. If an application has no data types, the sender chooses
// the formId, so a formId with an identity number is left out.
func urlFileName(element *instance.DataElement) string {
	formID := element.FormID
	if logging.Redact(formID) != formID {
		formID = "data"
	}
	return instance.DefaultFileName(formID, element.ContentType)
}

// BlobStore stores the content of data elements; *blobbucket.Bucket is one.
type BlobStore interface {
	Put(ctx context.Context, key blob.Key, contentType, tag string, body []byte) (blob.Info, error)
	Delete(ctx context.Context, key blob.Key) error
}

// Payload is the content of a data element in a request body.
type Payload struct {
	Body        []byte
	ContentType string
	FileName    string // "" if the sender gave none
}

// ReadPayload reads the body of a request that sends a data element. It returns TooLarge for a body
// of more than blob.InlineLimit bytes.
func ReadPayload(r *http.Request) (Payload, error) {
	body, err := httpapi.ReadBody(r, blob.InlineLimit)
	return Payload{
		Body: body, ContentType: r.Header.Get("Content-Type"), FileName: blobhttp.FileName(r.Header.Get("Content-Disposition")),
	}, err
}

// PayloadOf returns the content of a data element in a part of a form.
func PayloadOf(part httpapi.Part) Payload {
	return Payload{Body: part.Body, ContentType: part.ContentType, FileName: blobhttp.FileName(part.Disposition)}
}

// OrphanCheckScheduler schedules orphan checks; *instancetable.Table is one.
type OrphanCheckScheduler interface {
	ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error
}

// ContentStore is a Store for changes that can orphan content; *instancetable.Table is one.
type ContentStore interface {
	Store
	OrphanCheckScheduler
}

// Replace stores the payload as a new revision of a data element of i. It returns the content's
// metadata for the instance, and the key. The caller must have checked the payload with
// Application.CheckUpload. scanning is that of its data type.
//
// Replace also schedules the orphan check of the present revision. So the sweep finds the revision
// to which no document refers, whatever fails later.
func (p Payload) Replace(ctx context.Context, orphans OrphanCheckScheduler, blobs BlobStore, i *instance.Instance, element *instance.DataElement, scanning application.Scanning) (instance.Content, blob.Key, error) {
	var scheduled error
	var scheduling sync.WaitGroup
	scheduling.Go(func() { scheduled = orphans.ScheduleOrphanChecks(ctx, i.OrphanCheck(time.Now(), element.Revision)) })
	key := blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID)
	content, err := p.Put(ctx, blobs, key, scanning)
	scheduling.Wait()
	return content, key, errors.Join(scheduled, err)
}

// Put stores the payload and returns the content's metadata for the instance.
func (p Payload) Put(ctx context.Context, blobs BlobStore, key blob.Key, scanning application.Scanning) (instance.Content, error) {
	info, err := blobs.Put(ctx, key, p.ContentType, scanning.Tag(), p.Body)
	return instance.Content{
		ContentType: p.ContentType, FileName: p.FileName, Size: info.Size, SHA256: info.SHA256, Revision: key.Revision(),
		Scanning: scanning,
	}, err
}

// Undo calls release and deletes the content with the keys if err proves that the change that
// needed both was not applied. After any other error the document may refer to the content. If a
// deletion fails, the sweep deletes the content later.
func Undo(ctx context.Context, err error, release func(), blobs BlobStore, keys ...blob.Key) {
	if !NotApplied(err) {
		return
	}
	release()
	for _, key := range keys {
		if err := blobs.Delete(ctx, key); err != nil {
			logging.Add(ctx, slog.String("discard", err.Error()))
		}
	}
}

// NotApplied reports whether a change that failed with err was certainly not applied. The outcome
// of a change that failed with fault.Busy is unknown.
func NotApplied(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind != fault.Unavailable || errors.Is(err, instance.ErrAlreadyApplied)
}

// ContentETag returns the entity tag of a data element's content, which ServeContent sends as ETag.
func ContentETag(element *instance.DataElement) string { return `"` + element.Revision + `"` }
