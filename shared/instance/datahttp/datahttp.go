// Package datahttp provides what the endpoints that carry the bytes of data elements share: sending them out, and
// taking them in. It is apart from instancehttp so that only functions that handle bytes link the blob store.
package datahttp

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
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/requestlog"
)

// ErrReplaced is returned by what Send calls before sending when the element has other bytes by now.
var ErrReplaced = errors.New("the data element was replaced meanwhile")

// maxReplaced is how often Send follows an element that is replaced while it is being fetched.
const maxReplaced = 3

// Send answers a GET or HEAD with the bytes of the data element that the path names, or with a link to them when they are
// more than a function returns. beforeSending, when not nil, is
// called with the instance and the element when either is at hand and before it is sent.
func Send(w http.ResponseWriter, r *http.Request, access *instancehttp.Access, instances instancehttp.Reader, source blobhttp.Source,
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
		if attempt < maxReplaced && (errors.Is(err, blob.ErrNotFound) || errors.Is(err, ErrReplaced)) {
			continue
		}
		requestlog.Add(r.Context(), slog.Group("audit", slog.String("action", "read-data"), slog.Bool("sent", sent),
			slog.String("instance", i.ID), slog.String("data", element.ID), slog.String("sha256", element.SHA256)))
		return err
	}
}

// Putter stores bytes; *blobbucket.Bucket is one.
type Putter interface {
	Put(ctx context.Context, key blob.Key, contentType string, body []byte) (blob.Info, error)
	Delete(ctx context.Context, key blob.Key) error
}

// Upload is the bytes that a request sends as its body.
type Upload struct {
	Body        []byte
	ContentType string
	FileName    string // "" when the sender named none
}

// Receive reads the body of a request that sends a data element. More than blob.InlineLimit bytes are TooLarge.
func Receive(r *http.Request) (Upload, error) {
	body, err := httpapi.ReadBody(r, blob.InlineLimit)
	return Upload{
		Body: body, ContentType: r.Header.Get("Content-Type"), FileName: blobhttp.FileName(r.Header.Get("Content-Disposition")),
	}, err
}

// Notes keeps what may become litter; *instancetable.Table is one.
type Notes interface {
	NoteLitter(ctx context.Context, notes ...instance.Litter) error
}

// Store puts the upload into the blob store as a revision of the data element, after the application's rules, and
// returns what the instance must know of it, and the key. element needs an ID and a FormID; a Revision that it has is
// let go of. Both are noted first: whatever happens next, bytes that nothing points at are found again.
func (u Upload) Store(ctx context.Context, notes Notes, blobs Putter, app *application.Application, i *instance.Instance, element *instance.DataElement) (instance.Bytes, blob.Key, error) {
	if err := app.CheckUpload(element.FormID, u.ContentType, int64(len(u.Body))); err != nil {
		return instance.Bytes{}, blob.Key{}, err
	}
	key := blob.FirstKey(app.ID, i.ID, element.ID)
	now := time.Now()
	var litter []instance.Litter
	if element.Revision != "" {
		key = blob.NewKey(app.ID, i.ID, element.ID)
		litter = append(litter, i.Litter(element.ID, element.Revision, now))
	}
	if err := notes.NoteLitter(ctx, append(litter, i.Litter(element.ID, key.Revision(), now))...); err != nil {
		return instance.Bytes{}, blob.Key{}, err
	}
	bytes, err := u.Put(ctx, blobs, key)
	return bytes, key, err
}

// Put puts the upload into the blob store under a key that is noted, and returns what the instance must know of it.
func (u Upload) Put(ctx context.Context, blobs Putter, key blob.Key) (instance.Bytes, error) {
	info, err := blobs.Put(ctx, key, u.ContentType, u.Body)
	return instance.Bytes{
		ContentType: u.ContentType, FileName: u.FileName, Size: info.Size, SHA256: info.SHA256, Revision: key.Revision(),
	}, err
}

// Discard removes bytes that were stored for a change that was then refused: sooner than the sweep would, which does
// it when this fails. After any other error the change may have been made, so the bytes stay.
func Discard(ctx context.Context, blobs Putter, key blob.Key, refusal error) {
	if !Refused(refusal) {
		return
	}
	if err := blobs.Delete(ctx, key); err != nil {
		requestlog.Add(ctx, slog.String("discard", err.Error()))
	}
}

// Refused reports whether a change that ended with err has certainly not been made.
func Refused(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) || errors.Is(err, instance.ErrAnswered)
}

// ETag returns the entity tag of a data element's bytes, the same that Send answers with.
func ETag(element *instance.DataElement) string { return `"` + element.Revision + `"` }
