package blobbucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The SHA-256 of "hello", as S3 writes it and in hex.
const (
	helloChecksum = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
	helloHex      = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
)

// replies is an HTTP transport that returns the responses in next, one per request, and records the
// requests.
type replies struct {
	mu       sync.Mutex
	next     []func() (*http.Response, error)
	requests []*http.Request
	bodies   []string
}

func (r *replies) Do(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	r.requests, r.bodies = append(r.requests, req), append(r.bodies, body)
	if len(r.next) == 0 {
		return nil, errors.New("one request too many: " + req.Method)
	}
	reply := r.next[0]
	r.next = r.next[1:]
	return reply()
}

func (r *replies) methods() (methods []string) {
	for _, req := range r.requests {
		methods = append(methods, req.Method)
	}
	return methods
}

func reply(status int, body string, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

func s3Error(status int, code string) func() (*http.Response, error) {
	return reply(status, "<Error><Code>"+code+"</Code><Message>m</Message></Error>", "Content-Type", "application/xml")
}

func lost() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

var testCredentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
})

const revision = "01a22d61-0e1c-7af9-96be-e9268d05622f"

func storeOn(r *replies) *Bucket {
	return New(s3.New(s3.Options{
		Region: "eu-north-1", HTTPClient: r, Credentials: testCredentials,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}), "blobs")
}

func TestPutRequest(t *testing.T) {
	r := &replies{next: []func() (*http.Response, error){reply(200, "")}}
	key := blob.KeyOf("nav/app", "50001", "i", revision)
	info, err := storeOn(r).Put(t.Context(), key, "text/xml; charset=utf-8", "", []byte("hello"))
	if err != nil || info != (blob.Info{Size: 5, SHA256: helloHex}) {
		t.Fatalf("info %+v, error %v", info, err)
	}
	req := r.requests[0]
	if got := req.Method + " " + req.URL.Scheme + "://" + req.URL.Host + req.URL.Path; got != "PUT https://blobs.s3.eu-north-1.amazonaws.com/2026-11-30/f/nav/app/50001/i/"+revision {
		t.Error(got)
	}
	for name, want := range map[string]string{
		"If-None-Match": "*", "X-Amz-Checksum-Sha256": helloChecksum, "Content-Type": "text/xml; charset=utf-8",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if !strings.Contains(req.Header.Get("Authorization"), strings.ToLower(name)) {
			t.Errorf("%s is not signed", name)
		}
	}
	if req.ContentLength != 5 || r.bodies[0] != "hello" {
		t.Errorf("Content-Length %d, body %q", req.ContentLength, r.bodies[0])
	}
}

var errAny = errors.New("any error but ErrExists")

