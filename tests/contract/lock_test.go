package contract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A changed document must have a new version.
func TestLockIsCurrent(t *testing.T) {
	lock, err := os.ReadFile(filepath.Join(root, LockFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := document(t).CheckLock(string(lock)); err != nil {
		t.Error(err)
	}
}

func versioned(t *testing.T, version, description string) *Document {
	t.Helper()
	d, err := Parse([]byte("info:\n  version: " + version + "\npaths:\n  /x:\n    get:\n      description: " + description + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLock(t *testing.T) {
	lock, err := versioned(t, "1.0.0", "a").Renew("")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		version, description string
		holds, renews        bool
		wantErr              string
	}{
		"the same":                      {"1.0.0", "a", true, true, ""},
		"changed":                       {"1.0.0", "b", false, false, "raise info.version"},
		"changed, version raised":       {"1.0.1", "b", false, true, "make contract"},
		"changed, minor version raised": {"1.10.0", "b", false, true, "make contract"},
		"changed, version lowered":      {"0.9.9", "b", false, false, "make contract"},
		"version raised only":           {"1.1.0", "a", false, true, "make contract"},
		"changed, invalid version":      {"next", "b", false, false, "make contract"},
		"changed, incomplete version":   {"'1.1'", "b", false, false, "make contract"},
	} {
		d := versioned(t, test.version, test.description)
		err := d.CheckLock(lock)
		if (err == nil) != test.holds || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("%s: %v", name, err)
		}
		renewed, err := d.Renew(lock)
		if (err == nil) != test.renews {
			t.Errorf("%s: Renew: %v", name, err)
		}
		if err == nil && (d.CheckLock(renewed) != nil || !strings.HasPrefix(renewed, lock)) {
			t.Errorf("%s: the renewed lock is\n%s", name, renewed)
		}
	}
	if versioned(t, "1.0.0", "a").Hash() != versioned(t, "1.0.0", "'a' # a comment").Hash() {
		t.Error("a comment changes the hash")
	}
}
