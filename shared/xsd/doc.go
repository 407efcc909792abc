// Package xsd validates XML under an XML Schema (XSD 1.0). It reads no file and no URL: a schema is
// one document or several, and each include and import names one of them. An issue never repeats a
// value of the data.
//
// # Schemas
//
// Compile checks the documents before package github.com/jacoelho/xsd compiles them, because the
// library accepts a reference to a type that does not exist, ignores an include that it cannot
// read, and expands groups before it counts them: a schema of 3 KB can take 9 GB. The checks
// bound
//
//   - the bytes of the documents, their number, their elements and their nesting,
//   - the particles of a type, with the groups and the base types that it refers to,
//   - the derivations between a type and its first base type,
//   - the size of the patterns.
//
// A document must not have a DOCTYPE. Its XML declaration is ignored, because the text is a JSON
// string and its encoding is known. The constructs redefine and those of XSD 1.1 are not supported.
//
// In a pattern of XML Schema ^ and $ are ordinary characters, because a pattern always applies to
// the whole value. Many real schemas write them as anchors, as .NET reads them. Compile therefore
// removes one ^ at the start and one $ at the end of a pattern. The library does not support \i,
// \c, \p{Is...} and a class without another class. Its later versions do, but take 13 ms at every
// start of a process.
//
// # Documents
//
// Validate reads the document as a stream, so its memory does not grow with the document. It
// follows no schemaLocation. The root element must be the one that the registration names, or the
// only global element of the root schema, or one of them.
//
// # The version of the library
//
// The library is version 0.4.0, because later versions build the character sets of their patterns
// at the start of the process. A registration with a pattern that version 0.4.0 does not support is
// rejected. None of 271 schemas of Norwegian authorities has one.
package xsd
