// Package party provides the identities that reporters are known by, and the keyed digest that stands for one
// wherever it is stored. The official number itself is never stored, logged or put in an error.
package party

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// Kind is the register an identity is from.
type Kind string

// The kinds of identity, named as the members of a reportee.
const (
	SSN                Kind = "ssn"
	OrganizationNumber Kind = "organizationNumber"
	UserName           Kind = "userName"
)

// Identity is one official identity of a party.
type Identity struct {
	Kind  Kind
	Value string
}

// WellFormed reports whether the value has the form of its kind: 11 digits, 9 digits, or 1 to 64 letters of the
// Norwegian alphabet, digits and ._@-. It does not check check digits: see ValidCheckDigits.
func (i Identity) WellFormed() bool {
	switch i.Kind {
	case SSN:
		return len(i.Value) == 11 && strings.Trim(i.Value, "0123456789") == ""
	case OrganizationNumber:
		return len(i.Value) == 9 && strings.Trim(i.Value, "0123456789") == ""
	case UserName:
		n := utf8.RuneCountInString(i.Value)
		return 1 <= n && n <= 64 && !strings.ContainsFunc(i.Value, notInUserName)
	default:
		return false
	}
}

// notInUserName is written out, like the other forms here, because compiling regular expressions would be a good part
// of a function's cold start.
func notInUserName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("._@-æøåÆØÅ", r)
	}
}

// String hides the value: an identity number must not reach a log by way of a format verb.
func (i Identity) String() string { return string(i.Kind) + ":…" }

// GoString hides the value from %#v too.
func (i Identity) GoString() string { return i.String() }

// LogValue hides the value from structured logs, which would print the fields.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// Digest returns the HMAC-SHA256 of the identity under key, in lower-case hex: what the register keeps instead of
// the identity. Whoever has the digests alone cannot try the eleven-digit numbers through.
func (i Identity) Digest(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(i.Kind))
	mac.Write([]byte{0})
	mac.Write([]byte(i.Value))
	return hex.EncodeToString(mac.Sum(nil))
}
