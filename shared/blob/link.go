package blob

import "time"

// PresignExpiry is how long after it was made a link can be used to begin a transfer, which may then take longer. A link
// also ends with the session of the role that signed it.
const PresignExpiry = 5 * time.Minute

// MaxUploadBytes is the largest blob, in bytes, that S3 takes in one request: 5 GiB.
const MaxUploadBytes = 5 << 30

// PresignedRequest is one request to S3, signed beforehand: whoever has it can send it, and nothing else. Its URL is a secret.
type PresignedRequest struct {
	Method  string
	URL     string
	Header  map[string]string // fields that the request must have, with these values
	Expires time.Time         // UTC, whole seconds
}

// String leaves the secret out.
func (l PresignedRequest) String() string {
	return l.Method + " link, good until " + l.Expires.Format(time.RFC3339)
}

// ResponseHeaders is how a download presents itself.
type ResponseHeaders struct {
	ContentType        string
	ContentDisposition string
}
