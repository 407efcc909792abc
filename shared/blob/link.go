package blob

import "time"

// LinkLifetime is how long after it was made a link can be used to begin a transfer, which may then take longer. A link
// also ends with the session of the role that signed it.
const LinkLifetime = 5 * time.Minute

// MaxPut is the largest blob, in bytes, that S3 takes in one request: 5 GiB.
const MaxPut = 5 << 30

// Link is one request to S3, signed beforehand: whoever has it can send it, and nothing else. Its URL is a secret.
type Link struct {
	Method  string
	URL     string
	Header  map[string]string // fields that the request must have, with these values
	Expires time.Time         // UTC, whole seconds
}

// String leaves the secret out.
func (l Link) String() string {
	return l.Method + " link, good until " + l.Expires.Format(time.RFC3339)
}

// Shape is how a download presents itself.
type Shape struct {
	ContentType        string
	ContentDisposition string
}
