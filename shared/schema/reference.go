package schema

import (
	"encoding/json/jsontext"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// resource is a part of the schema with its own $id, or the whole schema. References in the part
// resolve against its URI.
type resource struct {
	base  *url.URL
	draft draft
}

// outside encloses the root. Its URI is that of a schema without $id; no document exists there.
func outside() *resource {
	return &resource{&url.URL{Scheme: "https", Host: "schema.invalid", Path: "/schema"}, draft2020}
}

// resourceOf returns the resource of the subschema at a pointer: a new one if the subschema has an
// $id, and otherwise the one around it. It adds the locations of the subschema.
func (c *compiler) resourceOf(members map[string]any, at string, in *resource) *resource {
	d := in.draft
	if uri, ok := members["$schema"].(string); ok {
		_, name, _ := strings.Cut(strings.TrimSuffix(uri, "#"), "://json-schema.org/")
		if d = drafts[name]; d == 0 {
			c.issue(at+"/$schema", "is not a known draft; omit it for https://json-schema.org/draft/2020-12/schema, or use 2020-12, 2019-09, draft-07, -06 or -04")
			d = draft2020
		}
	}
	id, _ := members["$id"].(string)
	if d == draft4 {
		id, _ = members["id"].(string)
	}
	if _, ok := members["$ref"]; ok && d < draft2019 {
		id = ""
	}
	uri, fragment, _ := strings.Cut(id, "#")
	if uri != "" || at == "" {
		base, err := in.base.Parse(uri)
		if err != nil {
			c.issue(at, "has an $id that is not a URI")
			return in
		}
		in = &resource{base, d}
		c.locate(base.String(), at)
	}
	anchors := []any{members["$anchor"], members["$dynamicAnchor"]}
	if in.draft < draft2019 {
		name, _ := url.PathUnescape(fragment)
		anchors = []any{name}
	}
	for _, anchor := range anchors {
		if name, _ := anchor.(string); name != "" && name[0] != '/' {
			c.locate(in.base.String()+"#"+name, at)
		}
	}
	return in
}

// locate adds the location of a URI.
func (c *compiler) locate(uri, at string) {
	if other, twice := c.locations[uri]; twice && other != at {
		c.issue(at, "has the same $id or $anchor as another part of the schema")
	}
	c.locations[uri] = at
}

// resolve replaces the reference of s with its target. It adds an issue if there is none.
func (c *compiler) resolve(s *subschema) {
	n := slices.IndexFunc(s.keywords, func(k keyword) bool { return k.name == "$ref" })
	if n < 0 {
		return
	}
	reference, fragment, _ := strings.Cut(s.keywords[n].arg.(string), "#")
	base, err := s.in.base.Parse(reference)
	if err != nil {
		base = &url.URL{}
	}
	at, ok := c.locations[base.String()]
	if !ok {
		c.issue(s.at+"/$ref", "refers to another document; only references within the schema, such as #/$defs/name, are allowed")
		return
	}
	fragment, err = url.PathUnescape(fragment)
	if at += fragment; fragment != "" && fragment[0] != '/' {
		at, ok = c.locations[base.String()+"#"+fragment]
	}
	v, in, found := c.lookup(at)
	switch {
	case !ok || !found || err != nil:
		c.issue(s.at+"/$ref", "refers to a location that does not exist in the schema")
	case kindOf(v)&(object|boolean) == 0:
		c.issue(s.at+"/$ref", "refers to a value that is not a schema")
	default:
		target := c.subschema(v, at, in)
		s.keywords[n].parts = []*subschema{target}
		s.inPlace = append(s.inPlace, target)
	}
}

// lookup returns the value at a pointer, and the resource around it.
func (c *compiler) lookup(at string) (v any, in *resource, found bool) {
	v, in = c.doc, c.subschemas[""].in
	path := ""
	for name := range jsontext.Pointer(at).Tokens() {
		members, _ := v.(map[string]any)
		items, _ := v.([]any)
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(items) {
			v = items[n]
		} else if v, found = members[name]; !found {
			return nil, nil, false
		}
		path += "/" + escaper.Replace(name)
		if s := c.subschemas[path]; s != nil {
			in = s.in
		}
	}
	return v, in, true
}
