// Package schema provides the validation of a data element's bytes: whether they are well-formed JSON or XML, and
// whether they are what a JSON Schema says. It reads no file and no address: a schema is the one document that it is
// given. It never repeats a value of the data in an issue.
//
// # Schemas
//
// Drafts 4, 6, 7, 2019-09 and 2020-12, 2020-12 when "$schema" does not say. Formats are asserted; one that is not known
// is ignored, as the specification asks. Patterns are RE2 syntax: no look-around, no back-references. $ref stays inside
// the document; $dynamicRef and $recursiveRef are refused.
//
// What a schema costs is bounded when it is registered (Compile: its size, the number of its parts, the size of its
// patterns, how many parts look at one value) and what data costs under it when it is validated (steps, see evaluation),
// because a schema of a hundred bytes can multiply with every level of the data.
//
// # XML
//
// XML is validated as the JSON value that it stands for under the schema; element and attribute names are looked up
// among the schema's properties. Names are local: a namespace prefix and its address say nothing.
//
//   - The root element is the value that the schema describes. Its name counts only when the schema has, at its top,
//     "xml": {"name": "melding"}.
//   - An attribute is the property "@name". Declarations of namespaces, and attributes of the namespace
//     http://www.w3.org/2001/XMLSchema-instance, are none; xsi:nil="true" makes the element null.
//   - An element that occurs once is a property with its value. It is an array of one where the schema allows nothing
//     but an array. One that is repeated is an array, in the order of the document, wherever the schema allows one or
//     not: if not, that is the violation. The order of elements with different names is not looked at.
//   - An element with attributes or child elements is an object, and so is one where the schema allows no simple value.
//     Its own text, when it has any but white space, is the property "#text"; of mixed content all text in one.
//   - Any other element is its text, and becomes the first of boolean (true, false, and where no number is allowed 1,
//     0), integer, number and string that the schema allows and the text can be; white space around anything but a
//     string is ignored. Text that cannot be any of them stays a string, which is then the violation.
//   - An element without text is "", and null where the schema allows null and no string.
//
// A pointer in an issue leads into that value: /linjer/linje/3/@id.
package schema
