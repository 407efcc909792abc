package wellformed

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// scanner finds what package xsd accepts although expat and .NET reject it: a name that only the
// fifth edition of XML 1.0 allows, a colon in the name of a processing instruction, and a character
// reference outside the root element. Its error has a meaning only if package xsd finds no other
// fault.
type scanner struct {
	line    int // newlines so far
	err     *Error
	state   state
	text    []byte // the first bytes of markup while its kind is unknown, then the current name
	foreign bool   // the current name has a byte outside US-ASCII
	matched int    // bytes of the end of a comment, CDATA section or processing instruction
	quote   byte   // of the current attribute value, or 0
	closing bool   // the current tag is an end tag
	last    byte   // of the current tag, outside attribute values
	depth   int    // open elements
	allowed map[string]bool
}

// state is the place of the next byte in the document.
type state int

const (
	inContent state = iota
	inMarkup        // after <, while the kind of the markup is unknown
	inTag
	inTarget      // in the name of a processing instruction
	inInstruction // after the name
	inComment
	inCDATA
)

var ends = [...]string{inInstruction: "?>", inComment: "-->", inCDATA: "]]>"}

// maxAllowed is the maximum number of names that a scanner remembers.
const maxAllowed = 1000

// next reads one byte.
func (s *scanner) next(c byte) {
	if c == '\n' {
		s.line++
	}
	switch s.state {
	case inContent:
		if c == '<' {
			s.state, s.text = inMarkup, s.text[:0]
		} else if c == '&' && s.depth == 0 {
			s.report("has text outside the root element")
		}
	case inMarkup:
		s.markup(c)
	case inTag:
		s.tag(c)
	case inTarget:
		s.target(c)
	default:
		s.end(c)
	}
}

func (s *scanner) report(message string) {
	if s.err == nil {
		s.err = &Error{message, 1 + s.line}
	}
}

// markup reads a byte after < until the kind of the markup is known.
func (s *scanner) markup(c byte) {
	s.text = append(s.text, c)
	switch {
	case c == '?' && len(s.text) == 1:
		s.state, s.text = inTarget, s.text[:0]
	case string(s.text) == "!--":
		s.state, s.matched = inComment, 0
	case string(s.text) == "![CDATA[":
		s.state, s.matched = inCDATA, 0
	case strings.HasPrefix("![CDATA[", string(s.text)), string(s.text) == "!-":
	case s.text[0] == '!': // a DOCTYPE, which package xsd rejects
		s.state = inContent
	default:
		s.state, s.text = inTag, s.text[:0]
		s.closing, s.last = c == '/', 0
		if !s.closing {
			s.tag(c)
		}
	}
}

// tag reads a byte of a tag.
func (s *scanner) tag(c byte) {
	if s.quote != 0 {
		if c == s.quote {
			s.quote = 0
		}
		return
	}
	switch {
	case c == '"' || c == '\'':
		s.quote = c
	case c == '>':
		s.endName()
		s.state = inContent
		switch {
		case s.closing:
			s.depth--
		case s.last != '/':
			s.depth++
		}
	case c == '=' || c == '/' || isSpace(c):
		s.endName()
	default:
		s.addToName(c)
	}
	s.last = c
}

// target reads a byte of the name of a processing instruction, or the first byte after the name.
func (s *scanner) target(c byte) {
	if c != '?' && !isSpace(c) {
		s.addToName(c)
		return
	}
	if bytes.IndexByte(s.text, ':') >= 0 {
		s.report("has a processing instruction whose name has a colon")
	}
	s.endName()
	s.state, s.matched = inInstruction, 0
	s.end(c)
}

// end reads a byte of a comment, CDATA section or processing instruction, and looks for its end.
func (s *scanner) end(c byte) {
	end := ends[s.state]
	switch {
	case c == end[s.matched]:
		s.matched++
	case s.matched == len(end)-1 && c == end[0]: // as in ]]]>
	case c == end[0]:
		s.matched = 1
	default:
		s.matched = 0
	}
	if s.matched == len(end) {
		s.state = inContent
	}
}

func (s *scanner) addToName(c byte) {
	s.text = append(s.text, c)
	s.foreign = s.foreign || c >= 0x80
}

// endName checks the current name. encoding/xml has the fourth edition's table of characters.
func (s *scanner) endName() {
	if s.foreign && !s.allowed[string(s.text)] {
		name := string(s.text)
		if _, err := xml.NewDecoder(strings.NewReader("<" + name + "/>")).RawToken(); err != nil {
			s.report("has a name with a character that XML 1.0 does not allow in names")
		}
		if s.allowed == nil || len(s.allowed) == maxAllowed {
			s.allowed = map[string]bool{}
		}
		s.allowed[name] = true
	}
	s.text, s.foreign = s.text[:0], false
}

func isSpace(c byte) bool { return strings.IndexByte(space, c) >= 0 }
