// Package runtime runs the real binaries of the functions on this machine, behind the Lambda
// Runtime API and an HTTP front that behaves like API Gateway's HTTP APIs. Its servers have exact
// semantics: DynamoDB Local, and an S3 server that verifies signatures and checksums. Routes,
// environments and tables are those of template.yaml.
//
// Use it for tests with thousands of requests, and for measurements: a response takes a few
// milliseconds. It has no bus, queues, streams or schedules; Deliver replaces them, one event at
// a time, and Scan replaces the malware scan. Package stack runs the whole system as deployed.
package runtime
