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

// File describes a file of the folder.
type File struct {
	Element string `json:"dataElementId"`
	Name    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"` // hex
}

// Folder returns the folder of an instance and creates it if necessary.
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

// Path returns the path of the folder.
func (f *Folder) Path() string { return f.path }

// Has returns the description of a data element's file, hashed from the disk. ok is false if
// there is no file.
func (f *Folder) Has(element, fileName string) (file File, ok bool, err error) {
	name := fileNameOf(element, fileName)
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

// instanceFile is the name of the description that Complete writes.
const instanceFile = "instance.json"

// Complete records that the folder holds an instance with these files, and removes files of
// earlier content. When it returns, all changes are synced to the disk.
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
	if existing, err := os.ReadFile(path); err != nil || !bytes.Equal(existing, content) {
		if err := f.inbox.write(path, content); err != nil {
			return err
		}
	}
	if err := f.sweep(files); err != nil {
		return err
	}
	// The sync also covers files that a killed process renamed but did not sync.
	return f.inbox.syncFolder(f.path)
}

// IsComplete reports whether Complete has ever succeeded for the folder of an instance.
func (b *Inbox) IsComplete(guid string) bool {
	_, err := os.Stat(filepath.Join(b.dir, guid, instanceFile))
	return err == nil
}

// RemoveIncomplete removes the folder of an instance that was deleted or sent back, unless Complete
// has succeeded for it.
func (b *Inbox) RemoveIncomplete(guid string) error {
	if b.IsComplete(guid) {
		return nil
	}
	b.step("remove folder")
	return os.RemoveAll(filepath.Join(b.dir, guid))
}

// sweep removes files of earlier content of the instance. It removes only files that this package
// named.
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
		if name := entry.Name(); !keep[name] && isOwnName(name) {
			f.inbox.step("remove " + name)
			if err := os.Remove(filepath.Join(f.path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func isOwnName(name string) bool {
	return strings.HasSuffix(name, ".part") || dataFilePattern.MatchString(name)
}

// Part is the file of an unfinished download.
type Part struct {
	folder        *Folder
	element, name string
	path          string
	file          *os.File
}

// Part returns the state of an unfinished download of a data element: the entity tag of its
// content and the number of bytes received. It returns "" and 0 when there is none.
func (f *Folder) Part(element string) (etag string, size int64, err error) {
	found, err := filepath.Glob(filepath.Join(f.path, "."+element+"-*.part"))
	if err != nil || len(found) == 0 {
		return "", 0, err
	}
	if len(found) > 1 { // of different content: restart
		return "", 0, f.removeParts(found)
	}
	etag, ok := etagOf(filepath.Base(found[0]))
	if !ok {
		return "", 0, f.removeParts(found)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		return "", 0, err
	}
	return etag, info.Size(), nil
}

func (f *Folder) removeParts(paths []string) error {
	for _, path := range paths {
		f.inbox.step("remove " + filepath.Base(path))
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Begin opens the file for a download of the content with this entity tag, whose first from bytes
// are already present.
func (f *Folder) Begin(element, fileName, etag string, from int64) (*Part, error) {
	p := &Part{folder: f, element: element, name: fileNameOf(element, fileName), path: filepath.Join(f.path, partName(element, etag))}
	if from == 0 {
		old, err := filepath.Glob(filepath.Join(f.path, "."+element+"-*.part"))
		if err == nil {
			err = f.removeParts(old)
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

// Write appends b.
func (p *Part) Write(b []byte) (int, error) {
	p.folder.inbox.step("write part")
	return p.file.Write(b)
}

// Close pauses the download; the next one resumes with the bytes received.
func (p *Part) Close() error { return p.file.Close() }

// ErrDamaged reports that the content does not match the announced digest. The file has been
// removed.
var ErrDamaged = errors.New("the content does not match the announced digest")

// Finish verifies the content on the disk, renames the file to its final name and closes it.
func (p *Part) Finish(sha256 string) (File, error) {
	file, err := p.folder.hash(p.element, p.name, filepath.Base(p.path))
	if err == nil && file.SHA256 != sha256 {
		p.folder.inbox.step("remove damaged")
		err = fmt.Errorf("%w: %d bytes with the SHA-256 %s, want %s", ErrDamaged, file.Size, file.SHA256, sha256)
		err = errors.Join(err, os.Remove(p.path))
	}
	if err != nil {
		return File{}, errors.Join(err, p.file.Close())
	}
	return file, p.folder.inbox.syncAndRename(p.file, filepath.Join(p.folder.path, p.name))
}
