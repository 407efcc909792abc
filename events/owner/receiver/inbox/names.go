package inbox

import (
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes is the maximum length of the sanitised file name, without the id before it. A file
// system allows 255 bytes for both.
const maxNameBytes = 150

// dataFilePattern matches the names that fileNameOf returns.
var dataFilePattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-.`)

// fileNameOf returns the name of a data element's file: the id, which makes the name unique and
// starts it with harmless characters, and the sanitised file name.
func fileNameOf(element, fileName string) string {
	return element + "-" + sanitize(fileName)
}

func sanitize(name string) string {
	name = strings.Map(func(c rune) rune {
		switch {
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return -1
		case strings.ContainsRune(`/\:*?"<>|`, c):
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	if len(name) > maxNameBytes { // keep the end, which has the extension
		name = name[len(name)-maxNameBytes:]
		for !utf8.RuneStart(name[0]) {
			name = name[1:]
		}
	}
	if name = strings.Trim(name, ". "); name == "" {
		return "data"
	}
	return name
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
