package httpapi

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// digests are the algorithms of RFC 9530 that checkDigests verifies. It ignores any other.
var digests = map[string]func([]byte) []byte{
	"md5":     func(b []byte) []byte { sum := md5.Sum(b); return sum[:] },
	"sha-256": func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] },
	"sha-512": func(b []byte) []byte { sum := sha512.Sum512(b); return sum[:] },
}

// checkDigests returns Invalid, code "digest-mismatch", if a digest in the header is not that of
// the body.
func checkDigests(h http.Header, body []byte) error {
	if name := wrongDigest(h, body); name != "" {
		return fault.New(fault.Invalid, "digest-mismatch", "The body does not match the digest in %s. Send the request again.", name)
	}
	return nil
}

// wrongDigest returns the name of a header with a digest that is not that of the body, or "" if
// there is none. It verifies Content-MD5 (RFC 1864), and in Content-Digest and Repr-Digest (RFC
// 9530). The two are equal here because no body is encoded or partial. A malformed digest does
// not match.
//
// It hashes the body at most once with each algorithm, however often the header repeats one.
func wrongDigest(h http.Header, body []byte) (name string) {
	sums := map[string][]byte{}
	sumOf := func(algorithm string) []byte {
		if sums[algorithm] == nil {
			sums[algorithm] = digests[algorithm](body)
		}
		return sums[algorithm]
	}
	if sum := strings.TrimSpace(h.Get("Content-MD5")); sum != "" && !equalsBase64(sum, sumOf("md5")) {
		return "Content-MD5"
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest"} {
		for member := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
			algorithm, value, _ := strings.Cut(strings.TrimSpace(member), "=")
			algorithm = strings.ToLower(algorithm)
			if digests[algorithm] == nil {
				continue
			}
			value, _, _ = strings.Cut(value, ";") // parameters have no meaning
			value = strings.TrimSpace(value)
			if len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' || !equalsBase64(value[1:len(value)-1], sumOf(algorithm)) {
				return name
			}
		}
	}
	return ""
}

// equalsBase64 reports whether text is sum in base64, with or without padding.
func equalsBase64(text string, sum []byte) bool {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && bytes.Equal(decoded, sum)
}
