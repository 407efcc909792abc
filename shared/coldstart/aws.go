package coldstart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"

	"altinn.no/instanceapi/shared/busy"
)

// Bounds of one HTTP attempt. The SDK's defaults, 30 s to connect and no limit for the response,
// exceed the time of a whole request. A lost packet should cost only a retry.
const (
	dialTimeout           = time.Second
	tlsHandshakeTimeout   = 2 * time.Second
	responseHeaderTimeout = 5 * time.Second // counted from the end of the upload
)

// localRegion is the region of an emulator if AWS_REGION is not set.
const localRegion = "us-east-1"

// amazonRoots are the root certificates of AWS's endpoints, in PEM.
//
//go:embed amazon-roots.pem
var amazonRoots []byte

// UsesEmulator reports whether the process uses an emulator of AWS. It does if AWS_ENDPOINT_URL,
// AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_EVENTBRIDGE or
// AWS_ENDPOINT_URL_SECRETSMANAGER is set.
func (e *Env) UsesEmulator() bool {
	for _, service := range []string{"", "_DYNAMODB", "_S3", "_EVENTBRIDGE", "_SECRETSMANAGER"} {
		if e.Optional("AWS_ENDPOINT_URL"+service, "") != "" {
			return true
		}
	}
	return false
}

// AWS returns the configuration for the clients of one service: DYNAMODB, S3, EVENTBRIDGE or
// SECRETSMANAGER, which is the suffix of the service's endpoint variable. Package busy bounds the
// retries and provides the error for a busy service.
//
// Region and credentials are those that Lambda sets: AWS_REGION, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. The first three are required for AWS itself. For an
// emulator, at AWS_ENDPOINT_URL_<service> or else AWS_ENDPOINT_URL, they default to constants.
//
// All services share one HTTP client. It trusts only the roots of AWS. Parsing the system's bundle
// of some 140 roots would be most of the CPU time of a function's first call. If AWS_CA_BUNDLE
// names a file of PEM certificates, the client trusts those instead. The client for an emulator
// trusts AWS_CA_BUNDLE if set, else the system's roots.
func (e *Env) AWS(service string) aws.Config {
	endpoint := e.endpoint(service)
	policy := busy.NewPolicy()
	cfg := aws.Config{
		HTTPClient: e.httpClient(endpoint != ""),
		Retryer:    policy.Retryer,
		APIOptions: []func(*middleware.Stack) error{policy.Install},
		// The SDK's config package sets both by default; an aws.Config literal does not. With these
		// settings, the client sends S3 a checksum of every body and verifies the checksums that S3
		// returns.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
		cfg.Region = e.Optional("AWS_REGION", localRegion)
	} else {
		cfg.Region = e.String("AWS_REGION")
	}
	cfg.Credentials = e.credentials(endpoint != "")
	return cfg
}

// endpoint returns the URL of the service's emulator, or "" for AWS itself.
func (e *Env) endpoint(service string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_" + service, "AWS_ENDPOINT_URL"} {
		v := e.Optional(name, "")
		if v == "" {
			continue
		}
		if u, err := url.Parse(v); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			e.Invalid(name, "must be an http or https URL")
		}
		return v
	}
	return ""
}

// credentials returns the credentials of the process. For an emulator without credentials it
// returns constants, because an emulator requires a signature but does not verify it.
func (e *Env) credentials(emulator bool) aws.CredentialsProvider {
	const id, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
	c := aws.Credentials{Source: "environment"}
	if emulator && e.Optional(id, "") == "" && e.Optional(secret, "") == "" {
		c.AccessKeyID, c.SecretAccessKey = "local", "local"
	} else {
		c.AccessKeyID, c.SecretAccessKey = e.String(id), e.String(secret)
		c.SessionToken = e.Optional("AWS_SESSION_TOKEN", "")
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
}

// httpClient returns the process's shared client for AWS, or for emulators.
func (e *Env) httpClient(emulator bool) aws.HTTPClient {
	key := "coldstart/http"
	if emulator {
		key = "coldstart/http/emulator"
	}
	return e.Shared(key, func() any {
		client := PlainBodies(e.newHTTPClient(emulator))
		if emulator {
			client = &recyclingClient{client: client}
		}
		return client
	}).(aws.HTTPClient)
}

func (e *Env) newHTTPClient(emulator bool) aws.HTTPClient {
	roots := e.roots(emulator)
	// Without Freeze, each service client would copy the client and its connection pool.
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { configure(t, roots) }).
		Freeze()
}

func configure(t *http.Transport, roots *x509.CertPool) {
	t.TLSHandshakeTimeout = tlsHandshakeTimeout
	t.ResponseHeaderTimeout = responseHeaderTimeout
	t.TLSClientConfig.MinVersion = tls.VersionTLS12
	t.TLSClientConfig.RootCAs = roots
}

// roots returns the trusted root certificates; nil means the system's.
func (e *Env) roots(emulator bool) *x509.CertPool {
	pool := x509.NewCertPool()
	if file := e.Optional("AWS_CA_BUNDLE", ""); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			e.Invalid("AWS_CA_BUNDLE", "must name a file of PEM certificates")
		}
		return pool
	}
	if emulator {
		return nil
	}
	pool.AppendCertsFromPEM(amazonRoots)
	return pool
}

// recyclingClient closes the connection of every 50th request. Some emulators of AWS close a
// connection after a fixed number of requests (1,000 in one of them), in the middle of a response.
// The SDK then retries a conditional write that was already applied, and reports a false conflict.
type recyclingClient struct {
	client   aws.HTTPClient
	requests atomic.Uint64
}

// requestsPerConnection is a mean, because a request uses any of the idle connections.
const requestsPerConnection = 50

// Do sends the request.
func (c *recyclingClient) Do(r *http.Request) (*http.Response, error) {
	if c.requests.Add(1)%requestsPerConnection == 0 {
		r = r.WithContext(r.Context()) // a shallow copy, so that the caller's request does not change
		r.Close = true
	}
	return c.client.Do(r)
}
