// Package inbox stores the data of an application owner on disk: one folder per instance with its
// files. If a process is killed at any point, each file is complete or absent. A file has the same
// name in every run.
//
//	DIR/state.json                         the application
//	DIR/<instanceGuid>/instance.json       the instance when it was complete, and its files
//	DIR/<instanceGuid>/<dataGuid>-<name>   the content of a data element, as confirmed
//	DIR/<instanceGuid>/.<dataGuid>-….part  the first bytes of an unfinished download
//
// The package sanitises every name from the API before it uses the name as a file name.
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

// Inbox is an open folder, locked against other processes.
type Inbox struct {
	dir   string
	lock  *os.File
	state state

	// Step, if set, is called before every disk operation. A test kills the process there.
	Step func(what string)
}

type state struct {
	App string `json:"app"`
}

// Open opens and locks the folder of an application, and creates it if necessary. It fails when
// another process uses the folder or the folder belongs to another application.
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
		content, err := json.Marshal(b.state)
		if err == nil {
			err = b.write(b.statePath(), append(content, '\n'))
		}
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
	case err != nil:
		return nil, errors.Join(err, b.Close())
	default:
		if err := json.Unmarshal(content, &b.state); err != nil {
			return nil, errors.Join(fmt.Errorf("%s is damaged: %w; remove it to start again", b.statePath(), err), b.Close())
		}
	}
	if err := b.syncFolder(filepath.Dir(filepath.Clean(dir))); err != nil { // dir itself may be new
		return nil, errors.Join(err, b.Close())
	}
	if b.state.App != app {
		return nil, errors.Join(fmt.Errorf("%s holds instances of %s: use another folder for %s", dir, b.state.App, app), b.Close())
	}
	return b, nil
}

// Close unlocks the folder.
func (b *Inbox) Close() error {
	// Unlock explicitly: a process that is being started shares the open file for a moment, and
	// with it the lock.
	return errors.Join(syscall.Flock(int(b.lock.Fd()), syscall.LOCK_UN), b.lock.Close())
}

func (b *Inbox) statePath() string { return filepath.Join(b.dir, "state.json") }

func (b *Inbox) step(what string) {
	if b.Step != nil {
		b.Step(what)
	}
}

// write replaces the content of a file atomically and syncs it to the disk.
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
	return b.syncAndRename(file, path)
}

// syncAndRename syncs an open file, closes it, renames it to path and syncs the folder.
func (b *Inbox) syncAndRename(file *os.File, path string) error {
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

// syncFolder syncs the names in a folder to the disk.
func (b *Inbox) syncFolder(path string) error {
	b.step("sync folder " + filepath.Base(path))
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
