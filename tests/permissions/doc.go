// Package permissions holds what the functions are granted in template.yaml against what they call. Its test runs the real
// binaries with a proxy between each of them and its AWS, sends requests that make them do all that they can do, lost answers
// and lost races included, and compares: a permission that is never used fails, and so does a call that AWS would refuse.
//
// It has no production code. That the template's statements name what the code can reach, read without running it, is
// package structure's.
package permissions
