package blobhttp

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// For any header, a returned range has only existing bytes. requestedRange returns no range if
// If-Range names another representation.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{
		"bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-2", "bytes=10-", "bytes=-0", "Bytes = 1-2", "bytes=0-1,3-4", "bytes=99999999999999999999-", "bytes=-99999999999999999999",
		"bytes=0-99999999999999999999", "lines=1-2", "bytes", "bytes=", "bytes=-", "bytes=+1-2", "bytes=1-2 ", "bytes=٠-١",
	} {
		f.Add(seed, "", int64(10))
		f.Add(seed, `"etag"`, int64(0))
		f.Add(seed, `W/"etag"`, int64(1<<62))
	}
	f.Fuzz(func(t *testing.T, header, condition string, size int64) {
		if size < 0 {
			return
		}
		r := &http.Request{Method: "GET", Header: http.Header{"Range": {header}, "If-Range": {condition}}}
		got, ok := requestedRange(r, `"etag"`, size)
		if got != nil && (!ok || got.First < 0 || got.First > got.Last || got.Last >= size || strings.Contains(header, ",")) {
			t.Errorf("%q of %d bytes: %+v, %v", header, size, got, ok)
		}
		if (got != nil || !ok) && condition != "" && condition != `"etag"` {
			t.Errorf("%q if %q: %+v, %v", header, condition, got, ok)
		}
		r.Method = "HEAD"
		if got, ok := requestedRange(r, `"etag"`, size); got != nil || !ok {
			t.Errorf("HEAD: %+v, %v", got, ok)
		}
	})
}

// besideASCII matches a joiner that could disguise an ASCII name.
var besideASCII = regexp.MustCompile(`(^|[\x00-\x7f])[\x{200c}\x{200d}]|[\x{200c}\x{200d}]($|[\x00-\x7f])`)

// For any file name in JSON, the stored name is one line of visible characters, without a path.
func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"a.pdf", "../../etc/passwd", `C:\x\y.doc`, "..", "..\u00a0", ".\u2003.", "a\u202efdp.exe", "\xff\xfe", "a\r\nb", "\x00", "\ufeff.x", strings.Repeat("ø", 200) + ".pdf",
		"a." + strings.Repeat("x", 200), strings.Repeat(".", 300), " \u3000a\u3000. ", "%2e%2e%2f", "\U000E0041\ue000", "a\u0085.\u2028",
		"👨\u200d👩.jpg", "a\u200db", "🏴\U000E0067\U000E007F", strings.Repeat("å\u200d", 60) + ".pdf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name := SafeName(given)
		switch {
		case len(name) > maxNameBytes, !utf8.ValidString(name), strings.ContainsAny(name, `/\`), SafeName(name) != name, name == ".", name == "..",
			strings.TrimRightFunc(name, func(c rune) bool { return c == '.' || unicode.IsSpace(c) }) != name,
			strings.ContainsFunc(name, func(c rune) bool {
				return !isJoiner(c) && !isTag(c) && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || c == '\u3164'
			}),
			besideASCII.MatchString(name):
			t.Errorf("SafeName(%q) = %q", given, name)
		}
		if header := disposition(given); strings.ContainsFunc(header, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("disposition(%q) = %q", given, header)
		}
	})
}
