// Package inbox stores submissions on the disk of an application owner: one folder for each
// submission of an instance.
//
//	DIR/<time>-<instanceGuid>/                a complete submission, which is never changed
//	DIR/<time>-<instanceGuid>/instance.json   the instance, its files, its blocked data elements
//	DIR/<time>-<instanceGuid>/<dataGuid>.pdf  the content of a data element
//	DIR/.<instanceGuid>/                      an unfinished download
//	DIR/<time>-<instanceGuid>-blocked-<hash>/ a complete submission with blocked data elements
//
// The time is that of the submission, or of the latest change of its content. So the folders are in
// order of time, and an instance that is submitted again gets another folder. The hash is that of
// the list of blocked data elements: if the malware scan later releases one of them, the submission
// gets another folder. A folder gets its name when all its files are on the disk. If the process is
// killed at any point, each submission is complete or invisible.
//
// No name contains text of a client, except an extension of at most five letters and digits. The
// client's file names are in instance.json.
package inbox

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Inbox is an open folder, locked against other processes.
type Inbox struct {
	dir  string
	lock *os.File

	// Step, if set, is called before every disk operation. A test kills the process there.
	Step func(what string)
}

// File describes a file of a submission.
type File struct {
	Element string `json:"dataElementId"`
	Name    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"` // hex
}

// Blocked describes a data element whose content the API does not provide, because the malware scan
// found malware, or cannot scan the content.
type Blocked struct {
	Element string `json:"dataElementId"`
	Code    string `json:"code"` // of the problem: data-infected or data-unscannable
}

// Content is the content of a submission: a file or an entry in Blocked for each data element.
type Content struct {
	Files   []File    `json:"files"`
	Blocked []Blocked `json:"blocked,omitempty"`
}

// instanceFile is the name of a submission's description.
const instanceFile = "instance.json"

// description is the content of instanceFile.
type description struct {
	Instance json.RawMessage `json:"instance"`
	Content
}

// Open opens and locks a folder, and creates it if necessary. It fails if another process uses the
// folder.
func Open(dir string) (*Inbox, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	b := &Inbox{dir: dir, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process is using %s", dir), lock.Close())
	}
	if err := b.syncFolder(filepath.Dir(dir)); err != nil { // dir itself may be new
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close unlocks the folder.
func (b *Inbox) Close() error {
	// Unlock explicitly: a process that is being started shares the open file for a moment, and
	// with it the lock.
	return errors.Join(syscall.Flock(int(b.lock.Fd()), syscall.LOCK_UN), b.lock.Close())
}

// Path returns the absolute path of the folder of a submission, with content of the time at and
// with these blocked data elements.
func (b *Inbox) Path(guid string, at time.Time, blocked []Blocked) string {
	name := at.UTC().Format("20060102T150405.000000Z") + "-" + guid
	if len(blocked) > 0 {
		lines := make([]string, len(blocked))
		for n, element := range blocked {
			lines[n] = element.Element + " " + element.Code + "\n"
		}
		slices.Sort(lines)
		name += fmt.Sprintf("-blocked-%x", sha256.Sum256([]byte(strings.Join(lines, ""))))[:len("-blocked-")+8]
	}
	return filepath.Join(b.dir, name)
}

// ErrChanged reports that a file of a complete submission is missing or has other content than the
// receiver stored.
var ErrChanged = errors.New("the folder was changed after the submission was complete; move or delete the folder to fetch the submission again")

// Content returns the content of a submission with these blocked data elements. ok is false if the
// submission is not complete. Content returns ErrChanged if a file or the list of blocked elements
// differs from what the receiver stored.
func (b *Inbox) Content(guid string, at time.Time, blocked []Blocked) (content Content, ok bool, err error) {
	path := b.Path(guid, at, blocked)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return Content{}, false, nil
	}
	text, err := os.ReadFile(filepath.Join(path, instanceFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Content{}, false, err
	}
	var stored description
	if json.Unmarshal(text, &stored) != nil || !slices.Equal(stored.Blocked, blocked) {
		return Content{}, false, ErrChanged
	}
	for _, want := range stored.Files {
		found, err := hash(path, want.Element, want.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && found != want:
			return Content{}, false, ErrChanged
		case err != nil:
			return Content{}, false, err
		}
	}
	return stored.Content, true, b.syncFolder(b.dir) // a killed process may not have synced the name
}

// Discard removes the unfinished download of an instance.
func (b *Inbox) Discard(guid string) error {
	b.step("discard")
	return os.RemoveAll(b.downloadPath(guid))
}

// DiscardOthers removes the unfinished downloads of all instances that are not in keep.
func (b *Inbox) DiscardOthers(keep map[string]bool) error {
	for _, path := range b.glob(".*-*-*-*-*") {
		if guid := filepath.Base(path)[1:]; !keep[guid] {
			if err := b.Discard(guid); err != nil {
				return err
			}
		}
	}
	return nil
}

// glob returns the paths that match a valid pattern relative to the inbox.
func (b *Inbox) glob(pattern string) []string {
	found, _ := fs.Glob(os.DirFS(b.dir), pattern)
	for n, name := range found {
		found[n] = filepath.Join(b.dir, name)
	}
	return found
}

func (b *Inbox) downloadPath(guid string) string { return filepath.Join(b.dir, "."+guid) }

func (b *Inbox) step(what string) {
	if b.Step != nil {
		b.Step(what)
	}
}

// syncAndRename syncs an open file, closes it, renames it to path and syncs the folder.
func (b *Inbox) syncAndRename(file *os.File, path string) error {
	b.step("sync " + filepath.Base(path))
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return b.rename(file.Name(), path)
}

// rename renames a file or folder and syncs the folder that contains it.
func (b *Inbox) rename(from, to string) error {
	b.step("rename " + filepath.Base(to))
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return b.syncFolder(filepath.Dir(to))
}

// syncFolder syncs the names in a folder to the disk.
func (b *Inbox) syncFolder(path string) error {
	b.step("sync folder " + filepath.Base(path))
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
