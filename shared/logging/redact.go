package logging

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const redacted = "[redacted]"

// Compile the patterns on first use, because most processes never log a text that looks like a
// secret.
var (
	bearerPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(bearer|basic)(\s+|%20)[A-Za-z0-9._~+/=-]{8,}`)
	})
	jwtPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`)
	})
	presignedPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(x-amz-(?:signature|credential|security-token))(=|%3d)[^&\s"'\\]*`)
	})
)

// Redact replaces the secrets in s by "[redacted]": identity numbers, credentials in Bearer and
// Basic authorization, JSON Web Tokens, and the secret parameters of presigned URLs.
//
// An identity number is any 11 or more digits, whatever surrounds them, with up to maxSeparators
// separators between two digits. A separator is any character except a letter, a digit and the
// characters " { and } of JSON: as a character, percent-encoded, or as an escape of JSON or HTML.
// Digits of other scripts and percent-encoded digits count. Nine digits are an organisation
// number, alone or in groups of three. Redact keeps shorter numbers, UUIDs, times (RFC 3339), ids
// of traces, and SHA-256 digests. A longer number that is no secret is redacted as well.
func Redact(s string) string {
	if strings.Contains(s, "eyJ") {
		s = jwtPattern().ReplaceAllString(s, redacted)
	}
	lower := strings.ToLower(s)
	if strings.Contains(lower, "bearer") || strings.Contains(lower, "basic") {
		s = bearerPattern().ReplaceAllString(s, "${1}${2}"+redacted)
	}
	if strings.Contains(lower, "x-amz-") {
		s = presignedPattern().ReplaceAllString(s, "${1}${2}"+redacted)
	}
	return redactNumbers(s)
}

// The lengths of numbers, in digits.
const (
	identityDigits     = 11
	organisationDigits = 9
	maxSeparators      = 8 // between two digits of a number
)

// group is a run of digits without a separator.
type group struct{ start, end, digits int }

// redactNumbers replaces the identity and organisation numbers in s.
func redactNumbers(s string) string {
	var out strings.Builder
	copied := 0 // out has the redacted form of s[:copied]
	redact := func(start, end int) {
		out.WriteString(s[copied:start])
		out.WriteString(redacted)
		copied = end
	}
	inWord := false // s[i-1] belongs to a word
	for i := 0; i < len(s); {
		if end := identifierEnd(s, i); end > i && !inWord {
			i = end
			continue
		}
		c, length := character(s, i)
		inWord = unicode.IsLetter(c) || unicode.IsDigit(c)
		if !unicode.IsDigit(c) {
			i += length
			continue
		}
		groups, digits := number(s, i)
		last := groups[len(groups)-1].end
		if digits >= identityDigits || digits == organisationDigits && inThrees(groups) {
			redact(i, last)
		} else {
			for _, g := range groups {
				if g.digits == organisationDigits && !isFraction(s, g.start) {
					redact(g.start, g.end)
				}
			}
		}
		i = last
	}
	if copied == 0 {
		return s
	}
	out.WriteString(s[copied:])
	return out.String()
}

// number returns the groups of the number that starts at s[i], and the count of its digits.
func number(s string, i int) (groups []group, digits int) {
	for {
		g := group{start: i, end: i}
		for n := digitLen(s, i); n > 0; n = digitLen(s, i) {
			i += n
			g.end, g.digits = i, g.digits+1
		}
		groups, digits = append(groups, g), digits+g.digits
		for range maxSeparators {
			if digitLen(s, i) > 0 {
				break
			}
			i += separatorLen(s, i)
		}
		if digitLen(s, i) == 0 || identifierEnd(s, i) > i {
			return groups, digits
		}
	}
}

// inThrees reports whether the groups are those of an organisation number with separators.
func inThrees(groups []group) bool {
	for _, g := range groups {
		if g.digits != 3 {
			return false
		}
	}
	return true
}

// isFraction reports whether the digits at s[start:] follow a decimal point.
func isFraction(s string, start int) bool {
	return start >= 2 && s[start-1] == '.' && isDigit(s[start-2])
}

// identifiers are the patterns that Redact keeps: h is a hexadecimal digit, 0 a digit, and any
// other character itself.
var identifiers = [...]string{
	"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", // a UUID
	"1-hhhhhhhh-hhhhhhhhhhhhhhhhhhhhhhhh",  // a trace of X-Ray
	strings.Repeat("h", 64),                // a SHA-256
	strings.Repeat("h", 32),                // a trace of W3C Trace Context
	"0000-00-00T00:00:00",
	"0000-00-00 00:00:00",
}

