package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// secretPrefix is the start of a secret in the form of Standard Webhooks.
const secretPrefix = "whsec_"

// Sizes of a key in bytes. Standard Webhooks requires 24 to 64.
const (
	keyBytes    = 32
	minKeyBytes = 24
	maxKeyBytes = 64
)

// NewSecret returns a random secret: "whsec_" and the base64 of the key.
func NewSecret() string {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseSecret returns the key of a secret. The error does not repeat the secret.
func ParseSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return nil, errors.New("webhook: a secret is whsec_ and the base64 of 24 to 64 bytes")
	}
	return key, nil
}

// Sign returns the signature of a delivery as Standard Webhooks defines it: "v1," and the base64 of
// the HMAC-SHA256 of id, timestamp (seconds since 1970) and body, joined by dots.
func Sign(key []byte, id string, timestamp int64, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(timestamp, 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// VerificationID returns the header webhook-id of the verification with a challenge. A new endpoint
// has a new challenge, so a receiver that drops repeated ids responds to it.
func VerificationID(challenge string) string {
	sum := sha256.Sum256([]byte(challenge))
	return "verification." + hex.EncodeToString(sum[:8])
}

// OldSecretValid is how long a secret stays valid after a rotation.
const OldSecretValid = 24 * time.Hour

// maxOldSecrets is the number of replaced secrets that stay valid. An owner whose response is lost
// rotates again, and the secret of the receiver must then stay valid.
const maxOldSecrets = 3

// OldSecret is a replaced secret.
type OldSecret struct {
	Secret string
	Until  time.Time
}

// Secrets are the secrets of a subscription.
type Secrets struct {
	Current string
	Old     []OldSecret // the oldest first
}

// Rotate replaces the current secret by a new one.
func (s *Secrets) Rotate(now time.Time) {
	old := append(s.valid(now), OldSecret{s.Current, now.Add(OldSecretValid)})
	*s = Secrets{Current: NewSecret(), Old: old[max(0, len(old)-maxOldSecrets):]}
}

// valid returns a copy of the replaced secrets that are valid.
func (s *Secrets) valid(now time.Time) []OldSecret {
	return slices.DeleteFunc(slices.Clone(s.Old), func(o OldSecret) bool { return !now.Before(o.Until) })
}

// OldUntil returns the time at which the last of the replaced secrets ends, or zero if none is
// valid.
func (s *Secrets) OldUntil(now time.Time) time.Time {
	if valid := s.valid(now); len(valid) > 0 {
		return valid[len(valid)-1].Until
	}
	return time.Time{}
}

// Signatures returns the value of the header webhook-signature: one signature for each valid
// secret, the current one first, separated by spaces. It fails if a secret is not well-formed.
func (s *Secrets) Signatures(now time.Time, id string, body []byte) (string, error) {
	secrets := []string{s.Current}
	for _, old := range s.valid(now) {
		secrets = append(secrets, old.Secret)
	}
	signatures := make([]string, len(secrets))
	for n, secret := range secrets {
		key, err := ParseSecret(secret)
		if err != nil {
			return "", err
		}
		signatures[n] = Sign(key, id, now.Unix(), body)
	}
	return strings.Join(signatures, " "), nil
}
