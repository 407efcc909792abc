package schema

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/wellformed"
)

// FuzzXML checks documents that parseXML accepts. encoding/xml must accept them too, they must
// contain no forbidden construct, and they must map to a JSON value.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{
		`<melding xmlns="urn:x"><timer>37</timer><linjer><linje id="A">1</linje><linje/></linjer></melding>`,
		`<?xml version="1.0" encoding="UTF-8"?><!-- x --><a b="&lt;" c='2'>x<![CDATA[<y>]]>&#230;<d/></a>`,
		"\xef\xbb\xbf<x:a xmlns:x=\"u\" x:b=\"1\" b=\"2\"><x:c xsi:nil=\"true\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"/></x:a>",
		`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
		`<a/><b/>`, `<a></b>`, `x<a/>`, `<a b="1" b="2"/>`, `<a><?xml version="1.0"?></a>`, `<x:a/>`, `<a>1</a>`,
	} {
		f.Add([]byte(seed))
	}
	s := mustCompile(f, `{"type":"object","properties":{"timer":{"type":"integer"},"linjer":{"type":"object","properties":{"linje":
		{"type":"array","items":{"type":["object","integer"],"properties":{"@id":{"type":"boolean"},"#text":{"type":"number"}}}}}},"a":{"$ref":"#"}}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		root, err := parseXML(t.Context(), body)
		if err != nil {
			var ill *syntaxError
			if !errors.As(err, &ill) || ill.message == "" {
				t.Fatalf("error %v", err)
			}
			if wellformed.XML(t.Context(), body) == nil && !strings.Contains(ill.message, "tokens") {
				t.Fatalf("%v, but the document is well-formed", err)
			}
			return
		}
		dec := wellformed.NewDecoder(t.Context(), bytes.NewReader(body))
		depth, roots := 0, 0
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("accepted, but encoding/xml reports %v", err)
			}
			switch token := token.(type) {
			case xml.Directive:
				t.Fatal("a declaration is accepted")
			case xml.CharData:
				if depth == 0 && strings.TrimSpace(string(token)) != "" {
					t.Fatal("text outside the root is accepted")
				}
			case xml.StartElement:
				if depth == 0 {
					roots++
				}
				if depth++; depth > maxDepth || len(token.Attr) > wellformed.MaxAttributes {
					t.Fatal("a document over the limits is accepted")
				}
			case xml.EndElement:
				depth--
			}
		}
		if roots != 1 {
			t.Fatalf("%d roots are accepted", roots)
		}
		value, err := json.Marshal(mapped(t, s, root))
		if err != nil || !json.Valid(value) {
			t.Fatalf("the document maps to %s (%v)", value, err)
		}
	})
}

// FuzzJSON checks that encoding/json accepts every document that parseJSON accepts and reads the
// same value.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e3,"x\u00e6",true,null,{}]}`, `{"a":1,"a":2}`, `[1}`, `1 2`, "\"\xff\"", `1e999`, `"\ud800"`, ` [] `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseJSON(t.Context(), body)
		if err != nil {
			return
		}
		if !utf8.Valid(body) {
			t.Fatal("accepted, but not UTF-8")
		}
		var want any
		dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("accepted, but encoding/json reports %v", err)
		}
		if a, b := canonical(got), canonical(want); a != b {
			t.Fatalf("parseJSON reads %s, encoding/json reads %s", a, b)
		}
	})
}

// TestRoundTrip checks that the mapping of generated XML is the original value.
func TestRoundTrip(t *testing.T) {
	names := rapid.StringMatching(`[a-zæøå][a-z0-9]{0,4}`)
	texts := rapid.StringOf(rapid.SampledFrom([]rune("ab <>&\"'æ\u00a0\U0001F600]\t")))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			if depth == 0 || rapid.Bool().Draw(t, "text") {
				return texts.Draw(t, "text")
			}
			members := map[string]any{}
			for range rapid.IntRange(1, 3).Draw(t, "members") {
				name := names.Draw(t, "name")
				if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
					members["@"+name] = texts.Draw(t, "attribute")
					continue
				}
				member := value(depth-1).Draw(t, "member")
				if n := rapid.IntRange(1, 3).Draw(t, "times"); n > 1 {
					items := []any{member}
					for range n - 1 {
						items = append(items, value(depth-1).Draw(t, "item"))
					}
					members[name] = items
					continue
				}
				members[name] = member
			}
			return members
		})
	}
	s := mustCompile(t, `{}`)
	rapid.Check(t, func(r *rapid.T) {
		want := value(4).Draw(r, "value")
		body := toXML("melding", want)
		root, err := parseXML(t.Context(), []byte(body))
		if err != nil {
			r.Fatalf("%s: %v", body, err)
		}
		if got := mapped(t, s, root); canonical(got) != canonical(want) {
			r.Fatalf("%s is read as\n%s, want\n%s", body, canonical(got), canonical(want))
		}
	})
}

// toXML returns a value as an XML element.
func toXML(name string, v any) string {
	escape := func(s string) string {
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
		return b.String()
	}
	switch v := v.(type) {
	case []any:
		var b strings.Builder
		for _, item := range v {
			b.WriteString(toXML(name, item))
		}
		return b.String()
	case map[string]any:
		var attributes, children strings.Builder
		for _, member := range sortedKeys(v) {
			if attribute, ok := strings.CutPrefix(member, "@"); ok {
				fmt.Fprintf(&attributes, ` %s="%s"`, attribute, escape(v[member].(string)))
			} else {
				children.WriteString(toXML(member, v[member]))
			}
		}
		return fmt.Sprintf("<%s%s>%s</%s>", name, &attributes, &children, name)
	}
	return fmt.Sprintf("<%s>%s</%s>", name, escape(v.(string)), name)
}

func canonical(v any) string { return string(appendCanonical(nil, v, func(int) {})) }
