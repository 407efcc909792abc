// Package inbox provides what an application owner keeps on disk: a folder an instance with its files, and the place in the
// feed. Whatever a process is killed in the middle of, each file is whole or not there, under the same name every time.
//
//	DIR/state.json                         the application, and where to go on in its feed
//	DIR/<instanceGuid>/instance.json       the instance as it was when all of it was here, and what its files are
//	DIR/<instanceGuid>/<dataGuid>-<name>   the bytes of a data element, as they are confirmed
//	DIR/<instanceGuid>/.<dataGuid>-….part  the first of the bytes of one that is being downloaded
//
// A name that the API gives is never believed to be safe.
package inbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Inbox is an open folder, which no other process has.
type Inbox struct {
	dir   string
	lock  *os.File
	state state

	// Step, when set, is called before everything that a crash could come before or after. A test ends the process there.
	Step func(what string)
}

type state struct {
	App   string `json:"app"`
	Place string `json:"place,omitempty"` // in the feed
}

// Open opens the folder of an application, and makes it if it is not there.
func Open(dir, app string) (*Inbox, error) {
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
	content, err := os.ReadFile(b.statePath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.state.App = app
	case err != nil:
		return nil, errors.Join(err, b.Close())
	default:
		if err := json.Unmarshal(content, &b.state); err != nil {
			return nil, errors.Join(fmt.Errorf("%s is damaged: %w; remove it to begin with what is unconfirmed", b.statePath(), err), b.Close())
		}
	}
	if err := b.syncFolder(filepath.Dir(filepath.Clean(dir))); err != nil { // dir itself may be new
		return nil, errors.Join(err, b.Close())
	}
	if b.state.App != app {
		return nil, errors.Join(fmt.Errorf("%s holds what came through %s: take another folder for %s", dir, b.state.App, app), b.Close())
	}
	return b, nil
}

// Close lets other processes have the folder.
func (b *Inbox) Close() error {
	// In words, since a process that is being started has the file open for a moment, and the lock is the file's.
	return errors.Join(syscall.Flock(int(b.lock.Fd()), syscall.LOCK_UN), b.lock.Close())
}

func (b *Inbox) statePath() string { return filepath.Join(b.dir, "state.json") }

// Place is where to go on in the feed; "" at first.
func (b *Inbox) Place() string { return b.state.Place }

// KeepPlace writes down where to go on in the feed.
func (b *Inbox) KeepPlace(place string) error {
	if place == b.state.Place {
		return nil
	}
	b.state.Place = place
	content, err := json.Marshal(b.state)
	if err != nil {
		return err
	}
	return b.write(b.statePath(), append(content, '\n'))
}

func (b *Inbox) step(what string) {
	if b.Step != nil {
		b.Step(what)
	}
}

// write replaces a file by one with other content, whole and on the disk when it returns.
func (b *Inbox) write(path string, content []byte) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	b.step("write " + filepath.Base(path))
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	return b.settle(file, path)
}

// settle puts an open file in its place under its own name, on the disk, and so its name.
func (b *Inbox) settle(file *os.File, path string) error {
	b.step("sync " + filepath.Base(path))
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	b.step("rename " + filepath.Base(path))
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return b.syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder last.
func (b *Inbox) syncFolder(path string) error {
	b.step("sync folder " + filepath.Base(path))
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
