// Package cursor encodes page cursors: opaque texts that lead a client from one page to the next.
//
// A cursor carries a payload, which the caller encodes, and a checksum of the payload and its
// scope. The scope identifies where the cursor is valid, such as a filter and a caller. Damaged
// cursors and cursors of another scope therefore fail to decode and never lead to a wrong page.
//
// The checksum is not a signature: a client can read a payload and can compute the checksum of
// another one. So the server must authorize every read from a cursor's position, as for any other
// parameter. A payload must not contain anything that the client may not see.
package cursor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

const checksumBytes = 4

// Encode returns the cursor of a payload: the checksum and the payload in base64url without
// padding, which needs no percent-encoding in a URL.
func Encode(scope string, payload []byte) string {
	sum := checksum(scope, payload)
	return base64.RawURLEncoding.EncodeToString(append(sum[:], payload...))
}

// Decode returns the payload of a cursor that Encode returned for the same scope. It reports false
// for every other text, including other base64 encodings of the same bytes.
func Decode(scope, text string) (payload []byte, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < checksumBytes {
		return nil, false
	}
	payload = raw[checksumBytes:]
	return payload, Encode(scope, payload) == text
}

// checksum returns the first bytes of the SHA-256 of scope and payload. The hash includes the
// length of the scope, to mark where the payload begins.
func checksum(scope string, payload []byte) [checksumBytes]byte {
	text := binary.AppendUvarint(nil, uint64(len(scope)))
	text = append(append(text, scope...), payload...)
	sum := sha256.Sum256(text)
	return [checksumBytes]byte(sum[:])
}
