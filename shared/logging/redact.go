package logging

import (
	"regexp"
	"strings"
	"sync"
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
// Basic authorization, JSON Web Tokens, and the secret parameters of presigned URLs. An identity
// number has 11 digits, 6 and 5 digits with a space, or 9 digits. It is not part of a longer word
// or number. It does not change UUIDs, times, and ids of requests and traces.
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

// redactNumbers replaces isolated runs of 11 or 9 digits, and of 6 digits, a space and 5 digits.
func redactNumbers(s string) string {
	var out strings.Builder
	copied := 0 // out has the redacted form of s[:copied]
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		end := digitsEnd(s, i)
		n := end - i
		if n == 6 && end < len(s) && s[end] == ' ' && digitsEnd(s, end+1)-end-1 == 5 {
			end += 6
			n = 11
		}
		if (n == 11 || n == 9) && isIsolated(s, i, end) {
			out.WriteString(s[copied:i])
			out.WriteString(redacted)
			copied = end
		}
		i = end
	}
	if copied == 0 {
		return s
	}
	out.WriteString(s[copied:])
	return out.String()
}

// isIsolated reports whether s[start:end] is isolated: not in a word, an identifier, or a fraction
// such as the nanoseconds of a time.
func isIsolated(s string, start, end int) bool {
	if start > 0 && isLetter(s[start-1]) && !afterEscape(s, start) || end < len(s) && isLetter(s[end]) {
		return false
	}
	return start < 2 || s[start-1] != '.' || !isDigit(s[start-2])
}

// afterEscape reports whether the character before start ends an escape such as \n or %3D.
func afterEscape(s string, start int) bool {
	return start >= 2 && s[start-2] == '\\' || start >= 3 && s[start-3] == '%'
}

func digitsEnd(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
