// Package authz tests who is let in, over HTTP against the real binaries: every route of template.yaml, for every kind of
// caller, at every kind of object. What the answers have to be stands in rules_test.go, to be read beside what the README says
// of tokens; nothing of it is taken from the code. It also tests what every answer says in its header, and how the functions
// get along with an issuer of tokens that renews its keys, hangs, breaks down or talks nonsense.
package authz
