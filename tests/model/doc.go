// Package model is the API as a plain program: what each request should be answered, told from the contract alone. It keeps
// everything in memory, has no HTTP, no AWS and nothing of the product's code, and is meant to be read beside the README.
//
// Its tests send random requests of many callers to the real binaries, ask the model the same, and compare: status, code,
// every document whole, versions, links, pages, the feed.
//
// What the model cannot know, an id or the time of a change, it takes from the answer (Seen), and holds every later
// answer to it. Where a request is wrong in more than one way the contract does not say which one is told, so a refusal is a set:
// only the token comes first, then what it lacks, then whether the object is there.
package model
