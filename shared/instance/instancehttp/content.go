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
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// ErrContentReplaced is returned by what Send calls before sending when the element has other bytes by now.
var ErrContentReplaced = errors.New("the data element was replaced meanwhile")

// maxReloads is how often Send follows an element that is replaced while it is being fetched.
const maxReloads = 3

// ServeContent answers a GET or HEAD with the bytes of the data element that the path names, or with a link to them when they are
// more than a function returns. beforeSending, when not nil, is
// called with the instance and the element when either is at hand and before it is sent.
func ServeContent(w http.ResponseWriter, r *http.Request, access *Access, instances Reader, source blobhttp.Source,
	beforeSending func(*instance.Instance, *instance.DataElement) error,
) error {
	for attempt := 1; ; attempt++ {
		i, err := access.Load(r.Context(), instances)
		if err != nil {
			return err
		}
		element, err := access.Element(i)
		if err != nil {
			return err
		}
		content := blobhttp.Content{
			Key:      blob.KeyOf(i.AppID, i.ID, element.ID, element.Revision),
			FileName: element.FileName, ContentType: element.ContentType, SHA256: element.SHA256, Size: element.FileSize,
		}
		sent, err := blobhttp.ServeContent(w, r, content, source, func() error {
			if beforeSending == nil {
				return nil
			}
			return beforeSending(i, element)
		})
		if attempt < maxReloads && (errors.Is(err, blob.ErrNotFound) || errors.Is(err, ErrContentReplaced)) {
			continue
		}
		logging.Add(r.Context(), slog.Group("audit", slog.String("action", "read-data"), slog.Bool("sent", sent),
			slog.String("instance", i.ID), slog.String("data", element.ID), slog.String("sha256", element.SHA256)))
		return err
	}
}

// BlobStore stores bytes; *blobbucket.Bucket is one.
type BlobStore interface {
	Put(ctx context.Context, key blob.Key, contentType string, body []byte) (blob.Info, error)
	Delete(ctx context.Context, key blob.Key) error
}

// Payload is the bytes that a request sends as its body.
type Payload struct {
	Body        []byte
	ContentType string
	FileName    string // "" when the sender named none
}

// ReadPayload reads the body of a request that sends a data element. More than blob.InlineLimit bytes are TooLarge.
func ReadPayload(r *http.Request) (Payload, error) {
	body, err := httpapi.ReadBody(r, blob.InlineLimit)
	return Payload{
		Body: body, ContentType: r.Header.Get("Content-Type"), FileName: blobhttp.FileName(r.Header.Get("Content-Disposition")),
	}, err
}

// OrphanChecks keeps what may become litter; *instancetable.Table is one.
type OrphanChecks interface {
	ScheduleOrphanChecks(ctx context.Context, notes ...instance.OrphanCheck) error
}

// Store puts the upload into the blob store as a revision of the data element, after the application's rules, and
// returns what the instance must know of it, and the key. element needs an ID and a FormID; a Revision that it has is
// let go of. Both are noted first: whatever happens next, bytes that nothing points at are found again.
func (u Payload) Store(ctx context.Context, notes OrphanChecks, blobs BlobStore, app *application.Application, i *instance.Instance, element *instance.DataElement) (instance.Content, blob.Key, error) {
	if err := app.CheckUpload(element.FormID, u.ContentType, int64(len(u.Body))); err != nil {
		return instance.Content{}, blob.Key{}, err
	}
	key := blob.FirstKey(app.ID, i.ID, element.ID)
	now := time.Now()
	var checks []instance.OrphanCheck
	if element.Revision != "" {
		key = blob.NewKey(app.ID, i.ID, element.ID)
		checks = append(checks, i.OrphanCheck(element.ID, element.Revision, now))
	}
	if err := notes.ScheduleOrphanChecks(ctx, append(checks, i.OrphanCheck(element.ID, key.Revision(), now))...); err != nil {
		return instance.Content{}, blob.Key{}, err
	}
	bytes, err := u.Put(ctx, blobs, key)
	return bytes, key, err
}

// Put puts the upload into the blob store under a key that is noted, and returns what the instance must know of it.
func (u Payload) Put(ctx context.Context, blobs BlobStore, key blob.Key) (instance.Content, error) {
	info, err := blobs.Put(ctx, key, u.ContentType, u.Body)
	return instance.Content{
		ContentType: u.ContentType, FileName: u.FileName, Size: info.Size, SHA256: info.SHA256, Revision: key.Revision(),
	}, err
}

// DiscardContent removes bytes that were stored for a change that was then refused: sooner than the sweep would, which does
// it when this fails. After any other error the change may have been made, so the bytes stay.
func DiscardContent(ctx context.Context, blobs BlobStore, key blob.Key, refusal error) {
	if !NotApplied(refusal) {
		return
	}
	if err := blobs.Delete(ctx, key); err != nil {
		logging.Add(ctx, slog.String("discard", err.Error()))
	}
}

// NotApplied reports whether a change that ended with err has certainly not been made.
func NotApplied(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) || errors.Is(err, instance.ErrAlreadyApplied)
}

// ContentETag returns the entity tag of a data element's bytes, the same that Send answers with.
func ContentETag(element *instance.DataElement) string { return `"` + element.Revision + `"` }
