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
	"altinn.no/instanceapi/shared/instance/datahttp"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/requestlog"
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

type register interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type uploads interface {
	AddUpload(ctx context.Context, u *instance.Upload) error
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

type store interface {
	instancehttp.Reader
	datahttp.Notes
	uploads
}

type signer interface {
	LinkPut(ctx context.Context, key blob.Key, contentType string, info blob.Info) (blob.Link, error)
}

// announcer is what announcing an upload needs.
type announcer struct {
	gate         instancehttp.Gate
	applications register
	instances    store
	blobs        signer
}

func handler(gate instancehttp.Gate, applications register, instances store, blobs signer) http.Handler {
	return httpapi.HandlerFunc((&announcer{gate, applications, instances, blobs}).announce)
}

func (a *announcer) announce(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	access, err := a.gate.Writer(r, "formId")
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "formId")
	if err != nil {
		return err
	}
	formID, err := httpapi.Single(values, "formId")
	if err != nil {
		return err
	}
	before := &announced{uploads: a.instances}
	replay := func(*instance.Answered) error {
		if _, err := access.Load(ctx, a.instances); err != nil {
			return err
		}
		return a.answer(w, r, before.upload)
	}
	return instancehttp.Once(r, before, access.Caller, access.Party, bodyLimit, replay, func(receipt *instance.Receipt) error {
		upload, err := a.prepare(r, access, formID)
		if err != nil {
			return err
		}
		if receipt != nil {
			upload.ID, upload.Fingerprint = receipt.ID, receipt.Fingerprint
		}
		// Noted first: whatever happens next, bytes that nothing points at are found again.
		if err := a.instances.NoteLitter(ctx, upload.Litter()); err != nil {
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

func (a *announced) Receipt(ctx context.Context, id string) (*instance.Answered, error) {
	var err error
	if a.upload, err = a.uploads.Upload(ctx, id); err != nil || a.upload == nil {
		return nil, err
	}
	return &instance.Answered{Receipt: instance.Receipt{ID: id, Fingerprint: a.upload.Fingerprint, Expires: a.upload.Expires}}, nil
}

// prepare returns the upload that the request asks for, if it could be committed as things are now. That is checked again
// then; here it spares the transfer.
func (a *announcer) prepare(r *http.Request, access *instancehttp.Access, formID string) (*instance.Upload, error) {
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
		Bytes: instance.Bytes{
			ContentType: b.ContentType, FileName: blobhttp.SafeName(b.FileName), Size: b.Size, SHA256: strings.ToLower(b.SHA256),
			Revision: blob.FirstKey(i.AppID, i.ID, id).Revision(),
		},
		Expires: now.Add(instance.UploadLifetime).UTC().Truncate(time.Second),
	}
	requestlog.Add(ctx, slog.String("data", id), slog.Int64("size", b.Size))
	return upload, i.Clone().AddData(app, id, formID, upload.Bytes, access.By(), now)
}

// check returns the fault for bytes that no data element can have.
func (b *body) check() error {
	sum, err := hex.DecodeString(b.SHA256)
	switch {
	case !application.AllowsContentType(nil, b.ContentType):
		return fault.New(fault.UnsupportedType, "content-type-invalid", "contentType says what the data is, such as application/pdf.")
	case b.Size < 1:
		return fault.New(fault.Invalid, "upload-invalid", "size is the number of bytes that you will send, at least 1.")
	case b.Size > blob.MaxPut:
		return fault.New(fault.TooLarge, "data-too-large", "A data element has at most %d bytes.", int64(blob.MaxPut))
	case err != nil || len(sum) != 32:
		return fault.New(fault.Invalid, "upload-invalid", "sha256 is the SHA-256 of the bytes, 64 hexadecimal digits.")
	}
	return nil
}

// answer answers with a fresh link: the one of an earlier answer may have run out.
func (a *announcer) answer(w http.ResponseWriter, r *http.Request, u *instance.Upload) error {
	key := blob.KeyOf(u.AppID, u.InstanceID, u.DataGuid, u.Bytes.Revision)
	link, err := a.blobs.LinkPut(r.Context(), key, u.Bytes.ContentType, blob.Info{Size: u.Bytes.Size, SHA256: u.Bytes.SHA256})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store") // it lets anybody who has it send the bytes
	return httpapi.WriteJSON(w, http.StatusCreated, answer{u.ID, link.URL, link.Method, link.Header, link.Expires})
}
