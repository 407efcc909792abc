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
)

// Bounds of one HTTP attempt. The SDK's own are 30 s to connect and none for an answer, more than a whole request
// has here; a lost packet should cost a retry instead.
const (
	dialTimeout           = time.Second
	tlsHandshakeTimeout   = 2 * time.Second
	responseHeaderTimeout = 5 * time.Second // counted from the end of the upload
)

// localRegion is the region when AWS_REGION is not set and the endpoints are somebody else's.
const localRegion = "us-east-1"

//go:embed amazon-roots.pem
var amazonRoots []byte

// UsesEmulator reports whether any of AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_S3 and
// AWS_ENDPOINT_URL_EVENTBRIDGE is set, that is, whether this runs on a stand-in for AWS.
func (e *Env) UsesEmulator() bool {
	for _, service := range []string{"", "_DYNAMODB", "_S3", "_EVENTBRIDGE"} {
		if e.Optional("AWS_ENDPOINT_URL"+service, "") != "" {
			return true
		}
	}
	return false
}

// AWS returns the configuration for the clients of one service: DYNAMODB, S3 or EVENTBRIDGE, which is the suffix of
// its endpoint variable. Region and credentials are what Lambda sets: AWS_REGION, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, required unless the service has an endpoint of its own
// (AWS_ENDPOINT_URL_<service>, else AWS_ENDPOINT_URL), where constants take their place. Retries are the client's
// own default, standard mode.
//
// All services share one HTTP client. It trusts only the roots of AWS itself: reading the system's bundle of some 140
// would be most of the CPU time of a function's first call. With AWS_CA_BUNDLE (a file of PEM certificates) it trusts
// those instead, and with an endpoint variable, lacking the bundle, the system's.
func (e *Env) AWS(service string) aws.Config {
	endpoint := e.endpoint(service)
	cfg := aws.Config{
		HTTPClient: e.httpClient(endpoint != ""),
		// What the SDK's config package sets by default, and an aws.Config made by hand does not: S3 is sent, and
		// verifies, a checksum of every body.
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

// endpoint returns the URL that stands in for the service, or "" for AWS's own.
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

// credentials returns those of the process; without any, a stand-in is given made-up ones, since it wants a signature but
// cannot check whose.
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

// httpClient returns the process's client for AWS, or the one for stand-ins.
func (e *Env) httpClient(emulator bool) aws.HTTPClient {
	key := "coldstart/http"
	if emulator {
		key = "coldstart/http/stand-in"
	}
	return e.Shared(key, func() any {
		client := e.newHTTPClient(emulator)
		if emulator {
			client = &recyclingClient{next: client}
		}
		return client
	}).(aws.HTTPClient)
}

func (e *Env) newHTTPClient(emulator bool) aws.HTTPClient {
	roots := e.roots(emulator)
	// Frozen, because each service client would otherwise make itself a copy with a connection pool of its own.
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

// roots returns the certificates to trust; nil means the system's.
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

// recyclingClient closes a connection now and then. Some stand-ins for AWS cut a connection off after a fixed number of
// requests (1,000 in one of them) in the middle of an answer; the SDK's retry of a conditional write that was in
// fact applied then reports a conflict that never was.
type recyclingClient struct {
	next aws.HTTPClient
	n    atomic.Uint64
}

// requestsPerConnection is the mean, since the requests counted go to whichever connection is idle.
const requestsPerConnection = 50

func (s *recyclingClient) Do(r *http.Request) (*http.Response, error) {
	if s.n.Add(1)%requestsPerConnection == 0 {
		r = r.WithContext(r.Context()) // a shallow copy: the caller's stays as it is
		r.Close = true
	}
	return s.next.Do(r)
}
