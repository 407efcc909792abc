package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// MaxIdempotencyKey is the maximum length of an idempotency key, in bytes.
const MaxIdempotencyKey = 255

// IdempotencyKey returns the request's Idempotency-Key, or "" if it has none. It removes double
// quotes around the key; the expired Internet-Draft requires the quotes. It returns Invalid, code
// "idempotency-key-invalid", if the key is empty, has more than 255 bytes or is not printable
// ASCII.
func IdempotencyKey(r *http.Request) (string, error) {
	given, present := r.Header["Idempotency-Key"]
	if !present {
		return "", nil
	}
	key := strings.TrimSpace(strings.Join(given, ","))
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if !ValidIdempotencyKey(key) {
		return "", fault.New(fault.Invalid, "idempotency-key-invalid",
			"Idempotency-Key must be 1 to %d printable ASCII characters. Use a new UUID for each operation.", MaxIdempotencyKey)
	}
	return key, nil
}

// ValidIdempotencyKey reports whether key can be an idempotency key: 1 to MaxIdempotencyKey bytes
// of printable ASCII.
func ValidIdempotencyKey(key string) bool {
	unprintable := strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
	return key != "" && len(key) <= MaxIdempotencyKey && !unprintable
}

// Fingerprint returns a hash, in hexadecimal, of the request's method, path, query, Content-Type,
// Content-Disposition and body. The boundary of a form does not change the hash. Fingerprint reads
// the body with ReadBody and returns the errors of ReadBody. The handler can read the body again
// afterwards.
func Fingerprint(r *http.Request, limit int64) (string, error) {
	body, err := ReadBody(r, limit)
	if err != nil {
		return "", err
	}
	r.Body = checkedBody{bytes.NewReader(body)}
	contentType, body := canonicalForm(r.Header.Get("Content-Type"), body)
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, contentType, r.Header.Get("Content-Disposition")} {
		h.Write([]byte(part + "\x00"))
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil)), nil
}
