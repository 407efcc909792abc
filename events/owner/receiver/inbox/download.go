package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Download is the folder of an unfinished download of an instance.
type Download struct {
	inbox *Inbox
	guid  string
	path  string
}

// Download opens the folder of an unfinished download and creates it if necessary.
func (b *Inbox) Download(guid string) (*Download, error) {
	d := &Download{b, guid, b.downloadPath(guid)}
	b.step("make folder")
	err := os.Mkdir(d.path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return d, err
}

// Stored returns the paths of files that may have the content of a data element: of this download,
// and of earlier submissions of the instance.
func (d *Download) Stored(element string) []string {
	return append(d.inbox.glob("."+d.guid+"/"+element+"*"), d.inbox.glob("[0-9]*-"+d.guid+"*/"+element+"*")...)
}

// Reuse makes the first of the stored files with this digest the file of a data element. ok is
// false if there is none, or if the file system cannot link files.
func (d *Download) Reuse(stored []string, element, fileName, sha256 string) (file File, ok bool, err error) {
	name := storedName(element, fileName)
	for _, path := range stored {
		found, err := hash(filepath.Dir(path), element, filepath.Base(path))
		if err != nil {
			return File{}, false, err
		}
		if found.SHA256 != sha256 {
			continue
		}
		found.Name = name
		own := filepath.Join(d.path, name)
		if path == own {
			return found, true, nil
		}
		d.inbox.step("link " + name)
		if err := os.Remove(own); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return File{}, false, err
		}
		return found, os.Link(path, own) == nil, nil
	}
	return File{}, false, nil
}

// Complete writes the description of the submission, removes files of earlier content, and gives
// the folder its name as a submission. It replaces no folder. When it returns, all changes are
// synced to the disk.
func (d *Download) Complete(at time.Time, document json.RawMessage, content Content) error {
	text, err := json.MarshalIndent(description{document, content}, "", " ")
	if err != nil {
		return err
	}
	d.inbox.step("write " + instanceFile)
	file, err := os.OpenFile(filepath.Join(d.path, "."+instanceFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := d.removeExcept(content.Files, file.Name()); err != nil {
		return errors.Join(err, file.Close())
	}
	// The sync also covers files that a killed process renamed but did not sync.
	if err := d.inbox.syncAndRename(file, filepath.Join(d.path, instanceFile)); err != nil {
		return err
	}
	return d.inbox.rename(d.path, d.inbox.Path(d.guid, at, content.Blocked))
}

// removeExcept removes everything in the folder except files and the file at path.
func (d *Download) removeExcept(files []File, path string) error {
	keep := map[string]bool{filepath.Base(path): true}
	for _, file := range files {
		keep[file.Name] = true
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !keep[name] {
			d.inbox.step("remove " + name)
			if err := os.Remove(filepath.Join(d.path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Part is the file of an unfinished download of a data element.
type Part struct {
	download      *Download
	element, name string
	path          string
	file          *os.File
}

// Part returns the state of an unfinished download of a data element: the entity tag of its
// content and the number of bytes received. It returns "" and 0 when there is none.
func (d *Download) Part(element string) (etag string, size int64, err error) {
	found := d.parts(element)
	if len(found) == 0 {
		return "", 0, nil
	}
	etag, ok := etagOf(filepath.Base(found[0]))
	if len(found) > 1 || !ok { // of different content: restart
		return "", 0, d.removeParts(found)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		return "", 0, err
	}
	return etag, info.Size(), nil
}

func (d *Download) parts(element string) []string {
	return d.inbox.glob("." + d.guid + "/." + element + "-*.part")
}

func (d *Download) removeParts(paths []string) error {
	for _, path := range paths {
		d.inbox.step("remove " + filepath.Base(path))
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Begin opens the file for a download of the content with this entity tag, whose first from bytes
// are already present.
func (d *Download) Begin(element, fileName, etag string, from int64) (*Part, error) {
	p := &Part{download: d, element: element, name: storedName(element, fileName), path: filepath.Join(d.path, partName(element, etag))}
	if from == 0 {
		if err := d.removeParts(d.parts(element)); err != nil {
			return nil, err
		}
	}
	d.inbox.step("open part")
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
	p.download.inbox.step("write part")
	return p.file.Write(b)
}

// Close pauses the download; the next one resumes with the bytes received.
func (p *Part) Close() error { return p.file.Close() }

// ErrDamaged reports that the content does not match the announced digest. The file has been
// removed.
var ErrDamaged = errors.New("the content does not match the announced digest")

// Finish verifies the content on the disk, renames the file to its final name and closes it.
func (p *Part) Finish(sha256 string) (File, error) {
	file, err := hash(p.download.path, p.element, filepath.Base(p.path))
	if err == nil && file.SHA256 != sha256 {
		p.download.inbox.step("remove damaged")
		err = fmt.Errorf("%w: %d bytes with the SHA-256 %s, want %s", ErrDamaged, file.Size, file.SHA256, sha256)
		err = errors.Join(err, os.Remove(p.path))
	}
	if err != nil {
		return File{}, errors.Join(err, p.file.Close())
	}
	file.Name = p.name
	return file, p.download.inbox.syncAndRename(p.file, filepath.Join(p.download.path, p.name))
}

// hash returns the description of a file in a folder.
func hash(folder, element, name string) (File, error) {
	content, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return File{}, err
	}
	defer content.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	return File{Element: element, Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

var extensionPattern = regexp.MustCompile(`\.[A-Za-z0-9]{1,5}$`)

// storedName returns the name of a data element's file on the disk: its id and the extension of the
// client's file name. An extension that is longer or has other characters is omitted.
func storedName(element, fileName string) string {
	return element + strings.ToLower(extensionPattern.FindString(fileName))
}

// partName returns the name of an unfinished file, from which etagOf reads the entity tag of its
// content. It omits an entity tag that is too long for a file name: such a download restarts.
func partName(element, etag string) string {
	if len(etag) > 80 {
		etag = ""
	}
	return "." + element + "-" + hex.EncodeToString([]byte(etag)) + ".part"
}

var partPattern = regexp.MustCompile(`^\.[0-9a-f-]{36}-([0-9a-f]*)\.part$`)

func etagOf(name string) (etag string, ok bool) {
	match := partPattern.FindStringSubmatch(name)
	if match == nil {
		return "", false
	}
	decoded, err := hex.DecodeString(match[1])
	return string(decoded), err == nil && len(decoded) > 0
}
