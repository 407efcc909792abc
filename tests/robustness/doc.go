// Package robustness sends malformed, oversized and hostile requests over HTTP to every route of
// the deployed binaries: bodies, forms, documents, queries, paths and header fields. Every response
// must arrive within ten seconds. Unless the input was valid, it must be a 4xx with a code, and the
// request must have no effect. No
// function may use more memory than it has in Lambda.
package robustness
