package xsd

import (
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
)

// Limits of a schema after its groups and base types are expanded.
const (
	maxParticles    = 2000   // of a type
	maxAllParticles = 20_000 // of all types together
	maxDerivations  = 64     // between a type and its first base type
)

// The kinds of components that a name can refer to.
const (
	kindType           = "type"
	kindElement        = "element"
	kindAttribute      = "attribute"
	kindGroup          = "group"
	kindAttributeGroup = "attributeGroup"
	kindKey            = "key"
)

// component identifies a global component.
type component struct {
	kind string
	name name
}

// unit is a document with the namespace of its components. A document without targetNamespace has
// the namespace of the document that includes it.
type unit struct {
	root      *node
	namespace string
}

// checker checks the documents of a schema.
type checker struct {
	documents  map[string]*node // root nodes by name
	units      []unit           // reachable from the root document, which is first
	components map[component][]*definition
	missing    map[string]bool // locations that the library must not read: the namespace xml is built in
	unlocated  []*node         // roots of documents that an import without location refers to
	issues     []fault.Issue
	particles  int
}

// definition is a global component.
type definition struct {
	node      *node
	namespace string // of its unit
	state     int    // of the particle count: 0, counting or counted
	particles int
	depth     int // derivations
}

const (
	counting = 1 + iota
	counted
)

// check finds the units of the schema and checks their references and the bounds.
func (c *checker) check(root *node) {
	c.components, c.missing = map[component][]*definition{}, map[string]bool{}
	c.addUnit(unit{root, root.attributes["targetNamespace"]})
	for n := 0; n < len(c.units) && len(c.issues) == 0; n++ {
		c.follow(c.units[n])
	}
	if len(c.issues) > 0 {
		return
	}
	for _, u := range c.units {
		c.define(u)
	}
	for _, u := range c.units {
		walk(u.root, func(n *node) { c.references(n, u.namespace) })
	}
	if len(c.issues) > 0 {
		return
	}
	for _, u := range c.units {
		walk(u.root, func(n *node) { c.bounds(n, u.namespace) })
	}
}

func (c *checker) report(i fault.Issue) {
	if len(c.issues) <= schema.MaxIssues {
		c.issues = append(c.issues, i)
	}
}

func (c *checker) addUnit(u unit) {
	if !slices.Contains(c.units, u) {
		c.units = append(c.units, u)
	}
}

// follow adds the units that u includes and imports.
func (c *checker) follow(u unit) {
	for _, n := range u.root.children {
		location, located := n.attributes["schemaLocation"]
		namespace := n.attributes["namespace"]
		if n.kind == "redefine" {
			c.report(n.issue("uses redefine, which is not supported; define the type under another name"))
			continue
		}
		if n.kind != "include" && n.kind != "import" {
			continue
		}
		if n.kind == "import" && namespace == xmlNamespace {
			c.missing[location] = true
			continue
		}
		var other *node
		switch {
		case location != "":
			other = c.documents[strings.TrimPrefix(location, "./")]
		case !located && n.kind == "import": // any document of the namespace
			for _, root := range c.documents {
				if root.attributes["targetNamespace"] == namespace {
					other = root
				}
			}
			c.unlocated = append(c.unlocated, other)
		}
		switch {
		case other == nil && !located:
			c.report(n.issue("imports the namespace %q, which no document has as its targetNamespace; add that document to xsd", truncate(namespace)))
		case other == nil:
			c.report(n.issue("refers to %q, which is no document of the schema; add it to xsd under this name", truncate(location)))
		case n.kind == "import":
			c.addUnit(unit{other, other.attributes["targetNamespace"]})
		default:
			c.addUnit(unit{other, u.namespace})
		}
	}
}

// define adds the global components of u.
func (c *checker) define(u unit) {
	kinds := map[string]string{
		"simpleType": kindType, "complexType": kindType, "element": kindElement, "attribute": kindAttribute,
		"group": kindGroup, "attributeGroup": kindAttributeGroup,
	}
	add := func(kind string, n *node) {
		key := component{kind, name{u.namespace, n.attributes["name"]}}
		c.components[key] = append(c.components[key], &definition{node: n, namespace: u.namespace})
	}
	for _, n := range u.root.children {
		if kind := kinds[n.kind]; kind != "" {
			add(kind, n)
		}
	}
	walk(u.root, func(n *node) {
		if n.kind == "key" || n.kind == "unique" {
			add(kindKey, n)
		}
	})
}

func walk(n *node, visit func(*node)) {
	visit(n)
	for _, child := range n.children {
		walk(child, visit)
	}
}

// reference is an attribute that refers to a component.
type reference struct{ attribute, kind string }

