// Package schema validates the content of a data element: whether the content is well-formed JSON
// or XML, and whether it is valid under a JSON Schema. The package reads no file and no URL: a
// schema is one document. An issue never repeats a value of the data.
//
// # Schemas
//
// The package supports the drafts 4, 6, 7, 2019-09 and 2020-12. The default is 2020-12 for a
// schema without "$schema". The package asserts formats and ignores unknown formats, as the
// specification requires. Patterns use RE2 syntax, without look-around and back-references, and
// the escape \uXXXX. A $ref must refer to the same document; $dynamicRef and $recursiveRef are
// errors. The keywords content… only annotate.
//
// # Bounds
//
// A schema of a hundred bytes can multiply the work with every level of the data. Compile
// therefore bounds the size of a schema, the number of its subschemas, the size of its patterns,
// and the number of subschemas that evaluate one value. Validate counts steps, which are
// proportional to the time and the memory that it uses. One function, check, starts the
// evaluation of every subschema and charges for it. A keyword charges in addition for work that
// grows with its argument.
//
// # XML
//
// Validate maps an XML document to a JSON value under the schema and validates that value. It
// looks up element and attribute names among the properties of the schema. Names are local: the
// mapping ignores namespace prefixes and namespaces.
//
//   - The root element is the value that the schema describes. Its name matters only if the
//     schema has "xml": {"name": "melding"} at the top level.
//   - An attribute is the property "@name". Namespace declarations and attributes of the
//     namespaces xml and http://www.w3.org/2001/XMLSchema-instance are not properties;
//     xsi:nil="true" makes the element null.
//   - An element that occurs once is a property with its value. It is an array with one item if
//     the schema allows only an array. A repeated element is an array in document order, even if
//     the schema does not allow an array; that is then the violation. The order of elements with
//     different names is ignored.
//   - An element with attributes or child elements is an object, and so is an element for which
//     the schema allows no simple value. Its own text, unless it is white space, is the property
//     "#text"; in mixed content "#text" is the concatenated text.
//   - Any other element is its text. The text becomes the first of boolean (true, false, and 1
//     and 0 if the schema allows no number), integer, number and string that the schema allows
//     and that the text represents. White space around anything but a string is ignored. Text
//     that represents none of them stays a string, which is then the violation.
//   - An element without text is "", and null if the schema allows null and no string.
//
// A pointer in an issue refers to that value: /linjer/linje/3/@id.
//
// # Altinn Studio
//
// A JSON Schema that Altinn Studio makes from an XSD has keywords that begin with @xsd. It is read
// as the value that Altinn Studio means:
//
//   - The root element is named by @xsdRootElement, or it is the only property at the top level. If
//     it is such a property, the document is an object with this property.
//   - A property with @xsdAttribute is the attribute of its own name, without @.
//   - A property with @xsdText is the text of the element, instead of #text.
//
// A schema with these keywords that names no root element is rejected.
//
// # Own evaluation
//
// The library for all drafts (github.com/santhosh-tekuri/jsonschema) compiles their meta-schemas
// when a process starts, which took 25 times the instructions of an empty function. It also has no
// bound on the work of a validation. Tests compare all verdicts with those of the library.
package schema
