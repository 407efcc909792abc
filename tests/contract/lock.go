package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// LockFile has one line for each version of the document: the version and the hash.
const LockFile = "shared/httpapi/openapi.lock"

// Hash returns the hash of the document's content. Layout and comments do not change it.
func (d *Document) Hash() string {
	text, _ := json.Marshal(d.root) // members are sorted; the root was JSON before
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// CheckLock returns an error unless the lock's last line is the document's version and hash.
func (d *Document) CheckLock(lock string) error {
	version, hash := last(lock)
	switch {
	case hash == d.Hash() && version == d.Version:
		return nil
	case version == d.Version:
		return fmt.Errorf("%s has changed since version %s but is still %s: raise info.version (clients read it), then run make contract-lock", File, version, version)
	}
	return fmt.Errorf("%s is %s, but the last line of %s is %s: run make contract-lock", File, d.Version, LockFile, version)
}

// Renew returns the lock with a line for the current document, which it adds if necessary. It fails
// if the document has changed but its version has not been raised.
func (d *Document) Renew(lock string) (string, error) {
	if d.CheckLock(lock) == nil {
		return lock, nil
	}
	now, ok := parseVersion(d.Version)
	if !ok {
		return "", fmt.Errorf("%s: info.version is %q, not three numbers", File, d.Version)
	}
	version, _ := last(lock)
	if before, _ := parseVersion(version); version != "" && slices.Compare(now, before) <= 0 {
		return "", fmt.Errorf("%s has changed since %s and is still %s: raise info.version first", File, version, d.Version)
	}
	return lock + d.Version + " " + d.Hash() + "\n", nil
}

// RenewFile renews the lock of the project at root.
func RenewFile(root string) error {
	d, err := Read(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, LockFile)
	lock, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	renewed, err := d.Renew(string(lock))
	if err != nil || renewed == string(lock) {
		return err
	}
	return os.WriteFile(path, []byte(renewed), 0o644)
}

// last returns the version and the hash of the lock's last line.
func last(lock string) (version, hash string) {
	lines := strings.Split(strings.TrimSpace(lock), "\n")
	version, hash, _ = strings.Cut(lines[len(lines)-1], " ")
	return version, hash
}

func parseVersion(text string) ([]int, bool) {
	var numbers []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	return numbers, len(numbers) == 3
}
