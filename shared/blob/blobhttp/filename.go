package blobhttp

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes is the maximum length of a file name, in bytes of UTF-8. Every file system accepts
// it, even with " (1)" added.
const maxNameBytes = 150

// FileName returns the file name in the Content-Disposition header of an upload, or "" if it has
// none. It prefers filename* (RFC 8187, in UTF-8 or ISO-8859-1) unless that is empty, and joins
// the continuations of RFC 2231. It decodes the encoded words (RFC 2047) of a plain filename,
// which .NET sends. It reads windows-1252 and latin1 as ISO-8859-1. It percent-decodes a plain
// filename without them if the result is valid UTF-8, because many clients encode it. It also
// finds the name in a malformed header: unquoted with spaces, or without a type.
//
// The name is safe to store and to display: it has no path, no control or invisible formatting
// characters, and at most 150 bytes. Truncation keeps the extension.
func FileName(header string) string {
	header = repairLatin1(header)
	if name := latin1Name(header); name != "" {
		return name
	}
	_, params, err := mime.ParseMediaType(header)
	if name := params["filename"]; err == nil && name != "" {
		if !extendedFileName().MatchString(header) {
			name = decodePlain(name)
		}
		return SafeName(name)
	}
	if found := extendedFileName().FindStringSubmatch(header); found != nil {
		if name := strings.TrimSpace(found[1] + found[2]); name != "" { // one of the two is empty
			return SafeName(percentDecode(name))
		}
	}
	if found := quotedLatin1FileName().FindStringSubmatch(header); found != nil && found[1] != "" {
		return SafeName(percentDecodeLatin1(found[1]))
	}
	if found := plainFileName().FindStringSubmatch(header); found != nil {
		return SafeName(decodePlain(strings.TrimSpace(found[1] + found[2])))
	}
	return ""
}

// latin1Name returns the name in the parameter filename* in ISO-8859-1, or "" if the header has
// none. Package mime rejects this character set.
func latin1Name(header string) string {
	lower := strings.ToLower(header)
	if !slices.ContainsFunc(latin1Names, func(name string) bool { return strings.Contains(lower, name+"'") }) {
		return "" // nearly always: compile no expression
	}
	withoutQuoted := quotedString().ReplaceAllLiteralString(header, `""`)
	if found := latin1FileName().FindStringSubmatch(withoutQuoted); found != nil {
		return SafeName(percentDecodeLatin1(found[1]))
	}
	if latin1Continuation().MatchString(withoutQuoted) {
		// Package mime joins the continuations and decodes them to bytes, whatever they encode.
		_, params, err := mime.ParseMediaType(latin1Continuation().ReplaceAllString(header, "${1}utf-8'"))
		if err == nil {
			return SafeName(latin1(params["filename"]))
		}
	}
	return ""
}

// latin1Names are the character sets that are read as ISO-8859-1. Windows-1252 has other characters
// only where ISO-8859-1 has controls, which SafeName removes.
var latin1Names = []string{"iso-8859-1", "latin1", "windows-1252"}

// The parameters that package mime rejects, and the quoted strings of a header. The first upload
// with a file name compiles the expressions, because most functions that link this package never
// need them.
var (
	extendedFileName     = lazy(`(?i)(?:^|[;\s])filename\*\s*=\s*(?:"utf-8'[^'"]*'([^"]*)|utf-8'[^'";]*'([^";]*))`)
	latin1FileName       = lazy(`(?i)(?:^|[;\s])filename\*\s*=\s*(?:iso-8859-1|latin1|windows-1252)'[^'";]*'([^";]*)`)
	latin1Continuation   = lazy(`(?i)((?:^|[;\s])filename\*0\*\s*=\s*)(?:iso-8859-1|latin1|windows-1252)'`)
	quotedLatin1FileName = lazy(`(?i)(?:^|[;\s])filename\*\s*=\s*"(?:iso-8859-1|latin1|windows-1252)'[^'"]*'([^"]*)`)
	plainFileName        = lazy(`(?i)(?:^|[;\s])filename\s*=\s*(?:"([^"]*)|([^";]*))`)
	quotedString         = lazy(`"(?:[^"\\]|\\.)*"`)
)

func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// decodePlain returns the name in the value of a plain filename parameter.
func decodePlain(name string) string {
	if strings.Contains(name, "=?") {
		words := mime.WordDecoder{CharsetReader: readLatin1} // itself reads UTF-8, ISO-8859-1 and US-ASCII
		if decoded, err := words.DecodeHeader(name); err == nil && decoded != name {
			return decoded
		}
	}
	return percentDecode(name)
}