// identifierEnd returns the end of the identifier or time that starts at s[i], or i if there is
// none. A letter or digit after a pattern makes it something else.
func identifierEnd(s string, i int) int {
	if !isWord(s[i]) {
		return i
	}
	for _, pattern := range identifiers {
		end, ok := match(s, i, pattern)
		if !ok {
			continue
		}
		if pattern[0] == '0' {
			end = timeEnd(s, end)
		} else if pattern[0] == 'h' && !strings.ContainsAny(s[i:end], "-abcdefABCDEF") {
			continue // a long number
		}
		if end == len(s) || !isWord(s[end]) {
			return end
		}
	}
	return i
}

// timeEnd returns the end of a time whose seconds end at s[i]. It includes the fraction and the
// offset.
func timeEnd(s string, i int) int {
	if i < len(s) && s[i] == '.' {
		end := i + 1
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if digits := end - i - 1; digits >= 1 && digits <= 9 {
			i = end
		}
	}
	if i < len(s) && s[i]|0x20 == 'z' {
		return i + 1
	}
	for _, offset := range []string{"+00:00", "-00:00"} {
		if end, ok := match(s, i, offset); ok {
			return end
		}
	}
	return i
}

// match reports whether s[i:] begins with a pattern of identifiers, and returns the end of the
// match.
func match(s string, i int, pattern string) (end int, ok bool) {
	if len(s)-i < len(pattern) {
		return i, false
	}
	for n := range len(pattern) {
		c := s[i+n]
		switch p := pattern[n]; {
		case p == 'h' && (isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'), p == '0' && isDigit(c), p != 'h' && p != '0' && p == c:
		default:
			return i, false
		}
	}
	return i + len(pattern), true
}

// digitLen returns the length of the digit at s[i], in bytes, or 0 if there is none.
func digitLen(s string, i int) int {
	if c, n := character(s, i); unicode.IsDigit(c) {
		return n
	}
	return 0
}

// separatorLen returns the length of the separator at s[i], in bytes, or 0 if there is none.
func separatorLen(s string, i int) int {
	c, n := character(s, i)
	if n == 0 || unicode.IsLetter(c) || unicode.IsDigit(c) || c == '"' || c == '{' || c == '}' {
		return 0
	}
	return n
}

// character returns the character at s[i] and its length in bytes, which is 0 at the end of s. It
// decodes percent-encoding, also if it is applied twice, and the escapes of JSON and HTML. An
// encoded character that is longer than a byte is decoded as a whole.
func character(s string, i int) (rune, int) {
	if i >= len(s) {
		return 0, 0
	}
	switch s[i] {
	case '%':
		var octets [utf8.UTFMax]byte
		end := i
		for n := range octets {
			value, next, ok := percentOctet(s, end)
			if !ok {
				break
			}
			octets[n], end = value, next
			if c, size := utf8.DecodeRune(octets[:n+1]); c != utf8.RuneError && size == n+1 {
				return c, end - i
			}
		}
	case '&':
		if c, end, ok := entity(s, i); ok {
			return c, end - i
		}
	case '\\':
		if end, ok := match(s, i, `\uhhhh`); ok {
			return rune(hexValue(s[i+2 : end])), end - i
		}
		if i+1 < len(s) && strings.IndexByte("ntr", s[i+1]) >= 0 {
			return ' ', 2
		}
	}
	if s[i] < utf8.RuneSelf {
		return rune(s[i]), 1
	}
	return utf8.DecodeRuneInString(s[i:])
}

// entity returns the character of the HTML entity at s[i], and the end of the entity. A named
// entity is a space, except &quot;, because no name means a digit.
func entity(s string, i int) (c rune, end int, ok bool) {
	const longest = len("&CounterClockwiseContourIntegral;")
	text := s[i:min(len(s), i+longest)]
	length := strings.IndexByte(text, ';')
	if length < 0 {
		return 0, i, false
	}
	name, end := text[1:length], i+length+1
	if number, numeric := strings.CutPrefix(name, "#"); numeric {
		base := 10
		if number != "" && number[0]|0x20 == 'x' {
			number, base = number[1:], 16
		}
		value, err := strconv.ParseUint(number, base, 21)
		return rune(value), end, err == nil
	}
	for n := range len(name) {
		if !isWord(name[n]) {
			return 0, i, false
		}
	}
	if name == "quot" {
		return '"', end, true
	}
	return ' ', end, name != ""
}

// percentOctet returns the octet that is percent-encoded at s[i], and the end of its encoding.
func percentOctet(s string, i int) (value byte, end int, ok bool) {
	if i >= len(s) || s[i] != '%' {
		return 0, i, false
	}
	i++
	for strings.HasPrefix(s[i:], "25") { // an encoded %
		i += 2
	}
	end, ok = match(s, i, "hh")
	if !ok {
		return 0, i, false
	}
	return byte(hexValue(s[i:end])), end, true
}

func hexValue(digits string) (value int) {
	for _, c := range []byte(digits) {
		if isDigit(c) {
			value = value<<4 + int(c-'0')
		} else {
			value = value<<4 + int(c|0x20-'a') + 10
		}
	}
	return value
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isWord reports whether c is an ASCII letter or digit.
func isWord(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }
