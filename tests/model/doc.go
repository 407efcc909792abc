// Package model is the API as a plain program: the expected response to each request, derived from
// the contract alone. It keeps everything in memory, uses neither HTTP, AWS nor the code of the
// API, and can be read alongside functions/README.md.
//
// Its tests send random requests of many callers to the real binaries and apply them to the model.
// They compare status, code, complete documents, versions, links, pages and the feed.
//
// The model cannot know an id or the time of a change. It learns them from the response (Seen) and
// compares every later response with them. If a request is wrong in several ways, the contract does
// not state which of them the response reports, so the model returns a set of rejections. The order
// is fixed only for the token, then its scopes, then the existence of the object.
package model
