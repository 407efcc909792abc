package xsd

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/wellformed"
)

// Namespaces.
const (
	xsNamespace  = "http://www.w3.org/2001/XMLSchema"
	xmlNamespace = "http://www.w3.org/XML/1998/namespace"
)

// maxNodes is the maximum number of elements in all documents of a schema.
const maxNodes = 20_000

// node is an element of XML Schema in a document. Elements of other namespaces and annotations have
// no node.
type node struct {
	kind       string // local name, such as complexType
	attributes map[string]string
	prefixes   *prefixes
	document   *document
	line       int
	parent     *node
	children   []*node
}

// prefixes is a list of the namespace declarations in scope, innermost first.
type prefixes struct {
	prefix, namespace string
	outer             *prefixes
}

func (p *prefixes) find(prefix string) (namespace string, ok bool) {
	for ; p != nil; p = p.outer {
		if p.prefix == prefix {
			return p.namespace, true
		}
	}
	return "", prefix == ""
}

// name is a name of a component.
type name struct{ namespace, local string }

// issue returns an issue about n, with its line.
func (n *node) issue(message string, args ...any) fault.Issue {
	i := issue(n.document.field, message, args...)
	return atLine(i, n.line)
}

// read returns the root node of d, and the text of d without the anchors of patterns. It returns
// issues if d is not well-formed, is no XML Schema, or has a pattern that is too large. nodes
// counts the elements of all documents.
func (d *document) read(ctx context.Context, nodes *int, patterns *int) (root *node, text []byte, issues []fault.Issue, err error) {
	err = wellformed.XML(ctx, d.text)
	if ill, ok := errors.AsType[*wellformed.Error](err); ok {
		return nil, nil, []fault.Issue{issue(d.field, "%s", ill)}, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	dec := wellformed.NewDecoder(ctx, bytes.NewReader(d.text))
	var open *node // the innermost open element that has a node
	skip := 0      // open elements without a node inside it
	copied := int64(0)
	for {
		from := dec.InputOffset()
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return root, append(text, d.text[copied:]...), issues, nil
		}
		if err != nil {
			return nil, nil, nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if *nodes++; *nodes > maxNodes {
				return nil, nil, []fault.Issue{issue("", "has more than %d elements in all documents together", maxNodes)}, nil
			}
			line, _ := dec.InputPos()
			n := newNode(t, open, d, line)
			namespace, _ := n.prefixes.find(t.Name.Space)
			switch {
			case root == nil && (namespace != xsNamespace || n.kind != "schema"):
				return nil, nil, []fault.Issue{n.issue("must have the root element schema of the namespace %s", xsNamespace)}, nil
			case root == nil:
				root = n
			case skip > 0 || namespace != xsNamespace || n.kind == "annotation":
				skip++
				continue
			default:
				open.children = append(open.children, n)
			}
			open = n
			if n.kind == "pattern" {
				if i := checkPattern(n, patterns); i != nil {
					issues = append(issues, *i)
				}
				to := dec.InputOffset()
				text = append(append(text, d.text[copied:from]...), withoutAnchors(d.text[from:to])...)
				copied = to
			}
		case xml.EndElement:
			if skip > 0 {
				skip--
			} else {
				open = open.parent
			}
		}
	}
}

func newNode(t xml.StartElement, parent *node, d *document, line int) *node {
	n := &node{kind: t.Name.Local, attributes: map[string]string{}, document: d, line: line, parent: parent}
	if parent != nil {
		n.prefixes = parent.prefixes
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns":
			n.prefixes = &prefixes{a.Name.Local, a.Value, n.prefixes}
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			n.prefixes = &prefixes{"", a.Value, n.prefixes}
		case a.Name.Space == "":
			n.attributes[a.Name.Local] = strings.Trim(a.Value, " \t\r\n")
		}
	}
	return n
}

func checkPattern(n *node, total *int) *fault.Issue {
	value := n.attributes["value"]
	size := patternSize(value)
	*total += size
	var i fault.Issue
	switch {
	case len([]rune(value)) > maxPatternLength:
		i = n.issue("has a pattern of more than %d characters", maxPatternLength)
	case size > maxPatternSize:
		i = n.issue("has a pattern that is too large; use smaller counts in {} or fewer alternatives")
	case *total > maxPatternSizes:
		i = n.issue("has patterns that are too large together; use smaller counts in {} or fewer patterns")
	default:
		return nil
	}
	return &i
}
