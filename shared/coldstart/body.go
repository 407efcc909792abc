package coldstart

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// PlainBodies returns a client that sends request bodies without their method WriteTo. Every client
// of an AWS service needs it, in tests as well.
//
// The SDK closes the body of a request as soon as the client returns. Read of a closed body returns
// io.EOF, which is correct, but WriteTo returns io.EOF as well, which is an error of WriteTo.
// net/http reads the body once more after the last byte, with WriteTo if the body has it. If the
// response arrives before that read, net/http sees a failed request: it closes the connection, and
// the response is lost. The SDK then retries a write that DynamoDB has applied.
func PlainBodies(client aws.HTTPClient) aws.HTTPClient { return plainBodies{client} }

type plainBodies struct{ client aws.HTTPClient }

// Do sends the request.
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		sent := *r // a copy, so that the caller's request does not change
		sent.Body = struct{ io.ReadCloser }{r.Body}
		r = &sent
	}
	return c.client.Do(r)
}
