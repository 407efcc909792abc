package application

import (
	"strings"
	"testing"
)

func TestAllowsContentType(t *testing.T) {
	for _, test := range []struct {
		allowed     string // separated by spaces
		contentType string
		want        bool
	}{
		{"application/xml", "application/xml", true},
		{"application/xml", "application/xml; charset=utf-8", true},
		{"application/xml", "Application/XML;charset=\"utf-8\"", true},
		{"APPLICATION/xml", "application/xml", true},
		{"application/xml; charset=utf-8", "application/xml", true},
		{"application/xml", "text/xml", false},
		{"text/xml", "application/xml", false},
		{"application/xml", "application/xhtml+xml", false},
		{"application/json application/pdf", "application/pdf", true},
		{"application/json application/pdf", "image/png", false},
		{"*/*", "image/png", true},
		{"image/*", "image/png", true},
		{"image/*", "image/svg+xml", true},
		{"image/*", "imagery/png", false},
		{"image/*", "application/pdf", false},
		{"", "application/pdf", true},
		{"*/*", "*/*", false},
		{"", "image/*", false},
		{"*/*", "", false},
		{"*/*", "pdf", false},
		{"", "not a type", false},
		{"*/xml", "text/xml", false},
	} {
		if got := AllowsContentType(strings.Fields(strings.ReplaceAll(test.allowed, "; ", ";")), test.contentType); got != test.want {
			t.Errorf("AllowsContentType(%q, %q) = %v", test.allowed, test.contentType, got)
		}
	}
}

func TestValidContentType(t *testing.T) {
	for _, valid := range []string{
		"application/xml", "text/plain; charset=utf-8", "application/vnd.oasis.opendocument.text", "image/svg+xml",
		`multipart/form-data; boundary="a b"`, "*/*", "image/*", "application/json;", "X-Mine/Y.z",
	} {
		if !ValidContentType(valid) {
			t.Errorf("%q is rejected", valid)
		}
	}
	for _, invalid := range []string{
		"", "xml", "/", "application/", "/xml", "*", "*/xml", "application/xml/x", "application xml", "text/plain; charset",
		"text/plain; charset=utf-8; charset=latin1", "text/plain\r\nX: y", "text/plain;\r\n a=b", "text/plæin", "text/plain; a=\"\x00\"",
		"application/" + strings.Repeat("x", 255),
	} {
		if ValidContentType(invalid) {
			t.Errorf("%q is accepted", invalid)
		}
	}
}

func TestStructured(t *testing.T) {
	for contentType, want := range map[string]string{
		"application/json": "json", "text/json; charset=utf-8": "json", "application/vnd.nav.melding+json": "json", "APPLICATION/JSON": "json",
		"application/xml": "xml", "text/xml": "xml", "image/svg+xml": "xml", "application/xhtml+xml": "xml",
		"application/pdf": "", "image/json": "", "application/jsonx": "", "application/json+zip": "", "*/*": "", "json": "", "": "",
	} {
		got := ""
		if IsJSON(contentType) {
			got += "json"
		}
		if IsXML(contentType) {
			got += "xml"
		}
		if got != want || IsStructured(contentType) != (want != "") {
			t.Errorf("%q is %q, want %q", contentType, got, want)
		}
	}
}
