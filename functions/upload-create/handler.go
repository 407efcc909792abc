package main

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/rfc3339"
)

// maxBody is the maximum body size, in bytes.
const maxBody = 16 << 10

// body is the request body: the announced content.
type body struct {
	FileName    string `json:"fileName"` // optional
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`   // bytes
	SHA256      string `json:"sha256"` // hex
}

// response is the response body: the presigned request that stores the content.
type response struct {
	ID      string            `json:"id"` // of the upload, for its commit
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Expires rfc3339.Time      `json:"expires"` // time by which the request must start
}

type uploads interface {
	AddUpload(ctx context.Context, u *instance.Upload) error
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

type store interface {
	instancehttp.Reader
	instancehttp.UsageCounter
	uploads
}

type presigner interface {
	PresignPut(ctx context.Context, key blob.Key, contentType, tag string, info blob.Info) (blob.PresignedRequest, error)
}

// handler holds the dependencies of POST …/uploads.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications instancehttp.Applications
	instances    store
	blobs        presigner
	quota        instance.Quota
	malware      instancehttp.MalwareScan
}

func newHandler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances store, blobs presigner, quota instance.Quota, malware instancehttp.MalwareScan) http.Handler {
	return httpapi.HandlerFunc((&handler{authorizer, applications, instances, blobs, quota, malware}).createUpload)
}

func (h *handler) createUpload(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	access, err := h.authorizer.Write(r, "formId", "dataGuid")
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "formId", "dataGuid")
	if err != nil {
		return err
	}
	formID, err := instancehttp.FormID(values)
	if err != nil {
		return err
	}
	dataGuid, err := parseDataGuid(values)
	if err != nil {
		return err
	}
	earlier := &uploadRecords{uploads: h.instances}
	replay := func(*instance.IdempotencyRecord) error {
		if _, err := access.Load(ctx, h.instances); err != nil {
			return err
		}
		return h.writeUpload(w, r, earlier.upload)
	}
	return instancehttp.Idempotent(r, earlier, access.Caller, access.PartyID, maxBody, replay, func(record *instance.IdempotencyRecord) error {
		upload, err := h.buildUpload(r, access, formID, dataGuid)
		if err != nil {
			return err
		}
		if record != nil {
			upload.ID, upload.Fingerprint = record.ID, record.Fingerprint
		}
		// The announcement counts, not the commit: from now on the client can store the content.
		use := instance.Usage{Elements: 1, Bytes: upload.Content.Size}
		release, err := instancehttp.Reserve(ctx, h.instances, h.quota, access.Caller, access.PartyID, use)
		if err != nil {
			return err
		}
		if err := h.instances.AddUpload(ctx, upload); err != nil {
			if instancehttp.NotApplied(err) {
				release()
			}
			return err
		}
		return h.writeUpload(w, r, upload)
	})
}

// uploadRecords finds uploads by Idempotency-Key. An upload with a key has the id of the
// idempotency record, so no separate record is stored.
type uploadRecords struct {
	uploads uploads
	upload  *instance.Upload // the last one found
}

// IdempotencyRecord returns the record of the upload with the id, or nil if there is none.
func (u *uploadRecords) IdempotencyRecord(ctx context.Context, id string) (*instance.IdempotencyRecord, error) {
	var err error
	if u.upload, err = u.uploads.Upload(ctx, id); err != nil || u.upload == nil {
		return nil, err
	}
	return &instance.IdempotencyRecord{ID: id, Fingerprint: u.upload.Fingerprint, Expires: u.upload.Expires.Time}, nil
}

// parseDataGuid returns the parameter dataGuid in lower case, or "" if the request has none.
func parseDataGuid(values url.Values) (string, error) {
	dataGuid, err := httpapi.SingleValue(values, "dataGuid")
	dataGuid = strings.ToLower(dataGuid)
	if err == nil && dataGuid != "" && !instance.ValidGuid(dataGuid) {
		err = fault.InvalidParameter("dataGuid", "it must be the id of the data element that the upload will replace")
	}
	return dataGuid, err
}

// buildUpload returns the upload that the request describes. dataGuid is the data element whose
// content the upload will replace, or "" if the upload will add an element. buildUpload returns the
// fault of the commit if the instance could not accept the commit now. So an announcement reserves
// storage only for content that its data type can take; the commit checks again.
func (h *handler) buildUpload(r *http.Request, access *instancehttp.Access, formID, dataGuid string) (*instance.Upload, error) {
	ctx := r.Context()
	i, app, err := access.LoadWithApplication(ctx, h.instances, h.applications)
	if err != nil {
		return nil, err
	}
	if err := httpapi.CheckConditions(r, instancehttp.ETag(i)); err != nil {
		return nil, err
	}
	var b body
	if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
		return nil, err
	}
	if err := b.validate(); err != nil {
		return nil, err
	}
	if err := app.CheckUpload(formID, b.ContentType, b.Size); err != nil {
		return nil, err
	}
	now := time.Now()
	upload := &instance.Upload{
		ID: instance.NewUploadID(), AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, FormID: formID,
		Content: instance.Content{
			ContentType: b.ContentType, FileName: blobhttp.SafeName(b.FileName), Size: b.Size, SHA256: strings.ToLower(b.SHA256),
			Revision: blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID).Revision(), Scanning: h.malware.Of(app, formID),
		},
		Expires: rfc3339.Time{Time: now.Add(instance.UploadLifetime).UTC().Truncate(time.Second)},
	}
	logging.Add(ctx, slog.String("data", upload.NewDataGuid()), slog.Int64("size", b.Size))
	if dataGuid == "" {
		return upload, i.Clone().AddData(app, upload.NewDataGuid(), formID, upload.Content, access.ActorName(), now)
	}
	element, err := access.ElementOf(i, dataGuid)
	if err != nil {
		return nil, err
	}
	if element.FormID != formID {
		return nil, upload.FormIDError(element.FormID)
	}
	return upload, i.Clone().ReplaceData(app, dataGuid, upload.Content, access.ActorName(), now)
}

// validate returns a fault if no data element can have the announced content.
func (b *body) validate() error {
	sum, err := hex.DecodeString(b.SHA256)
	switch {
	case !application.AllowsContentType(nil, b.ContentType):
		return fault.New(fault.UnsupportedMediaType, "content-type-invalid", "contentType must be a media type, for example application/pdf.")
	case b.Size < 1:
		return fault.New(fault.Invalid, "upload-invalid", "size must be the number of bytes that you will send, at least 1.")
	case b.Size > blob.MaxUploadBytes:
		return fault.New(fault.TooLarge, "data-too-large", "A data element can have at most %d bytes.", int64(blob.MaxUploadBytes))
	case err != nil || len(sum) != 32:
		return fault.New(fault.Invalid, "upload-invalid", "sha256 must be the SHA-256 of the content, as 64 hexadecimal digits.")
	}
	return nil
}

// writeUpload responds with the upload and a new presigned request, because an earlier one may have
// expired.
func (h *handler) writeUpload(w http.ResponseWriter, r *http.Request, u *instance.Upload) error {
	key := blob.KeyOf(u.AppID, u.InstanceOwnerID, u.InstanceID, u.Content.Revision)
	request, err := h.blobs.PresignPut(r.Context(), key, u.Content.ContentType, u.Content.Scanning.Tag(), blob.Info{Size: u.Content.Size, SHA256: u.Content.SHA256})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store") // the URL permits the upload without a token
	return httpapi.WriteJSON(w, http.StatusCreated, response{u.ID, request.URL, request.Method, request.Header, rfc3339.Time{Time: request.Expires}})
}
