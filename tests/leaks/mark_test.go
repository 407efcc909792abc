package leaks

import (
	"fmt"
	"net/url"
	"strings"
)

// mark is a secret that is sent in one place of one request, and nowhere else.
type mark struct {
	place string // "PATCH /{org}/{app}/…: a header, If-Match, an identity number"
	text  string // as it is sent
	own   bool   // the client's own text, which may be stored and shown as content
}

// kinds are the kinds of secrets; each makes the n-th of its kind.
var kinds = []struct {
	name string
	make func(n int) string
}{
	{"an identity number", func(n int) string { return fmt.Sprintf("%011d", 41_000_000_000+n) }},
	{"an identity number with a space", func(n int) string { return fmt.Sprintf("%06d %05d", 520_000+n/100_000, n%100_000) }},
	{"an organisation's number", func(n int) string { return fmt.Sprintf("%09d", 910_000_000+n) }},
	{"a token", func(n int) string {
		return fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.eyJwaWQiOiJ4In0.%sc2lnbmF0dXJl%08dc2ln", strings.Repeat("c2lnbmF0dXJl", 20), n)
	}},
	{"a presigned query", func(n int) string {
		return fmt.Sprintf("X-Amz-Credential=AKIA%08d&X-Amz-Signature=%064x", n, n+1<<40)
	}},
}

// needles are what to look for when a mark is looked for: the part that is secret, however it is written.
func (m mark) needles() []string {
	text := m.text
	if n := strings.LastIndex(text, "."); strings.HasPrefix(text, "eyJ") {
		text = text[n+1:] // the signature
	}
	if _, signature, ok := strings.Cut(text, "X-Amz-Signature="); ok {
		text = signature
	}
	all := []string{text}
	if strings.Contains(text, " ") {
		all = append(all, url.PathEscape(text), url.QueryEscape(text), strings.ReplaceAll(text, " ", ""))
	}
	return all
}

// in reports whether a text holds the mark.
func (m mark) in(text string) bool {
	for _, needle := range m.needles() {
		if strings.Contains(text, needle) {
			return true
		}
	}
	return false
}
