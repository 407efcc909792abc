package inbox

import (
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestName bounds what a name takes of the 255 bytes that a file system allows, the id before it not counted.
const longestName = 150

// dataFile is the form of nameOf.
var dataFile = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-.`)

// nameOf returns the name of a data element's file: the id, which makes it unique and begins it with something harmless,
// and the file name as far as any file system takes it.
func nameOf(element, fileName string) string {
	return element + "-" + safe(fileName)
}

func safe(name string) string {
	name = strings.Map(func(c rune) rune {
		switch {
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return -1
		case strings.ContainsRune(`/\:*?"<>|`, c):
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	if len(name) > longestName { // the end is kept: it says what kind of file it is
		name = name[len(name)-longestName:]
		for !utf8.RuneStart(name[0]) {
			name = name[1:]
		}
	}
	if name = strings.Trim(name, ". "); name == "" {
		return "data"
	}
	return name
}

// partName returns the name of an unfinished file, from which etagOf reads the entity tag of its bytes. One that is too
// long for a name is left out: such a download begins anew.
func partName(element, etag string) string {
	if len(etag) > 80 {
		etag = ""
	}
	return "." + element + "-" + hex.EncodeToString([]byte(etag)) + ".part"
}

var partForm = regexp.MustCompile(`^\.[0-9a-f-]{36}-([0-9a-f]*)\.part$`)

func etagOf(name string) (etag string, ok bool) {
	found := partForm.FindStringSubmatch(name)
	if found == nil {
		return "", false
	}
	decoded, err := hex.DecodeString(found[1])
	return string(decoded), err == nil && len(decoded) > 0
}
