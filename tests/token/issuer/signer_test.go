package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/token/issuer"
)

func TestKeyIsCreatedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".local")
	var wg sync.WaitGroup
	kids := make([]string, 4)
	for i := range kids {
		wg.Go(func() {
			m, err := issuer.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			kids[i] = kid(t, m)
		})
	}
	wg.Wait()
	for _, other := range kids[1:] {
		if other != kids[0] {
			t.Errorf("four concurrent calls got the keys %v, want one", kids)
		}
	}
	stat, err := os.Stat(filepath.Join(dir, "token.key"))
	if err != nil {
		t.Fatal(err)
	}
	if stat.Mode().Perm() != 0o600 {
		t.Errorf("token.key has mode %v, want 0600", stat.Mode())
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("the folder has %v, want only token.key and jwks.json", entries)
	}
}

func TestKeySetHasOnlyThePublicKey(t *testing.T) {
	m, err := issuer.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(m.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(content, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || set.Keys[0]["kid"] != kid(t, m) {
		t.Errorf("the key set is %s, want one key with kid %s", content, kid(t, m))
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		if _, present := set.Keys[0][private]; present {
			t.Errorf("the key set has the private member %q", private)
		}
	}
}

func TestInvalidKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token.key")
	if err := os.WriteFile(path, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Open(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("Open = %v, want an error that suggests to remove the file", err)
	}
}

func kid(t *testing.T, m *issuer.Signer) string {
	t.Helper()
	token, err := m.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.SplitN(token, ".", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(header, &members); err != nil {
		t.Fatal(err)
	}
	return members["kid"]
}
