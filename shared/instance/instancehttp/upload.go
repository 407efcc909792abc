package instancehttp

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// UploadStore finds announced uploads and the records of their commits; *instancetable.Table is
// one.
type UploadStore interface {
	Reader
	IdempotencyRecords
	// Upload returns the upload with an id, or nil if there is none or it has expired.
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

// UploadCommit commits an announced upload as the content of one data element.
type UploadCommit struct {
	Upload   *instance.Upload
	FormID   string // of the data element
	DataGuid string
	// Apply changes the instance and stores Upload.IdempotencyRecord in the same transaction. It
	// returns instance.ErrAlreadyApplied if the record exists.
	Apply func() (*instance.Instance, error)
}

// FindUpload returns the upload of i with the given id for a request that commits it. It returns
// Invalid for a request with a body, NotFound if i has no such upload, and errors of ReadBody
// unchanged.
func FindUpload(r *http.Request, uploads UploadStore, i *instance.Instance, id string) (*instance.Upload, error) {
	body, err := httpapi.ReadBody(r, blob.InlineLimit)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		return nil, fault.New(fault.Invalid, "upload-with-body", "Commit an upload with an empty body: its content is already stored.")
	}
	return LookUpUpload(r.Context(), uploads, i, id)
}

// LookUpUpload returns the upload of i with the given id, or NotFound, code "upload-unknown", if i
// has no such upload.
func LookUpUpload(ctx context.Context, uploads UploadStore, i *instance.Instance, id string) (*instance.Upload, error) {
	if instance.ValidUploadID(id) {
		if u, err := uploads.Upload(ctx, id); err != nil || u != nil && u.BelongsTo(i) {
			return u, err
		}
	}
	return nil, fault.New(fault.NotFound, "upload-unknown", "The instance has no such upload, or the upload has expired. Start a new one with POST …/uploads.")
}

// Run commits the upload once. repeated reports that an earlier request has committed it as the
// content of the same data element; Run then returns no instance. Run returns a Conflict if the
// upload is committed as another data element, or was announced with another formId.
func (c UploadCommit) Run(ctx context.Context, records IdempotencyRecords) (i *instance.Instance, repeated bool, err error) {
	var applyErr error
	for attempt := 1; ; attempt++ {
		earlier, err := records.IdempotencyRecord(ctx, c.Upload.IdempotencyRecordID())
		if err == nil {
			repeated, err = c.Check(earlier)
		}
		if repeated || err != nil {
			return nil, repeated, err
		}
		if attempt > 1 { // if the error is ErrAlreadyApplied, the record is that of the request's Idempotency-Key
			return nil, false, applyErr
		}
		// A concurrent or repeated request that has committed the upload also appears as a stale
		// version or as a conflict, so read the record again before returning such an error.
		i, applyErr = c.Apply()
		if !errors.Is(applyErr, instance.ErrAlreadyApplied) && !fault.Is(applyErr, fault.Conflict) && !fault.Is(applyErr, fault.PreconditionFailed) {
			return i, false, applyErr
		}
	}
}

// SeesDeletion reports whether the data element that a commit of u has added was deleted later, and
// the caller may know it. A user may not, if the data type hides its elements from users.
func (a *Access) SeesDeletion(i *instance.Instance, app *application.Application, u *instance.Upload) bool {
	dataType, _ := app.DataType(u.FormID)
	return i.Element(u.NewDataGuid()) == nil && (a.Caller.IsOwner() || !dataType.OwnerOnly())
}

// Check checks the commit against earlier, the record of the upload's commit, or nil if the
// upload is not committed. repeated and the error are those of Run.
func (c UploadCommit) Check(earlier *instance.IdempotencyRecord) (repeated bool, err error) {
	switch {
	case earlier != nil && (earlier.Fingerprint != c.FormID || earlier.DataGuid != c.DataGuid):
		return false, c.Upload.CommittedError()
	case earlier == nil && c.Upload.FormID != c.FormID:
		return false, c.Upload.FormIDError(c.FormID)
	}
	return earlier != nil, nil
}

// VerifyUpload returns a Conflict unless the stored content has the announced size and SHA-256.
func VerifyUpload(ctx context.Context, blobs BlobStat, u *instance.Upload) error {
	info, err := blobs.Stat(ctx, blob.KeyOf(u.AppID, u.InstanceOwnerID, u.InstanceID, u.Content.Revision))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return fault.New(fault.Conflict, "upload-missing",
			"The content is not stored yet. Send it with the request that POST …/uploads returned, then commit the upload.").WithCause(err)
	case err != nil:
		return err
	case info != blob.Info{Size: u.Content.Size, SHA256: u.Content.SHA256}: // the store should already have rejected other content
		return fault.New(fault.Conflict, "upload-differs",
			"The uploaded content does not match the announced size or SHA-256. Start a new upload with POST …/uploads.")
	}
	return nil
}

// BlobStat describes stored content; *blobbucket.Bucket is one.
type BlobStat interface {
	Stat(ctx context.Context, key blob.Key) (blob.Info, error)
}

// FormID returns the parameter formId of a query that must have one.
func FormID(query url.Values) (string, error) {
	formID, err := httpapi.SingleValue(query, "formId")
	if err == nil && formID == "" {
		err = fault.InvalidParameter("formId", "it must be the formId of a data type of the application, for example ?formId=default")
	}
	return formID, err
}
