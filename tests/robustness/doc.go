// Package robustness sends malformed, oversized and hostile requests over HTTP to every route of
// the deployed binaries: bodies, forms, documents, queries, paths and header fields. Every response
// must come soon. It must be a 4xx with a code and no effect, unless the input was valid. No
// function may use more memory than it has in Lambda.
package robustness
