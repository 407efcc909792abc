package leaks

import (
	"fmt"
	"net/url"
	"strings"
)

// marker is a secret that is sent in one location of one request, and nowhere else.
type marker struct {
	sentIn     string // "PATCH /{org}/{app}/…: an identity number in header If-Match"
	text       string // that is sent
	clientText bool   // the text is the client's own, which may be stored and returned as content
}

// kinds are the kinds of secrets. make returns the n-th secret of a kind.
var kinds = []struct {
	name string
	make func(n int) string
}{
	{"an identity number", func(n int) string { return fmt.Sprintf("%011d", 41_000_000_000+n) }},
	{"an identity number with a space", func(n int) string { return fmt.Sprintf("%06d %05d", 520_000+n/100_000, n%100_000) }},
	{"an identity number with a dash", func(n int) string { return fmt.Sprintf("%06d-%05d", 530_000+n/100_000, n%100_000) }},
	{"an identity number in a word", func(n int) string { return fmt.Sprintf("fnr%011d.pdf", 42_000_000_000+n) }},
	{"an organisation number", func(n int) string { return fmt.Sprintf("%09d", 910_000_000+n) }},
	{"a token", func(n int) string {
		return fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.eyJwaWQiOiJ4In0.%sc2lnbmF0dXJl%08dc2ln", strings.Repeat("c2lnbmF0dXJl", 20), n)
	}},
	{"a presigned query", func(n int) string {
		return fmt.Sprintf("X-Amz-Credential=AKIA%08d&X-Amz-Signature=%064x", n, n+1<<40)
	}},
}

// needles returns the texts to search for: the secret part of the marker in every encoding.
func (m marker) needles() []string {
	text := m.text
	if n := strings.LastIndex(text, "."); strings.HasPrefix(text, "eyJ") {
		text = text[n+1:] // the signature
	}
	if _, signature, ok := strings.Cut(text, "X-Amz-Signature="); ok {
		text = signature
	}
	if number, ok := strings.CutPrefix(text, "fnr"); ok {
		text = strings.TrimSuffix(number, ".pdf")
	}
	all := []string{text}
	for _, separator := range []string{" ", "-"} {
		if strings.Contains(text, separator) {
			all = append(all, url.PathEscape(text), url.QueryEscape(text), strings.ReplaceAll(text, separator, ""))
		}
	}
	return all
}

// in reports whether a text contains the marker.
func (m marker) in(text string) bool {
	for _, needle := range m.needles() {
		if strings.Contains(text, needle) {
			return true
		}
	}
	return false
}
