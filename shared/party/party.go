// Package party provides the official identities of parties, and the keyed digest that the system
// stores instead of an identity. The system never stores or logs the official number, and never
// puts it in an error.
package party

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of an official identity.
type Kind string

// The kinds of identity, named like the members of a reportee in the API.
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

// WellFormed reports whether the value has the form of its kind: 11 digits, 9 digits, or 1 to 64
// letters of the Norwegian alphabet, digits and ._@-. It does not verify check digits: see
// ValidCheckDigits.
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

// notInUserName reports whether r is not allowed in a user name. The checks of this package use no
// regular expressions, because compiling them would be a large part of a cold start.
func notInUserName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("._@-æøåÆØÅ", r)
	}
}

// String returns the kind without the value, so that no format verb writes an identity number to
// a log.
func (i Identity) String() string { return string(i.Kind) + ":…" }

// GoString returns String, so that %#v does not write the value either.
func (i Identity) GoString() string { return i.String() }

// LogValue returns String, because a structured log would otherwise write the fields.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// Digest returns the HMAC-SHA256 of the identity with key, in lower-case hex. The register stores
// it instead of the identity. Without the key, an attacker who has the digests cannot find the
// eleven-digit numbers by brute force.
func (i Identity) Digest(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(i.Kind))
	mac.Write([]byte{0})
	mac.Write([]byte(i.Value))
	return hex.EncodeToString(mac.Sum(nil))
}
