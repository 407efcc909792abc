// Package permissions compares what template.yaml grants to each function with the calls that the
// function makes. Its test runs the real binaries, each behind a proxy that records its calls to
// AWS. The requests reach everything that the functions can do, including lost responses and
// lost races. An unused permission fails the test, and so does a call that AWS would reject.
//
// Package structure compares the template with the calls that the code can reach, without running
// it.
package permissions
