package schema

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"altinn.no/instanceapi/shared/rfc3339"
)

// format is the argument of the keyword format.
type format struct {
	name  string
	valid func(text string) bool // its work is proportional to the length of the text
}

// formats returns the formats that the package asserts. It builds the table when it is used for the
// first time, so that the start of a process stays short.
var formats = sync.OnceValue(func() map[string]func(string) bool {
	return map[string]func(string) bool{
		"date":                  isDate,
		"time":                  isTime,
		"date-time":             isDateTime,
		"duration":              isDuration,
		"period":                isPeriod,
		"email":                 emails(""),
		"idn-email":             emails(beyondASCII),
		"hostname":              hostnames(""),
		"idn-hostname":          hostnames(beyondASCII),
		"ipv4":                  isIPv4,
		"ipv6":                  isIPv6,
		"uri":                   func(s string) bool { u, ok := parseURL(s); return ok && u.IsAbs() },
		"iri":                   func(s string) bool { u, ok := parseURL(s); return ok && u.IsAbs() },
		"uri-reference":         func(s string) bool { _, ok := parseURL(s); return ok && !strings.Contains(s, `\`) },
		"iri-reference":         func(s string) bool { _, ok := parseURL(s); return ok && !strings.Contains(s, `\`) },
		"uri-template":          whole("([^\\x00-\\x20\\x7f\"<>\\\\^`{|}%]|" + percent + `|\{[+#./;?&=,!@|]?` + variable + `(,` + variable + `)*\})*`),
		"json-pointer":          whole(pointer),
		"relative-json-pointer": whole(`(0|[1-9][0-9]*)(#|` + pointer + `)`),
		"uuid":                  whole(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`),
		"semver":                whole(number3 + `(-` + label + `(\.` + label + `)*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?`),
		"regex":                 isRegex,
	}
})

// Parts of regular expressions.
const (
	beyondASCII = `\x{80}-\x{10ffff}`
	pointer     = `(/([^~/]|~[01])*)*`
	percent     = `%[0-9a-fA-F]{2}`
	variable    = `([A-Za-z0-9_]|` + percent + `)(\.?([A-Za-z0-9_]|` + percent + `))*(:[1-9][0-9]{0,3}|\*)?` // of a URI template
	number3     = `(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)`
	label       = `(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)` // of a pre-release
)

// whole returns the function that reports whether a regular expression matches a whole text. It
// compiles the expression when the function is used for the first time.
func whole(expression string) func(string) bool {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(` + expression + `)$`) })
	return func(s string) bool { return compiled().MatchString(s) }
}

func isDate(s string) bool { return isDateTime(s + "T00:00:00Z") }

func isTime(s string) bool { return isDateTime("2000-01-01T" + s) }

// isDateTime reports whether s is a date-time of RFC 3339, which may have a leap second.
func isDateTime(s string) bool {
	leap := len(s) > 19 && s[16:19] == ":60"
	if leap {
		s = s[:17] + "59" + s[19:]
	}
	t, ok := rfc3339.Parse(s)
	return ok && (!leap || t.Hour() == 23 && t.Minute() == 59)
}

var isDurationOrEmpty = whole(`P([0-9]+W|([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?)`)

func isDuration(s string) bool {
	return isDurationOrEmpty(s) && s != "P" && !strings.HasSuffix(s, "T")
}

func isPeriod(s string) bool {
	start, end, _ := strings.Cut(s, "/")
	return isDateTime(start) && (isDateTime(end) || isDuration(end)) || isDuration(start) && isDateTime(end)
}

// hostnames returns the function that reports whether a text is a host name. Labels may contain
// additional characters.
func hostnames(additional string) func(string) bool {
	letter := `[a-zA-Z0-9` + additional + `]`
	isLabel := whole(letter + `([-a-zA-Z0-9` + additional + `]*` + letter + `)?`)
	return func(s string) bool {
		s = strings.TrimSuffix(s, ".")
		valid := utf8.RuneCountInString(s) <= 253
		for label := range strings.SplitSeq(s, ".") {
			valid = valid && utf8.RuneCountInString(label) <= 63 && isLabel(label)
		}
		return valid
	}
}

// emails returns the function that reports whether a text is an email address. Names may contain
// additional characters.
func emails(additional string) func(string) bool {
	atom := "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~" + additional + "-]+"
	isLocal, isHostname := whole(atom+`(\.`+atom+`)*|"[^"\\]*"`), hostnames(additional)
	return func(s string) bool {
		at := strings.LastIndexByte(s, '@')
		if at < 0 || at > 64 || len(s) > 254 || !isLocal(s[:at]) {
			return false
		}
		address, ok := strings.CutPrefix(s[at+1:], "[")
		if !ok {
			return isHostname(address)
		}
		address, ok = strings.CutSuffix(address, "]")
		v6, isV6 := strings.CutPrefix(address, "IPv6:")
		return ok && (isV6 && isIPv6(v6) || !isV6 && isIPv4(address))
	}
}

func isIPv4(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is4()
}

func isIPv6(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is6() && ip.Zone() == ""
}

// parseURL parses a URL. Package net/url does not check the address of a host in brackets.
func parseURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, false
	}
	host := u.Hostname()
	return u, !strings.Contains(host, ":") || strings.HasPrefix(u.Host, "[") && isIPv6(host)
}
