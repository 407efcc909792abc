package instancequery

// ResponseSize is responseSize for tests that need the HTTP side of instances, which imports this
// package.
var ResponseSize = responseSize
