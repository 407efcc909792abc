package logging

import (
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
		{"122479 18309", redacted},
		{"a:12247918309,b", "a:" + redacted + ",b"},
		{"0192:123456789.", "0192:" + redacted + "."},
		{`line\n12247918309`, `line\n` + redacted},
		{"pid%3D12247918309", "pid%3D" + redacted},
		{"æ12247918309ø", "æ" + redacted + "ø"},
		{"1224791830", "1224791830"},       // 10 digits: seconds since 1970
		{"1764590400123", "1764590400123"}, // 13: milliseconds
		{"2026-11-20T10:11:12.123456789Z", "2026-11-20T10:11:12.123456789Z"},
		{"0192f3a4-1234-7123-8123-123456789012", "0192f3a4-1234-7123-8123-123456789012"},
		{"12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789012"},
		{"1-67891233-123456789abcdef012345678", "1-67891233-123456789abcdef012345678"},
		{"9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"},
		{"id_a123456789", "id_a123456789"},
		{"50001 bytes 123456", "50001 bytes 123456"},
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

func FuzzRedact(f *testing.F) {
	f.Add("ssn 12247918309", "Bearer abcdefghijk")
	f.Add("2026-11-20T10:11:12.123456789Z", "122479 18309")
	f.Fuzz(func(t *testing.T, before, after string) {
		got := Redact(before + " 12247918309 " + after)
		if strings.Contains(got, " 12247918309 ") {
			t.Errorf("%q contains the identity number", got)
		}
		if again := Redact(got); again != got {
			t.Errorf("the second call changes %q to %q", got, again)
		}
	})
}
