package issuer

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
)

// jwk is a public RSA key in the form of RFC 7517 and RFC 7518 section 6.3.
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	N   string `json:"n"`
	E   string `json:"e"`
}

// loadOrMakeKey loads the key at path, or creates it. It writes a new key under a temporary name
// and links it into place. If another process was first, the link fails and the key of that
// process is loaded. So no reader sees an incomplete key, and all processes use the same key.
func loadOrMakeKey(path string) (*rsa.PrivateKey, error) {
	key, err := loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	created, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(created)
	if err != nil {
		return nil, err
	}
	temporary, err := writeTemporary(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return loadKey(path)
}

func loadKey(path string) (*rsa.PrivateKey, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM: remove it to create a new one", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove it to create a new one", path, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an RSA key: remove it to create a new one", path)
	}
	return key, nil
}

// writeKeySet writes jwks.json atomically, unless its content is already correct.
func (m *Signer) writeKeySet() error {
	n, e := numbers(&m.key.PublicKey)
	content, err := json.MarshalIndent(map[string][]jwk{"keys": {
		{Kty: "RSA", Use: "sig", Alg: "RS256", Kid: m.kid, N: n, E: e},
	}}, "", "  ")
	if err != nil {
		return err
	}
	content = append(content, '\n')
	if existing, err := os.ReadFile(m.KeySet()); err == nil && bytes.Equal(existing, content) {
		return nil
	}
	temporary, err := writeTemporary(m.KeySet(), content)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Chmod(temporary, 0o644); err != nil { // public: a function in a container reads the file as another user
		return err
	}
	return os.Rename(temporary, m.KeySet())
}

// writeTemporary writes a new file next to path, readable only by its owner, and returns its name.
func writeTemporary(path string, content []byte) (name string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// thumbprint returns the RFC 7638 thumbprint of the key, computed from its required members in
// lexical order.
func thumbprint(key *rsa.PublicKey) string {
	n, e := numbers(key)
	sum := sha256.Sum256([]byte(`{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func numbers(key *rsa.PublicKey) (n, e string) {
	return base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())
}
