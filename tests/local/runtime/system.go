package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/scanner"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// Region is the region of the local servers.
const Region = "us-east-1"

// limit is the timeout of every function.
const limit = 25 * time.Second

// Options configures Start. The zero value suits most tests.
type Options struct {
	Log io.Writer // receives the output of the functions; nil discards it

	// Between, when set, is called with the address of DynamoDB or S3 ("dynamodb", "s3"). It
	// returns the address that the functions use instead, for example of a proxy that counts,
	// records or fails.
	Between func(service, endpoint string) string

	// BetweenEach is like Between, but is called for each function, and for EventBridge
	// ("eventbridge") and Secrets Manager ("secretsmanager") too.
	BetweenEach func(function, service, endpoint string) string

	// Parameters overrides values of template.yaml's parameters: "CreatesPerHour": "10".
	Parameters map[string]string
}

// System is a running system. A table has the logical id of template.yaml as its name.
type System struct {
	BaseURL       string // address of both APIs
	Template      *Template
	Authenticator *issuer.Signer // issues tokens that the functions accept
	Dynamo        *dynamodb.Client
	S3            *s3.Client
	Bucket        string
	Gateway       *Gateway
	FeedBatch     int // number of events in the batches of Deliver; 0: the default of the template

	functions map[string]*Function
	bus       *bus
	scanner   *scanner.Scanner
	unsent    []busEntry // entries of the bus that webhook-send has not got
	stops     []func()
}

// Start builds the functions, starts the servers and returns a system with empty tables. A
// function starts at its first invocation. The tools must be installed; otherwise the error names
// the command that installs them.
func Start(ctx context.Context, options Options) (_ *System, err error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, err
	}
	s := &System{Bucket: "blobs", functions: map[string]*Function{}}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.Template, err = ReadTemplate(root); err != nil {
		return nil, err
	}
	if s.Authenticator, err = issuer.Open(workspace.Local(root)); err != nil {
		return nil, err
	}
	if err := Build(ctx, root); err != nil {
		return nil, err
	}
	backends, err := s.startServers(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.BaseURL = "http://" + listener.Addr().String()
	s.bus = &bus{}
	if backends.bus, err = s.serve(s.bus); err != nil {
		return nil, err
	}
	if backends.secrets, err = s.serve(http.HandlerFunc(serveIdentityKey)); err != nil {
		return nil, err
	}
	for _, f := range s.Template.Functions {
		variables, err := s.environment(f, options.Parameters)
		if err != nil {
			return nil, err
		}
		s.functions[f.Folder] = &Function{
			Name: f.Folder, binary: Binary(root, f.Folder), env: append(variables, backends.environment(options, f.Folder)...), limit: limit, log: options.Log, all: map[*Environment]bool{},
		}
	}
	s.scanner = &scanner.Scanner{S3: s.S3, Bucket: s.Bucket, Publish: s.recordScans}
	s.Gateway = NewGateway(s.Template, s.Function)
	server := &http.Server{Handler: s.Gateway, ReadHeaderTimeout: 10 * time.Second}
	s.stops = append(s.stops, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // always returns an error, also after Close
	return s, nil
}

// Function returns a function by its folder. It panics if template.yaml has no such function.
func (s *System) Function(folder string) *Function {
	f := s.functions[folder]
	if f == nil {
		panic("template.yaml has no function with the folder " + folder)
	}
	return f
}

// Stop stops everything that Start started. It may be called twice.
func (s *System) Stop() {
	for _, f := range s.functions {
		f.stop()
	}
	for _, stop := range s.stops {
		stop()
	}
}

// backends holds the endpoints of DynamoDB, S3, EventBridge and Secrets Manager, and their common
// credentials.
type backends struct{ dynamo, s3, bus, secrets, accessKey, secretKey string }

// startServers starts the servers and creates the template's tables and a bucket.
func (s *System) startServers(ctx context.Context) (b backends, err error) {
	endpoint, stop, err := servers.StartDynamoDB()
	if err != nil {
		return b, err
	}
	b.dynamo = endpoint
	s.stops = append(s.stops, stop)
	if b.s3, b.accessKey, b.secretKey, stop, err = servers.StartS3(); err != nil {
		return b, err
	}
	s.stops = append(s.stops, stop)
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: b.accessKey, SecretAccessKey: b.secretKey}, nil
	})
	httpClient := coldstart.PlainBodies(awshttp.NewBuildableClient())
	s.Dynamo = tables.Client(b.dynamo, Region, b.accessKey)
	s.S3 = s3.New(s3.Options{BaseEndpoint: &b.s3, Region: Region, Credentials: credentials, HTTPClient: httpClient, UsePathStyle: true})
	for _, table := range s.Template.Tables {
		if err := tables.Create(ctx, s.Dynamo, table, table); err != nil {
			return b, fmt.Errorf("table %s: %w", table, err)
		}
	}
	_, err = s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &s.Bucket})
	return b, err
}

// environment returns the variables that Lambda and a local AWS set for a function.
func (b backends) environment(options Options, function string) []string {
	between := func(service, endpoint string) string {
		switch {
		case options.BetweenEach != nil:
			return options.BetweenEach(function, service, endpoint)
		case options.Between != nil && (service == "dynamodb" || service == "s3"):
			return options.Between(service, endpoint)
		}
		return endpoint
	}
	return workspace.Environment("AWS_REGION="+Region, "AWS_DEFAULT_REGION="+Region,
		"AWS_ACCESS_KEY_ID="+b.accessKey, "AWS_SECRET_ACCESS_KEY="+b.secretKey,
		"AWS_ENDPOINT_URL_DYNAMODB="+between("dynamodb", b.dynamo), "AWS_ENDPOINT_URL_S3="+between("s3", b.s3), "AWS_ENDPOINT_URL_EVENTBRIDGE="+between("eventbridge", b.bus),
		"AWS_ENDPOINT_URL_SECRETSMANAGER="+between("secretsmanager", b.secrets))
}

// environment returns the variables that template.yaml sets for a function.
func (s *System) environment(f TemplateFunction, overrides map[string]string) (variables []string, err error) {
	parameters := map[string]string{
		"AppsBaseUrl": s.BaseURL, "PlatformBaseUrl": s.BaseURL,
		"TokenIssuer": issuer.Issuer, "TokenAudience": issuer.Audience, "TokenJwks": s.Authenticator.KeySet(),
		"TokenPartyClaim": issuer.PartyClaim, "IdentityKeySecretArn": IdentityKeyARN,
	}
	for name, value := range f.Environment {
		if ref, ok := strings.CutPrefix(value, "!Ref "); ok {
			parameter, known := parameters[ref]
			override, overridden := overrides[ref]
			byDefault, isParameter := s.Template.Defaults[ref]
			switch {
			case overridden:
				value = override
			case known:
				value = parameter
			case isParameter:
				value = byDefault
			case ref == "Blobs":
				value = s.Bucket
			default:
				value = ref // a table or the bus, named by its logical id
			}
		} else if strings.HasPrefix(value, "!") {
			err = errors.Join(err, fmt.Errorf("template.yaml: %s has %s: %s, which cannot be resolved locally", f.ID, name, value))
		}
		variables = append(variables, name+"="+value)
	}
	return variables, err
}
