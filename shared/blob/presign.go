package blob

import "time"

// PresignExpiry is how long a presigned request can start a transfer; the transfer may take longer.
// A presigned request also expires with the session of the role that signed it.
const PresignExpiry = 5 * time.Minute

// MaxUploadBytes is the largest blob, in bytes, that S3 accepts in one request: 5 GiB.
const MaxUploadBytes = 5 << 30

// PresignedRequest is one request to S3, signed in advance. Any client that has it can send it, and
// no other request. Its URL is a secret.
type PresignedRequest struct {
	Method  string
	URL     string
	Header  map[string]string // headers that the request must send
	Expires time.Time         // UTC, whole seconds
}

// String omits the secret.
func (r PresignedRequest) String() string {
	return r.Method + " request, valid until " + r.Expires.Format(time.RFC3339)
}

// ResponseHeaders are the headers of a download that describe the content.
type ResponseHeaders struct {
	ContentType        string
	ContentDisposition string
}
