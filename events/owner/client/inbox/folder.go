package inbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is the folder of one instance.
type Folder struct {
	inbox *Inbox
	path  string
}

// File says what a file of the folder is.
type File struct {
	Element string `json:"dataElementId"`
	Name    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"` // hex
}

// Folder returns the folder of an instance, and makes it if it is not there.
func (b *Inbox) Folder(guid string) (*Folder, error) {
	f := &Folder{b, filepath.Join(b.dir, guid)}
	b.step("make folder")
	err := os.Mkdir(f.path, 0o700)
	if err == nil {
		err = b.syncFolder(b.dir)
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return f, err
}

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

// Has returns what the file of a data element is, hashed as it is on the disk; ok is false when there is none.
func (f *Folder) Has(element, fileName string) (file File, ok bool, err error) {
	name := nameOf(element, fileName)
	file, err = f.hash(element, name, name)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, false, nil
	}
	return file, err == nil, err
}

func (f *Folder) hash(element, name, found string) (File, error) {
	content, err := os.Open(filepath.Join(f.path, found))
	if err != nil {
		return File{}, err
	}
	defer content.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	return File{Element: element, Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// instanceFile is what a folder says of itself.
const instanceFile = "instance.json"

// Complete writes down that the folder holds an instance with these files, and removes what is left of bytes that it had
// before. When it returns, all of this is on the disk.
func (f *Folder) Complete(document json.RawMessage, files []File) error {
	if files == nil {
		files = []File{}
	}
	content, err := json.MarshalIndent(map[string]any{"instance": document, "files": files}, "", " ")
	if err != nil {
		return err
	}
	content = append(content, '\n')
	path := filepath.Join(f.path, instanceFile)
	if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, content) {
		if err := f.inbox.write(path, content); err != nil {
			return err
		}
	}
	if err := f.sweep(files); err != nil {
		return err
	}
	// Also for files that a process put here which was killed before it could do this.
	return f.inbox.syncFolder(f.path)
}

// IsComplete reports whether Complete was called for the folder of an instance, ever.
func (b *Inbox) IsComplete(guid string) bool {
	_, err := os.Stat(filepath.Join(b.dir, guid, instanceFile))
	return err == nil
}

// Abandon removes the folder of an instance that is no more, unless all of it had been here once.
func (b *Inbox) Abandon(guid string) error {
	if b.IsComplete(guid) {
		return nil
	}
	b.step("abandon folder")
	return os.RemoveAll(filepath.Join(b.dir, guid))
}

// sweep removes what an earlier version of the instance has left, and only what this package gave its name.
func (f *Folder) sweep(files []File) error {
	keep := map[string]bool{instanceFile: true}
	for _, file := range files {
		keep[file.Name] = true
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !keep[name] && ours(name) {
			f.inbox.step("remove " + name)
			if err := os.Remove(filepath.Join(f.path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func ours(name string) bool {
	return strings.HasSuffix(name, ".part") || dataFile.MatchString(name)
}

// Part is the file of a download under way.
type Part struct {
	folder        *Folder
	element, name string
	path          string
	file          *os.File
}

// Part returns how far the download of a data element had come: of the bytes with which entity tag, and how many; "" and 0
// when there is none.
func (f *Folder) Part(element string) (etag string, size int64, err error) {
	found, err := filepath.Glob(filepath.Join(f.path, "."+element+"-*.part"))
	if err != nil || len(found) == 0 {
		return "", 0, err
	}
	if len(found) > 1 { // of different bytes: begin anew
		return "", 0, f.dropParts(found)
	}
	etag, ok := etagOf(filepath.Base(found[0]))
	if !ok {
		return "", 0, f.dropParts(found)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		return "", 0, err
	}
	return etag, info.Size(), nil
}

func (f *Folder) dropParts(paths []string) error {
	for _, path := range paths {
		f.inbox.step("drop " + filepath.Base(path))
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Begin opens the file for a download of the bytes with this entity tag, of which the first are there already.
func (f *Folder) Begin(element, fileName, etag string, from int64) (*Part, error) {
	p := &Part{folder: f, element: element, name: nameOf(element, fileName), path: filepath.Join(f.path, partName(element, etag))}
	if from == 0 {
		old, err := filepath.Glob(filepath.Join(f.path, "."+element+"-*.part"))
		if err == nil {
			err = f.dropParts(old)
		}
		if err != nil {
			return nil, err
		}
	}
	f.inbox.step("open part")
	var err error
	if p.file, err = os.OpenFile(p.path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	if err := p.file.Truncate(from); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	if _, err := p.file.Seek(from, io.SeekStart); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// Write adds bytes.
func (p *Part) Write(b []byte) (int, error) {
	p.folder.inbox.step("write part")
	return p.file.Write(b)
}

// Close ends the download for now; what has come stays for the next one.
func (p *Part) Close() error { return p.file.Close() }

// ErrDamaged says that bytes are not those that were announced. They are gone.
var ErrDamaged = errors.New("the bytes do not have the announced digest")

// Finish checks the bytes as they are on the disk, and gives them their name. It closes the file.
func (p *Part) Finish(sha256 string) (File, error) {
	file, err := p.folder.hash(p.element, p.name, filepath.Base(p.path))
	if err == nil && file.SHA256 != sha256 {
		p.folder.inbox.step("drop damaged")
		err = fmt.Errorf("%w: %d bytes with the SHA-256 %s, want %s", ErrDamaged, file.Size, file.SHA256, sha256)
		err = errors.Join(err, os.Remove(p.path))
	}
	if err != nil {
		return File{}, errors.Join(err, p.file.Close())
	}
	return file, p.folder.inbox.settle(p.file, filepath.Join(p.folder.path, p.name))
}