func TestPutAfterLostResponse(t *testing.T) {
	for _, test := range []struct {
		name    string
		next    []func() (*http.Response, error)
		methods string
		want    error // nil: success
	}{
		{"stored", []func() (*http.Response, error){lost, s3Error(412, "PreconditionFailed"),
			reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", helloChecksum)}, "PUT PUT HEAD", nil},
		{"not stored", []func() (*http.Response, error){lost, reply(200, "")}, "PUT PUT", nil},
		{"still being stored", []func() (*http.Response, error){lost, s3Error(409, "ConditionalRequestConflict"), s3Error(412, "PreconditionFailed"),
			reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", helloChecksum)}, "PUT PUT PUT HEAD", nil},
		{"412 without a body", []func() (*http.Response, error){lost, reply(412, ""),
			reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", helloChecksum)}, "PUT PUT HEAD", nil},
		{"other content", []func() (*http.Response, error){s3Error(412, "PreconditionFailed"),
			reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", "AAAA")}, "PUT HEAD", blob.ErrExists},
		{"no checksum to compare", []func() (*http.Response, error){s3Error(412, "PreconditionFailed"), reply(200, "", "Content-Length", "5")}, "PUT HEAD", blob.ErrExists},
		{"not allowed to compare", []func() (*http.Response, error){s3Error(412, "PreconditionFailed"), reply(403, "")}, "PUT HEAD", errAny},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &replies{next: test.next}
				info, err := storeOn(r).Put(t.Context(), blob.NewKey("nav/app", "50001", "i"), "text/plain", "", []byte("hello"))
				right := errors.Is(err, test.want)
				if test.want == errAny {
					right = err != nil && !errors.Is(err, blob.ErrExists)
				}
				if !right || err == nil && info.SHA256 != helloHex {
					t.Errorf("info %+v, error %v, want %v", info, err, test.want)
				}
				if got := strings.Join(r.methods(), " "); got != test.methods {
					t.Errorf("requests %s, want %s", got, test.methods)
				}
				if !slices.Equal(r.bodies[:1], []string{"hello"}) || r.requests[len(r.requests)-1].Method == "PUT" && r.bodies[len(r.bodies)-1] != "hello" {
					t.Errorf("bodies %q", r.bodies)
				}
			})
		})
	}
}

func TestGetVerifiesChecksum(t *testing.T) {
	for _, test := range []struct {
		name string
		rng  *blob.Range
		body string
		ok   bool
	}{
		{"intact", nil, "hello", true},
		{"corrupted", nil, "jello", false},
		{"range, with the checksum of the object", &blob.Range{First: 1, Last: 2}, "el", true},
	} {
		r := &replies{next: []func() (*http.Response, error){reply(200, test.body, "X-Amz-Checksum-Sha256", helloChecksum)}}
		object, err := storeOn(r).Get(t.Context(), blob.NewKey("nav/app", "50001", "i"), test.rng)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(object.Body); (err == nil) != test.ok {
			t.Errorf("%s: reading: error %v", test.name, err)
		}
		if test.rng != nil && r.requests[0].Header.Get("Range") != "bytes=1-2" {
			t.Errorf("Range: %s", r.requests[0].Header.Get("Range"))
		}
	}
}

func TestMissingKeyAndOtherErrors(t *testing.T) {
	for _, test := range []struct {
		reply             func() (*http.Response, error)
		notFound, deletes bool
	}{
		{s3Error(404, "NoSuchKey"), true, true},
		{s3Error(404, "NoSuchBucket"), false, false},
		{s3Error(403, "AccessDenied"), true, false}, // of GET: the response for a missing key if the role may not list the bucket
		{s3Error(403, "SignatureDoesNotMatch"), false, false},
		{s3Error(403, "InvalidAccessKeyId"), false, false},
	} {
		r := &replies{next: []func() (*http.Response, error){test.reply, test.reply}}
		_, err := storeOn(r).Get(t.Context(), blob.NewKey("nav/app", "50001", "i"), nil)
		if err == nil || errors.Is(err, blob.ErrNotFound) != test.notFound {
			t.Errorf("Get: error %v, not found: %v", err, test.notFound)
		}
		if err := storeOn(r).Delete(t.Context(), blob.NewKey("nav/app", "50001", "i")); (err == nil) != test.deletes {
			t.Errorf("Delete: error %v", err)
		}
	}
}

func TestOpenReportsMissingVariable(t *testing.T) {
	env := coldstart.FromMap(map[string]string{"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})
	Open(env)
	if err := env.Err(); err == nil || !strings.Contains(err.Error(), "BLOBS_BUCKET") {
		t.Errorf("error %v does not name BLOBS_BUCKET", err)
	}
}

// Any response of S3 means that the connection is open. A failed connection is an error, for the
// log.
func TestWarmUp(t *testing.T) {
	for _, test := range []struct {
		reply func() (*http.Response, error)
		ok    bool
	}{{reply(404, ""), true}, {reply(403, ""), true}, {reply(503, ""), true}, {lost, false}} {
		r := &replies{next: []func() (*http.Response, error){test.reply}}
		if err := storeOn(r).warm(t.Context()); (err == nil) != test.ok {
			t.Errorf("error %v, want none: %v", err, test.ok)
		}
		if len(r.requests) != 1 || r.requests[0].URL.Host != "blobs.s3.eu-north-1.amazonaws.com" {
			t.Errorf("%d requests, the first to %s", len(r.requests), r.requests[0].URL.Host)
		}
	}
}

func TestInlineLimitFitsLambda(t *testing.T) {
	const lambda = 6 << 20
	if encoded := (blob.InlineLimit + 2) / 3 * 4; encoded > lambda-256<<10 {
		t.Errorf("%d bytes of base64 leave too little of %d for headers and context", encoded, lambda)
	}
}
