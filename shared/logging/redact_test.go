package logging

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJwaWQiOiIxMjM0NSJ9.c2lnbmF0dXJl_-x"
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"no secret", "no secret"},
		{"12247918309", redacted},
		{"ssn 12247918309 not found", "ssn " + redacted + " not found"},
		{`{"ssn":"12247918309","organizationNumber":"123456789"}`, `{"ssn":"` + redacted + `","organizationNumber":"` + redacted + `"}`},
		{"ssn=12247918309&org=987654321", "ssn=" + redacted + "&org=" + redacted},
		{"a:12247918309,b", "a:" + redacted + ",b"},
		{`line\n12247918309`, `line\n` + redacted},
		{"pid%3D12247918309", "pid%3D" + redacted},
		{"q=%2212247918309%22", "q=%22" + redacted + "%22"},
		{"æ12247918309ø", "æ" + redacted + "ø"},
		{"a 12247918309 b 12247918309", "a " + redacted + " b " + redacted},

		// Letters and digits that touch the number.
		{"fnr12247918309.pdf", "fnr" + redacted + ".pdf"},
		{"x12247918309y", "x" + redacted + "y"},
		{"_12247918309_", "_" + redacted + "_"},
		{"id_a123456789", "id_a" + redacted},
		{"NO123456789MVA", "NO" + redacted + "MVA"},
		{"1764590400123", redacted}, // 13 digits: a longer number contains shorter ones
		{"20261120101112", redacted},

		// Separators between the digits.
		{"122479 18309", redacted},
		{"skjema-122479-18309.pdf", "skjema-" + redacted + ".pdf"},
		{"12.24.79.18309", redacted},
		{"12/24/79 18309", redacted},
		{"12:24:79:18309", redacted},
		{"122479_18309", redacted},
		{"122479 - 18309", redacted},
		{"122479+18309", redacted},
		{"122479%2018309", redacted},
		{"122479%2D18309", redacted},
		{"122479%252018309", redacted},
		{"122479%20-%2018309", redacted},
		{"122479%C2%A018309", redacted},
		{"122479\u00a018309", redacted},
		{"122479\u201318309", redacted},
		{"122479\u200b18309", redacted},
		{"122479\t18309", redacted},
		{`122479\u00a018309`, redacted},
		{`122479\t18309`, redacted},
		{"122479\u221218309", redacted}, // a minus sign
		{"122479,18309", redacted},
		{"122479, 18309", redacted},
		{"122479;18309", redacted},
		{"122479|18309", redacted},
		{"122479*18309", redacted},
		{"122479\u00b718309", redacted},
		{"122479\u204418309", redacted},
		{"(122479)18309", "(" + redacted},
		{"[122479][18309]", "[" + redacted + "]"},
		{`122479\18309`, redacted},
		{"122479%2C18309", redacted},
		{"122479&nbsp;18309", redacted},
		{"122479&#160;18309", redacted},
		{"122479&#xA0;18309", redacted},
		{"122479&amp;18309", redacted},
		{"&#49;&#50;247918309", redacted},
		{"122479    18309", redacted},
		{"122479 ----- 18309", redacted},
		{"1\ufe0f\u20e32247918309", redacted}, // a keycap
		{"1 2 2 4 7 9 1 8 3 0 9", redacted},
		{"1224 791 8309", redacted},
		{"%31%32%32%34%37%39%31%38%33%30%39", redacted},
		{`\u0031\u0032\u0032\u0034\u0037\u0039\u0031\u0038\u0033\u0030\u0039`, redacted},
		{"\uff11\uff12\uff12\uff14\uff17\uff19\uff11\uff18\uff13\uff10\uff19", redacted}, // full width
		{"123 456 789", redacted},
		{"123\u00a0456\u00a0789", redacted},
		{"0192:123456789.", redacted + "."},

		// Numbers that are neither.
		{"1224791830", "1224791830"}, // 10 digits: an instanceOwnerId, and seconds since 1970
		{"/instances/1224791830/0192f3a4-1234-7123-8123-123456789012/data", "/instances/1224791830/0192f3a4-1234-7123-8123-123456789012/data"},
		{"122479         18309", "122479         18309"}, // nine separators
		{`{"a":122479,"b":18309}`, `{"a":122479,"b":18309}`},
		{`"122479","18309"`, `"122479","18309"`},
		{"{122479}{18309}", "{122479}{18309}"},
		{"122479&quot;18309", "122479&quot;18309"},
		{"[1000,200]", "[1000,200]"},
		{"122479 x 18309", "122479 x 18309"},
		{"0.123456789", "0.123456789"},
		{"50001 bytes 123456", "50001 bytes 123456"},
		{"size=1000&page=20", "size=1000&page=20"},
		{"100%2C200%2C300%2C4", "100%2C200%2C300%2C4"},

		// Times and identifiers.
		{"2026-11-20T10:11:12.123456789Z", "2026-11-20T10:11:12.123456789Z"},
		{"2026-11-20T10:11:12.123456+01:00", "2026-11-20T10:11:12.123456+01:00"},
		{"2026-11-20 10:11:12", "2026-11-20 10:11:12"},
		{"2026-11-20T10:11:12Z 12247918309", "2026-11-20T10:11:12Z " + redacted},
		{"12247918309 2026-11-20T10:11:12Z", redacted + " 2026-11-20T10:11:12Z"},
		{"2026-11-20T10:11:12.12247918309", "2026-11-20T10:11:12." + redacted},
		{"0192f3a4-1234-7123-8123-123456789012", "0192f3a4-1234-7123-8123-123456789012"},
		{"12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789012"},
		{"%2F12345678-1234-1234-1234-123456789012%2F", "%2F12345678-1234-1234-1234-123456789012%2F"},
		{"12,0192f3a4-1234-7123-8123-123456789012,3", "12,0192f3a4-1234-7123-8123-123456789012,3"},
		{"[2026-11-20T10:11:12Z,2026-11-21T10:11:12Z]", "[2026-11-20T10:11:12Z,2026-11-21T10:11:12Z]"},
		{"(1-67891233-123456789abcdef012345678)", "(1-67891233-123456789abcdef012345678)"},
		{"x12345678-1234-1234-1234-123456789012", "x" + redacted},
		{"1-67891233-123456789abcdef012345678", "1-67891233-123456789abcdef012345678"},
		{"9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"},
		{strings.Repeat("12345678", 4), redacted},
		{"12247918309" + strings.Repeat("f", 53), "12247918309" + strings.Repeat("f", 53)}, // a SHA-256
		{"12247918309ff", redacted + "ff"},

		{"Authorization: Bearer abcdefghij.klm-_~+/=", "Authorization: Bearer " + redacted},
		{"token " + jwt + " rejected", "token " + redacted + " rejected"},
		{"bearer " + jwt, "bearer " + redacted},
		{"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA/20261120/x&X-Amz-Signature=abcdef&X-Amz-Security-Token=tok",
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + redacted + "&X-Amz-Signature=" + redacted + "&X-Amz-Security-Token=" + redacted},
		{"GET /k?x-amz-signature=abc HTTP", "GET /k?x-amz-signature=" + redacted + " HTTP"},
		{"the bearer of news", "the bearer of news"},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