// percentDecodeLatin1 returns name decoded as ISO-8859-1, or unchanged if it is not correctly
// percent-encoded.
func percentDecodeLatin1(name string) string {
	name = strings.TrimSpace(name)
	decoded, err := url.PathUnescape(name)
	if err != nil {
		return name
	}
	return latin1(decoded)
}

// latin1 returns the characters of octets in ISO-8859-1.
func latin1(octets string) string {
	characters := make([]rune, len(octets))
	for n := range len(octets) {
		characters[n] = rune(octets[n])
	}
	return string(characters)
}

// readLatin1 is the CharsetReader for the sets in latin1Names.
func readLatin1(charset string, in io.Reader) (io.Reader, error) {
	if !slices.Contains(latin1Names, strings.ToLower(charset)) {
		return nil, errors.New("the character set is unknown")
	}
	octets, err := io.ReadAll(in)
	return strings.NewReader(latin1(string(octets))), err
}

// percentDecode returns name decoded if the result is valid UTF-8, and name unchanged otherwise.
func percentDecode(name string) string {
	if decoded, err := url.PathUnescape(name); err == nil && utf8.ValidString(decoded) {
		return decoded
	}
	return name
}

// repairLatin1 undoes the error of a proxy that reads the bytes of a header as Latin-1, one
// character per byte. If the bytes are valid UTF-8, it returns the UTF-8 string. It returns any
// other string unchanged.
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

// SafeName returns the last element of a path with slashes or backslashes, truncated to
// maxNameBytes. It removes invisible characters and characters that change the text direction. It
// keeps the joiners between two visible characters outside ASCII and the tags of a flag emoji.
func SafeName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = withoutInvisible(name)
	name = strings.TrimLeftFunc(strings.TrimRightFunc(name, isTrimmed), unicode.IsSpace)
	if len(name) <= maxNameBytes {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > maxNameBytes/2 {
		extension = ""
	}
	return strings.TrimRightFunc(truncate(name, maxNameBytes-len(extension)), func(c rune) bool { return isTrimmed(c) || isJoiner(c) }) + extension
}

// withoutInvisible removes the invisible characters of a name. A joiner stays where it changes what
// a reader sees, as in the family emoji and in Persian words, and never next to ASCII: a joiner in
// an extension would only hide that the extension is another one.
func withoutInvisible(name string) string {
	const blackFlag = '\U0001F3F4'
	all := []rune(strings.Map(func(c rune) rune {
		if !isJoiner(c) && !isTag(c) &&
			unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return c
	}, name))
	joins := func(c rune) bool {
		return c >= utf8.RuneSelf && !unicode.IsSpace(c) && !isJoiner(c) && !isTag(c)
	}
	var last rune // the last kept character
	kept := all[:0]
	for n, c := range all {
		switch {
		case isJoiner(c) && !(joins(last) && n+1 < len(all) && joins(all[n+1])):
		case isTag(c) && last != blackFlag && !isTag(last):
		default:
			kept, last = append(kept, c), c
		}
	}
	return string(kept)
}

// isJoiner reports whether c is U+200C or U+200D, which change how their neighbours appear.
func isJoiner(c rune) bool { return c == '\u200c' || c == '\u200d' }

// isTag reports whether c is one of the tags that follow a black flag in the emoji of a region.
func isTag(c rune) bool { return '\U000E0020' <= c && c <= '\U000E007F' }

// isTrimmed reports whether SafeName removes c from the end of a name. Some file systems drop such
// a c, and "." and ".." are not file names.
func isTrimmed(c rune) bool { return c == '.' || unicode.IsSpace(c) }

// truncate returns the longest prefix of s that has whole characters and at most limit bytes.
func truncate(s string, limit int) string {
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// disposition returns the Content-Disposition of a download (RFC 6266): always an attachment, with
// the name in ASCII for the oldest clients and in UTF-8 for all others.
func disposition(fileName string) string {
	name := SafeName(fileName)
	if name == "" {
		return "attachment"
	}
	ascii := strings.Map(func(c rune) rune {
		// A backslash or quote would end the string, and clients interpret percent signs
		// differently.
		if c < ' ' || c > '~' || strings.ContainsRune(`"\%`, c) {
			return '_'
		}
		return c
	}, name)
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + percentEncode(name)
}

// percentEncode encodes all bytes except the attr-char of RFC 8187.
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