// referencesOf returns the attributes of n that refer to components.
func referencesOf(n *node) []reference {
	switch n.kind {
	case "element":
		return []reference{{"type", kindType}, {"ref", kindElement}, {"substitutionGroup", kindElement}}
	case "attribute":
		return []reference{{"type", kindType}, {"ref", kindAttribute}}
	case "restriction", "extension":
		return []reference{{"base", kindType}}
	case "list":
		return []reference{{"itemType", kindType}}
	case "union":
		return []reference{{"memberTypes", kindType}}
	case "group":
		return []reference{{"ref", kindGroup}}
	case "attributeGroup":
		return []reference{{"ref", kindAttributeGroup}}
	case "keyref":
		return []reference{{"refer", kindKey}}
	}
	return nil
}

// references reports the names in n that refer to nothing.
func (c *checker) references(n *node, namespace string) {
	for _, r := range referencesOf(n) {
		value, given := n.attributes[r.attribute]
		if !given {
			continue
		}
		names := []string{value}
		if r.attribute == "memberTypes" {
			names = strings.Fields(value)
		}
		for _, text := range names {
			if !c.exists(n, r.kind, text, namespace) {
				c.report(n.issue("refers to the %s %q, which is not defined", r.kind, truncate(text)))
			}
		}
	}
}

func (c *checker) exists(n *node, kind, text, namespace string) bool {
	full, ok := n.resolve(text, namespace)
	switch {
	case !ok:
		return false
	case full.namespace == xsNamespace && kind == kindType && isBuiltinType(full.local):
		return true
	case full.namespace == xmlNamespace && kind == kindAttribute:
		return slices.Contains([]string{"base", "id", "lang", "space"}, full.local)
	}
	return len(c.components[component{kind, full}]) > 0
}

// resolve returns the name that a QName in n refers to, in a unit with the given namespace. ok is
// false if its prefix is not declared.
func (n *node) resolve(qName, namespace string) (full name, ok bool) {
	prefix, local, qualified := strings.Cut(qName, ":")
	if !qualified {
		prefix, local = "", qName
	}
	if prefix == "xml" {
		return name{xmlNamespace, local}, true
	}
	space, ok := n.prefixes.find(prefix)
	if space == "" && n.schemaRoot().attributes["targetNamespace"] == "" {
		space = namespace // an included document without targetNamespace
	}
	return name{space, local}, ok
}

func (n *node) schemaRoot() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// bounds reports a type that has too many particles or derivations.
func (c *checker) bounds(n *node, namespace string) {
	global := n.parent != nil && n.parent.parent == nil
	if n.kind != "complexType" && n.kind != "simpleType" && (n.kind != "group" || !global) {
		return
	}
	particles, depth := c.count(n, namespace)
	before := c.particles
	c.particles += particles
	switch {
	case particles > maxParticles:
		c.report(n.issue("has a type or group with more than %d elements, its groups and base types included", maxParticles))
	case depth > maxDerivations:
		c.report(n.issue("has a type with more than %d base types above each other", maxDerivations))
	case before <= maxAllParticles && c.particles > maxAllParticles:
		c.report(n.issue("has more than %d elements in all types together, their groups and base types included", maxAllParticles))
	}
}

// count returns the particles of n and its descendants without inner types, with those of the
// groups and base types that they refer to, and the number of derivations. Both have a ceiling,
// so the result of a cycle, which the library rejects, is finite.
func (c *checker) count(n *node, namespace string) (particles, depth int) {
	refer := func(kind, attribute string) {
		text, given := n.attributes[attribute]
		if !given {
			return
		}
		full, _ := n.resolve(text, namespace)
		for _, d := range c.components[component{kind, full}] {
			switch d.state {
			case counting:
				continue
			case 0:
				d.state = counting
				d.particles, d.depth = c.count(d.node, d.namespace)
				d.state = counted
			}
			particles += d.particles
			depth = max(depth, d.depth)
		}
	}
	switch n.kind {
	case "element", "any":
		particles = 1
		return particles, 0 // an inner type is counted by itself
	case "group":
		refer(kindGroup, "ref")
	case "extension":
		refer(kindType, "base")
		depth++
	case "restriction": // repeats the particles of the base type
		refer(kindType, "base")
		particles = 0
		depth++
	}
	for _, child := range n.children {
		more, deeper := c.count(child, namespace)
		particles = min(particles+more, maxParticles+1)
		depth = max(depth, deeper)
	}
	return min(particles, maxParticles+1), min(depth, maxDerivations+1)
}

// builtinTypes are the names of the types in the namespace of XML Schema, each between spaces.
const builtinTypes = " anyType anySimpleType string boolean decimal float double duration dateTime time date gYearMonth gYear gMonthDay" +
	" gDay gMonth hexBinary base64Binary anyURI QName NOTATION normalizedString token language NMTOKEN NMTOKENS Name NCName ID IDREF" +
	" IDREFS ENTITY ENTITIES integer nonPositiveInteger negativeInteger long int short byte nonNegativeInteger unsignedLong" +
	" unsignedInt unsignedShort unsignedByte positiveInteger "

func isBuiltinType(local string) bool { return strings.Contains(builtinTypes, " "+local+" ") }
