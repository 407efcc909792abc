package blob

import (
	"time"

	"altinn.no/instanceapi/shared/rfc3339"
)

// PresignExpiry is the time within which the transfer of a presigned request must start; the
// transfer may take longer. A presigned request also expires with the session of the role that
// signed it.
const PresignExpiry = 5 * time.Minute

// MaxUploadBytes is the largest blob, in bytes, that S3 accepts in one request: 5 GiB.
const MaxUploadBytes = 5 << 30

// PresignedRequest is one request to S3, signed in advance. Any client that has the URL can send
// this request, and no other. So the URL is a secret.
type PresignedRequest struct {
	Method  string
	URL     string
	Header  map[string]string // headers that the request must send
	Expires time.Time         // UTC, whole seconds
}

// String returns the method and the expiry time. It omits the URL, which is a secret.
func (r PresignedRequest) String() string {
	return r.Method + " request, valid until " + rfc3339.Format(r.Expires)
}
