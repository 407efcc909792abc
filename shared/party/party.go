// Package party provides the official identities of parties, and the keyed digest that the system
// stores instead of an identity. The system never stores or logs the official number, and never
// puts it in an error.
//
// A party is identified by its number, the instanceOwnerId. The register assigns the number to the
// first identity of the party. A number is random, so it says nothing about other parties.
//
// A token can prove several identities of its caller, such as an identity number and a user name.
// The register resolves them by three rules:
//
//   - The first identity that the register knows decides, in the order identity number,
//     organisation number, user name. An organisation's token can contain the person who acts for
//     it; that person's number then decides.
//   - The register links the identities that are new to the party that was decided. It links only
//     identities of one token, because only the token proves that they are the same caller.
//   - A link never changes. If two identities of a token already have different parties, both keep
//     them, and the token gives access only to the party of the first.
package party

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
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

// Canonical returns the identity with the one spelling that identifies its party. The case of a
// user name does not count: Canonical applies the mappings of the PRECIS profile
// UsernameCaseMapped (RFC 8265 section 3.3.3) to the characters that WellFormed allows, which are
// full-width forms, capitals, and a ring that follows its letter. It does not use package precis of
// golang.org/x/text, whose Unicode tables would slow down the cold start of every function. Compare
// identities only in this form; Digest and WellFormed apply it.
func (i Identity) Canonical() Identity {
	if i.Kind == UserName {
		i.Value = strings.ReplaceAll(strings.Map(foldUserName, i.Value), "a\u030a", "å")
	}
	return i
}

// foldUserName returns the ASCII character of a full-width form, in lower case like all letters. It
// returns U+0130 unchanged: the lower case of this letter is an i with a second dot above, which no
// user name may contain, but unicode.ToLower returns the plain i.
func foldUserName(r rune) rune {
	const firstFullWidth, lastFullWidth, fullWidthOffset = '\uff01', '\uff5e', 0xfee0
	const dottedCapitalI = '\u0130'
	if r == dottedCapitalI {
		return r
	}
	if firstFullWidth <= r && r <= lastFullWidth {
		r -= fullWidthOffset
	}
	return unicode.ToLower(r)
}

// WellFormed reports whether the value has the form of its kind: 11 digits, 9 digits, or 1 to 64
// letters of the Norwegian alphabet, digits and ._@-. It does not verify check digits: see
// ValidCheckDigits.
func (i Identity) WellFormed() bool {
	i = i.Canonical()
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

// notInUserName reports whether no canonical user name may contain r. Like the other checks of this
// package, it uses no regular expression, because compiling one would be a large part of a cold
// start.
func notInUserName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("._@-æøå", r)
	}
}

// String returns the kind without the value, so that no format verb writes an identity number to
// a log.
func (i Identity) String() string { return string(i.Kind) + ":…" }

// GoString returns String, so that %#v does not write the value either.
func (i Identity) GoString() string { return i.String() }

// LogValue returns String, because a structured log would otherwise write the fields.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// ValidNumber reports whether text can be the number of a party, its instanceOwnerId: a decimal
// number of at most 15 digits, which JSON numbers represent exactly. Tokens, paths, documents and
// the register use this rule.
func ValidNumber(text string) bool {
	return text != "" && len(text) <= 15 && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

// NewNumber returns a random number for a new party: ten digits, the first of them not 0. The
// caller must store it on condition that no other party has it.
func NewNumber() string {
	const first, count = 1_000_000_000, 9_000_000_000
	var random [8]byte
	rand.Read(random[:])                                  // never fails
	n := first + binary.BigEndian.Uint64(random[:])%count // no number is more than 1e-9 likelier than another
	return strconv.FormatUint(n, 10)
}

// Digest returns the HMAC-SHA256 of the canonical identity with key, in lower-case hex. The
// register stores it instead of the identity. Without the key, an attacker with the digests cannot
// find the eleven-digit numbers by trying them all.
func (i Identity) Digest(key []byte) string {
	i = i.Canonical()
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(i.Kind))
	mac.Write([]byte{0})
	mac.Write([]byte(i.Value))
	return hex.EncodeToString(mac.Sum(nil))
}