// FuzzRedact surrounds an identity number with other text, and separates its digits. No eleven
// digits of the number may remain together.
func FuzzRedact(f *testing.F) {
	f.Add("ssn ", uint64(12247918309), " ", uint16(1<<6), "Bearer abcdefghijk")
	f.Add("2026-11-20T10:11:12.", uint64(1017012345), "%20", uint16(0), "Z")
	f.Add("0192f3a4-1234-7123-8123-", uint64(41999999901), "-", uint16(0xffff), "f")
	f.Add("(", uint64(12247918309), ")(", uint16(1<<6), ")")
	f.Add("&", uint64(12247918309), "&nbsp;", uint16(0xffff), ";")
	f.Add("", uint64(12247918309), "\u2212", uint16(1<<6), "")
	separators := regexp.MustCompile(`^(?:[^\pL\pN"{}%&\\]|%20|%2[CDFcdf]|\\t|\\u00a0|&nbsp;|&#160;){1,8}$`)
	f.Fuzz(func(t *testing.T, before string, number uint64, separator string, at uint16, after string) {
		if !separators.MatchString(separator) {
			separator = "-"
		}
		var spelled strings.Builder
		digits := fmt.Sprintf("%011d", number%100_000_000_000)
		for n, digit := range digits {
			if n > 0 && at>>n&1 == 1 {
				spelled.WriteString(separator)
			}
			spelled.WriteRune(digit)
		}
		// A letter that is not hexadecimal separates the number from UUIDs and escapes.
		got := Redact(before + "x" + spelled.String() + "x" + after)
		if strings.Contains(got, "x"+spelled.String()+"x") && !strings.Contains(before+after, spelled.String()) {
			t.Errorf("%q contains the identity number", got)
		}
		if again := Redact(got); again != got {
			t.Errorf("the second call changes %q to %q", got, again)
		}
	})
}
