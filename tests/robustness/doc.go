// Package robustness sends what nobody should send, over HTTP, to every route of the functions as they ship: bodies, forms,
// documents, queries, paths and header fields. Whatever it is, the answer comes soon, is the caller's to mend, 4xx with a code,
// and changes nothing, or the input was fine after all; and no function has needed more memory than it has.
package robustness
