package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// maxIdempotencyKey is the longest Idempotency-Key, in bytes.
const maxIdempotencyKey = 255

// IdempotencyKey returns the request's Idempotency-Key, or "" when it has none. It is taken as it is or, as the
// expired Internet-Draft had it, in double quotes. Too long, empty or unprintable is Invalid.
func IdempotencyKey(r *http.Request) (string, error) {
	given, there := r.Header["Idempotency-Key"]
	if !there {
		return "", nil
	}
	key := strings.TrimSpace(strings.Join(given, ","))
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	unprintable := strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
	if key == "" || len(key) > maxIdempotencyKey || unprintable {
		return "", fault.New(fault.Invalid, "idempotency-key-invalid",
			"Idempotency-Key is 1 to %d printable ASCII characters; use a fresh UUID for each thing you want done.", maxIdempotencyKey)
	}
	return key, nil
}

// Fingerprint returns a hash of what the request asks for: method, path, query, content type, file name and body. The
// boundary of a form makes no difference. The body, of at most limit bytes, can be read again afterwards.
func Fingerprint(r *http.Request, limit int64) (string, error) {
	body, err := ReadBody(r, limit)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	contentType, body := canonicalForm(r.Header.Get("Content-Type"), body)
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, contentType, r.Header.Get("Content-Disposition")} {
		h.Write([]byte(part + "\x00"))
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil)), nil
}
