// Package leaks sends unique identity numbers, tokens and presigned queries to every endpoint, in
// every location of a request that can contain text. It then searches for each of these markers
// where it must not be: log lines, events, items of tables, keys of objects, addresses in
// responses, and problems.
//
// Each marker is sent once, so a finding names the request that leaked it and the location of the
// marker in it. The text of some locations is the client's own, such as a label or a file name. The
// API stores and returns it unchanged, but it must not appear anywhere else.
package leaks
