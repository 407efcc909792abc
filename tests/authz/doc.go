// Package authz tests authorization over HTTP against the real binaries: every route of
// template.yaml, by every kind of caller, for every kind of object. The expected responses are in
// rules_test.go, which repeats what functions/README.md says about tokens; they are not derived
// from the code. The package also tests the header fields of every response. Its key tests cover an
// issuer that renews its keys, hangs, fails or returns invalid key sets.
package authz
