package contract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A contract that has changed has another version.
func TestVersionIsNoted(t *testing.T) {
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
		says                 string
	}{
		"the same":                  {"1.0.0", "a", true, true, ""},
		"changed":                   {"1.0.0", "b", false, false, "raise info.version"},
		"changed, and raised":       {"1.0.1", "b", false, true, "make contract"},
		"changed, and raised far":   {"1.10.0", "b", false, true, "make contract"},
		"changed, and lowered":      {"0.9.9", "b", false, false, "make contract"},
		"raised alone":              {"1.1.0", "a", false, true, "make contract"},
		"changed, to no version":    {"next", "b", false, false, "make contract"},
		"changed, to half a number": {"'1.1'", "b", false, false, "make contract"},
	} {
		d := versioned(t, test.version, test.description)
		err := d.CheckLock(lock)
		if (err == nil) != test.holds || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		renewed, err := d.Renew(lock)
		if (err == nil) != test.renews {
			t.Errorf("%s: renewing it: %v", name, err)
		}
		if err == nil && (d.CheckLock(renewed) != nil || !strings.HasPrefix(renewed, lock)) {
			t.Errorf("%s: renewed, it is\n%s", name, renewed)
		}
	}
	if versioned(t, "1.0.0", "a").Hash() != versioned(t, "1.0.0", "'a' # a comment").Hash() {
		t.Error("a comment makes another contract")
	}
}
