package blobhttp

import (
	"fmt"
	"mime"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes bounds a file name, in bytes of UTF-8: what every file system takes, with room for " (1)".
const maxNameBytes = 150

// FileName returns the file name in the Content-Disposition header of an upload, or "" when it has none. filename*
// (RFC 8187, UTF-8) is preferred. A plain filename is percent-decoded where it is percent-encoded UTF-8 throughout, as many
// clients send it, and is found in a header that is not well-formed too: unquoted with spaces, or without a type.
//
// The name is safe to keep and to show: the path before it is gone, control and invisible formatting characters are,
// and it has at most 150 bytes, its extension kept.
func FileName(header string) string {
	header = repairLatin1(header)
	_, params, err := mime.ParseMediaType(header)
	if name := params["filename"]; err == nil && name != "" {
		if !extendedFileName().MatchString(header) {
			name = percentDecode(name)
		}
		return SafeName(name)
	}
	for _, form := range []func() *regexp.Regexp{extendedFileName, plainFileName} {
		if found := form().FindStringSubmatch(header); found != nil {
			return SafeName(percentDecode(strings.TrimSpace(found[1] + found[2]))) // one of them is empty
		}
	}
	return ""
}

// The parameters in headers that package mime does not take, compiled by the first upload that has a name: most functions that
// link this package see none.
var (
	extendedFileName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:^|[;\s])filename\*\s*=\s*(?:"utf-8'[^'"]*'([^"]*)|utf-8'[^'";]*'([^";]*))`)
	})
	plainFileName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:^|[;\s])filename\s*=\s*(?:"([^"]*)|([^";]*))`)
	})
)

// percentDecode returns name decoded, if all of it can be and the result is UTF-8; else as it is.
func percentDecode(name string) string {
	if decoded, err := url.PathUnescape(name); err == nil && utf8.ValidString(decoded) {
		return decoded
	}
	return name
}

// repairLatin1 undoes what a front does that reads the octets of a header as Latin-1, a character each: when they are
// UTF-8 in fact, that is what was meant. Any other string is returned as it is.
func repairLatin1(s string) string {
	octets := make([]byte, 0, len(s))
	for _, c := range s {
		if c > 0xff {
			return s
		}
		octets = append(octets, byte(c))
	}
	if len(octets) == len(s) || !utf8.Valid(octets) {
		return s
	}
	return string(octets)
}

// SafeName returns the last element of a path of either kind of slash, without the characters that do not show or that
// change the direction of what does, cut to maxNameBytes.
func SafeName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return c
	}, name)
	name = strings.TrimLeftFunc(strings.TrimRightFunc(name, isTrimmed), unicode.IsSpace)
	if len(name) <= maxNameBytes {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > maxNameBytes/2 {
		extension = ""
	}
	return strings.TrimRightFunc(truncate(name, maxNameBytes-len(extension)), isTrimmed) + extension
}

// isTrimmed reports whether a name may not end with c: a file system would drop it, and "." and ".." are no names, with
// whatever kind of space after them.
func isTrimmed(c rune) bool { return c == '.' || unicode.IsSpace(c) }

// truncate returns the longest prefix of whole characters that has at most limit bytes.
func truncate(s string, limit int) string {
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// disposition returns the Content-Disposition of a download (RFC 6266): always an attachment, with the name in ASCII for
// the oldest clients and in UTF-8 for all others.
func disposition(fileName string) string {
	name := SafeName(fileName)
	if name == "" {
		return "attachment"
	}
	ascii := strings.Map(func(c rune) rune {
		// A backslash or quote would end the string, and clients disagree about percent signs in it.
		if c < ' ' || c > '~' || strings.ContainsRune(`"\%`, c) {
			return '_'
		}
		return c
	}, name)
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + percentEncode(name)
}

// percentEncode encodes all but the attr-char of RFC 8187.
func percentEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
