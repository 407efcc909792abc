// Package leaks sends marked identity numbers, tokens and presigned queries through every endpoint, in every place of a
// request that can hold text, and then looks for each mark where it must not be: in log lines, events, items of tables, keys of
// objects, addresses that are handed out, and whatever refuses a request.
//
// A mark is sent once, so what is found says which request leaked it, and where in it the mark was. Some places are the
// client's own text, such as a label or a file name: those are stored and shown as they are, and are held to everything else.
//
// It has no production code.
package leaks
