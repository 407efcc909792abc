package main

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/logging"
)

// bodyLimit is the size of a request's body, in bytes.
const bodyLimit = 16 << 10

// body is the request: what the bytes will be.
type body struct {
	FileName    string `json:"fileName"` // may be left out
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`   // bytes
	SHA256      string `json:"sha256"` // hex
}

// answer is the request that stores the bytes.
type answer struct {
	ID      string            `json:"id"` // names the upload when it is committed
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Expires time.Time         `json:"expires"` // until when the request can be begun
}

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type uploads interface {
	AddUpload(ctx context.Context, u *instance.Upload) error
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

type store interface {
	instancehttp.Reader
	instancehttp.OrphanChecks
	uploads
}

type signer interface {
	PresignPut(ctx context.Context, key blob.Key, contentType string, info blob.Info) (blob.PresignedRequest, error)
}

// handler is what announcing an upload needs.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications applicationStore
	instances    store
	blobs        signer
}

func newHandler(authorizer instancehttp.Authorizer, applications applicationStore, instances store, blobs signer) http.Handler {
	return httpapi.HandlerFunc((&handler{authorizer, applications, instances, blobs}).announce)
}

func (a *handler) announce(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	access, err := a.authorizer.Write(r, "formId")
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "formId")
	if err != nil {
		return err
	}
	formID, err := httpapi.SingleValue(values, "formId")
	if err != nil {
		return err
	}
	before := &announced{uploads: a.instances}
	replay := func(*instance.Replay) error {
		if _, err := access.Load(ctx, a.instances); err != nil {
			return err
		}
		return a.answer(w, r, before.upload)
	}
	return instancehttp.Idempotent(r, before, access.Caller, access.PartyID, bodyLimit, replay, func(record *instance.IdempotencyRecord) error {
		upload, err := a.prepare(r, access, formID)
		if err != nil {
			return err
		}
		if record != nil {
			upload.ID, upload.Fingerprint = record.ID, record.Fingerprint
		}
		// Noted first: whatever happens next, bytes that nothing points at are found again.
		if err := a.instances.ScheduleOrphanChecks(ctx, upload.OrphanChecks()); err != nil {
			return err
		}
		if err := a.instances.AddUpload(ctx, upload); err != nil {
			return err
		}
		return a.answer(w, r, upload)
	})
}

// announced finds the upload that was announced with an Idempotency-Key, whose id is that of the receipt.
type announced struct {
	uploads uploads
	upload  *instance.Upload // the latest found
}

func (a *announced) IdempotencyRecord(ctx context.Context, id string) (*instance.Replay, error) {
	var err error
	if a.upload, err = a.uploads.Upload(ctx, id); err != nil || a.upload == nil {
		return nil, err
	}
	return &instance.Replay{IdempotencyRecord: instance.IdempotencyRecord{ID: id, Fingerprint: a.upload.Fingerprint, Expires: a.upload.Expires}}, nil
}

// prepare returns the upload that the request asks for, if it could be committed as things are now. That is checked again
// then; here it spares the transfer.
func (a *handler) prepare(r *http.Request, access *instancehttp.Access, formID string) (*instance.Upload, error) {
	ctx := r.Context()
	i, app, err := access.LoadWithApplication(ctx, a.instances, a.applications)
	if err != nil {
		return nil, err
	}
	if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
		return nil, err
	}
	var b body
	if err := httpapi.DecodeJSON(r, bodyLimit, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if formID != "" {
		if err := app.CheckUpload(formID, b.ContentType, b.Size); err != nil {
			return nil, err
		}
	}
	id := uuid.NewV7().String()
	now := time.Now()
	upload := &instance.Upload{
		ID: instance.NewUploadID(), AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, DataGuid: id,
		Content: instance.Content{
			ContentType: b.ContentType, FileName: blobhttp.SafeName(b.FileName), Size: b.Size, SHA256: strings.ToLower(b.SHA256),
			Revision: blob.FirstKey(i.AppID, i.ID, id).Revision(),
		},
		Expires: now.Add(instance.UploadLifetime).UTC().Truncate(time.Second),
	}
	logging.Add(ctx, slog.String("data", id), slog.Int64("size", b.Size))
	return upload, i.Clone().AddData(app, id, formID, upload.Content, access.ActorName(), now)
}

// check returns the fault for bytes that no data element can have.
func (b *body) check() error {
	sum, err := hex.DecodeString(b.SHA256)
	switch {
	case !application.AllowsContentType(nil, b.ContentType):
		return fault.New(fault.UnsupportedMediaType, "content-type-invalid", "contentType says what the data is, such as application/pdf.")
	case b.Size < 1:
		return fault.New(fault.Invalid, "upload-invalid", "size is the number of bytes that you will send, at least 1.")
	case b.Size > blob.MaxUploadBytes:
		return fault.New(fault.TooLarge, "data-too-large", "A data element has at most %d bytes.", int64(blob.MaxUploadBytes))
	case err != nil || len(sum) != 32:
		return fault.New(fault.Invalid, "upload-invalid", "sha256 is the SHA-256 of the bytes, 64 hexadecimal digits.")
	}
	return nil
}

// answer answers with a fresh link: the one of an earlier answer may have run out.
func (a *handler) answer(w http.ResponseWriter, r *http.Request, u *instance.Upload) error {
	key := blob.KeyOf(u.AppID, u.InstanceID, u.DataGuid, u.Content.Revision)
	link, err := a.blobs.PresignPut(r.Context(), key, u.Content.ContentType, blob.Info{Size: u.Content.Size, SHA256: u.Content.SHA256})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store") // it lets anybody who has it send the bytes
	return httpapi.WriteJSON(w, http.StatusCreated, answer{u.ID, link.URL, link.Method, link.Header, link.Expires})
}
