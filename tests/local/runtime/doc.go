// Package runtime runs the real binaries of the functions on this machine, behind the Lambda Runtime API and an HTTP front that
// behaves as API Gateway's HTTP APIs do, on servers whose semantics are exact: DynamoDB Local, and an S3 server that
// checks signatures and checksums. Routes, environments and tables are those of template.yaml.
//
// It is for tests that ask thousands of requests, and for measurements: an answer costs a few milliseconds. It has no bus, queues,
// streams or schedules of its own; Deliver plays their part, one event at a time. The whole system, deployed as it ships, is
// package stack.
package runtime
