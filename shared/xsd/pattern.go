package xsd

import (
	"bytes"
	"strings"
)

// Limits of the patterns of a schema. The size of a pattern is the number of its atoms after its
// repetitions are expanded.
const (
	maxPatternLength = 1000
	maxPatternSize   = 2000
	maxPatternSizes  = 40_000 // in total
)

// patternSize returns the size of a pattern, at most maxPatternSize+1. The result for a malformed
// pattern has no meaning; the library rejects that pattern.
func patternSize(pattern string) int {
	p := &patternParser{rest: pattern}
	size := min(p.alternatives(0)+sizeOfCategory*p.categories, maxPatternSize+1)
	if p.rest != "" { // an unmatched closing parenthesis
		return 0
	}
	return size
}

// sizeOfCategory is the size of a category of Unicode such as \p{L}, which has hundreds of ranges.
// The repetitions of a category share them.
const sizeOfCategory = 16

type patternParser struct {
	rest       string
	categories int
}

// alternatives returns the size of a pattern up to its end or to a closing parenthesis.
func (p *patternParser) alternatives(depth int) int {
	total, last := 0, 0 // last is the size of the last atom
	for p.rest != "" && total <= maxPatternSize {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch c {
		case ')':
			if depth > 0 {
				return total
			}
			p.rest = ")"
			return total
		case '(':
			if depth >= 100 {
				return maxPatternSize + 1
			}
			last = 1 + p.alternatives(depth+1)
		case '|', '?', '*', '+':
			last = 1
		case '{':
			counts, rest, _ := strings.Cut(p.rest, "}")
			p.rest = rest
			last *= max(0, repetitions(counts)-1)
		case '[':
			last = p.class()
		case '\\':
			p.skipEscape()
			last = 1
		default:
			last = 1
		}
		total = min(total+last, maxPatternSize+1)
	}
	return total
}

// repetitions returns the larger number in counts, such as 2,5 or 3 or 4, with at most
// maxPatternSize+1.
func repetitions(counts string) int {
	largest := 0
	for _, each := range strings.Split(counts, ",") {
		n := 0
		for _, c := range each {
			if c >= '0' && c <= '9' {
				n = min(n*10+int(c-'0'), maxPatternSize+1)
			}
		}
		largest = max(largest, n)
	}
	return largest
}

// class skips a character class and returns its size: one for every 16 bytes.
func (p *patternParser) class() int {
	start := len(p.rest)
	for depth := 1; depth > 0 && p.rest != ""; {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		case '\\':
			p.skipEscape()
		}
	}
	return 1 + (start-len(p.rest))/16
}

// skipEscape skips an escape after its backslash.
func (p *patternParser) skipEscape() {
	if strings.HasPrefix(p.rest, "p{") || strings.HasPrefix(p.rest, "P{") {
		_, p.rest, _ = strings.Cut(p.rest, "}")
		p.categories++
	} else if p.rest != "" {
		p.rest = p.rest[1:]
	}
}

// withoutAnchors replaces the value of the start tag of an element pattern by the value without
// anchors: one ^ at its start and one unescaped $ at its end.
func withoutAnchors(tag []byte) []byte {
	at := bytes.Index(tag, []byte("value"))
	for at >= 0 { // the attribute, not a part of another attribute's name or value
		rest := bytes.TrimLeft(tag[at+len("value"):], " \t\r\n")
		before := tag[at-1]
		if bytes.HasPrefix(rest, []byte("=")) && (before == ' ' || before == '\t' || before == '\r' || before == '\n') {
			break
		}
		next := bytes.Index(tag[at+1:], []byte("value"))
		if next < 0 {
			return tag
		}
		at += 1 + next
	}
	if at < 0 {
		return tag
	}
	from := at + bytes.IndexAny(tag[at:], `"'`)
	if from < at {
		return tag
	}
	to := bytes.IndexByte(tag[from+1:], tag[from])
	if to < 0 {
		return tag
	}
	value := tag[from+1 : from+1+to]
	bare := bytes.TrimPrefix(value, []byte("^"))
	if cut, ok := bytes.CutSuffix(bare, []byte("$")); ok && (len(cut)-len(bytes.TrimRight(cut, `\`)))%2 == 0 {
		bare = cut
	}
	return bytes.Join([][]byte{tag[:from+1], bare, tag[from+1+to:]}, nil)
}
