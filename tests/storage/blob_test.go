package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"testing"
	"uuid"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/servers"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

const blobsBucket = "blobs"

// s3Server is an S3 server that verifies signatures and checksums, with an empty bucket.
type s3Server struct {
	endpoint, accessKey, secretKey string
}

// client returns a client of the server. A nil transport is the default one.
func (s s3Server) client(secretKey string, transport aws.HTTPClient) *s3.Client {
	if transport == nil {
		transport = awshttp.NewBuildableClient()
	}
	return s3.New(s3.Options{
		BaseEndpoint: &s.endpoint, UsePathStyle: true, Region: "us-east-1", HTTPClient: coldstart.PlainBodies(transport),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.accessKey, SecretAccessKey: secretKey}, nil
		}),
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenSupported,
		DisableLogOutputChecksumValidationSkipped: true,
	})
}

// altered is a transport that changes requests or responses.
type altered struct {
	request  func(*http.Request)                       // runs before the request is sent; may be nil
	response func(*http.Response) (lost error)         // runs before the response is returned; may be nil
	body     func(io.ReadCloser) (other io.ReadCloser) // replaces the body of a request; may be nil
}

func (a altered) Do(r *http.Request) (*http.Response, error) {
	if a.request != nil {
		a.request(r)
	}
	if a.body != nil && r.Body != nil {
		r.Body = a.body(r.Body)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || a.response == nil {
		return resp, err
	}
	if lost := a.response(resp); lost != nil {
		return nil, errors.Join(lost, resp.Body.Close())
	}
	return resp, nil
}

// TestBlobs tests the blob store against a real S3 server: with the conformance suite of the
// in-memory fake, and with tests that need a server.
func TestBlobs(t *testing.T) {
	endpoint, accessKey, secretKey, stop, err := servers.StartS3()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	server := s3Server{endpoint, accessKey, secretKey}
	client := server.client(secretKey, nil)
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(blobsBucket)}); err != nil {
		t.Fatal(err)
	}
	env := coldstart.FromMap(map[string]string{
		"AWS_ENDPOINT_URL_S3": endpoint, "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "BLOBS_BUCKET": blobsBucket,
	})
	opened := blobbucket.Open(env)
	env.Ready()

	t.Run("Conformance", func(t *testing.T) {
		blobtest.Conformance(t, func(*testing.T) blobtest.Store { return opened })
	})
	t.Run("ContentTypeIsStored", func(t *testing.T) { contentTypeIsStored(t, opened, client) })
	t.Run("WrongChecksum", func(t *testing.T) { wrongChecksum(t, client) })
	t.Run("DamagedOnTheWay", func(t *testing.T) { damagedOnTheWay(t, server, opened) })
	t.Run("LostResponse", func(t *testing.T) { lostResponse(t, server, opened) })
	t.Run("WrongSecret", func(t *testing.T) { wrongSecret(t, server, opened) })
	t.Run("Unsigned", func(t *testing.T) { unsigned(t, server, opened) })
	t.Run("PresignPut", func(t *testing.T) { presignPut(t, opened) })
	t.Run("PresignGet", func(t *testing.T) { presignGet(t, opened) })
	t.Run("PresignWithWrongSecret", func(t *testing.T) { presignWithWrongSecret(t, server, opened) })
}

func blobKey() blob.Key { return blob.NewKey("nav/app2018", "50001", uuid.New().String()) }

func contentTypeIsStored(t *testing.T, store *blobbucket.Bucket, client *s3.Client) {
	const contentType = `text/xml; Charset="utf-8"`
	key, body := blobKey(), []byte("<melding/>")
	if _, err := store.Put(t.Context(), key, contentType, "", body); err != nil {
		t.Fatal(err)
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(blobsBucket), Key: aws.String(key.String()), ChecksumMode: "ENABLED"})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if aws.ToString(head.ContentType) != contentType || aws.ToString(head.ChecksumSHA256) != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("stored as %q with checksum %q", aws.ToString(head.ContentType), aws.ToString(head.ChecksumSHA256))
	}
}

// The server rejects content that does not match its checksum. Put relies on this.
func wrongChecksum(t *testing.T, client *s3.Client) {
	sum := sha256.Sum256([]byte("other bytes"))
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(blobsBucket), Key: aws.String(blobKey().String()), Body: bytes.NewReader([]byte("the bytes")),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	var apiErr smithy.APIError
	if !errors.As(err, &apiErr) || apiErr.ErrorCode() != "BadDigest" {
		t.Errorf("error %v, want BadDigest", err)
	}
}

func damagedOnTheWay(t *testing.T, server s3Server, intact *blobbucket.Bucket) {
	damaging := altered{body: func(body io.ReadCloser) io.ReadCloser {
		b, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			t.Error(err)
		}
		b[0] ^= 1
		return io.NopCloser(bytes.NewReader(b))
	}}
	key := blobKey()
	if _, err := blobbucket.New(server.client(server.secretKey, damaging), blobsBucket).Put(t.Context(), key, "text/plain", "", []byte("the bytes")); err == nil {
		t.Error("damaged bytes were stored")
	}
	if _, err := intact.Get(t.Context(), key, nil); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: error %v, want ErrNotFound", err)
	}
}

// The first attempt succeeds, but its response is lost. The SDK's second attempt finds the object.
func lostResponse(t *testing.T, server s3Server, intact *blobbucket.Bucket) {
	puts := 0
	losing := altered{response: func(resp *http.Response) error {
		if resp.Request.Method == http.MethodPut {
			if puts++; puts == 1 {
				return io.ErrUnexpectedEOF
			}
		}
		return nil
	}}
	key, body := blobKey(), bytes.Repeat([]byte("the bytes "), 1000)
	info, err := blobbucket.New(server.client(server.secretKey, losing), blobsBucket).Put(t.Context(), key, "text/plain", "", body)
	if err != nil || info.Size != int64(len(body)) || puts != 2 {
		t.Fatalf("info %+v, error %v, after %d attempts", info, err, puts)
	}
	object, err := intact.Get(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(object.Body)
	if err := errors.Join(err, object.Body.Close()); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes are stored, error %v", len(got), err)
	}
}

func wrongSecret(t *testing.T, server s3Server, intact *blobbucket.Bucket) {
	key, impostor := blobKey(), blobbucket.New(server.client("another-secret", nil), blobsBucket)
	if _, err := impostor.Put(t.Context(), key, "text/plain", "", []byte("x")); err == nil {
		t.Error("Put with a wrong secret succeeded")
	}
	if _, err := intact.Get(t.Context(), key, nil); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: error %v, want ErrNotFound", err)
	}
	if _, err := intact.Put(t.Context(), key, "text/plain", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := impostor.Get(t.Context(), key, nil); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get with a wrong secret: error %v, want a rejection", err)
	}
	if err := impostor.Delete(t.Context(), key); err == nil {
		t.Error("Delete with a wrong secret succeeded")
	}
}

func unsigned(t *testing.T, server s3Server, intact *blobbucket.Bucket) {
	key := blobKey()
	if _, err := intact.Put(t.Context(), key, "text/plain", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	anonymous := blobbucket.New(server.client(server.secretKey, altered{request: func(r *http.Request) { r.Header.Del("Authorization") }}), blobsBucket)
	// S3 returns AccessDenied, the same error as for a missing key.
	if _, err := anonymous.Get(t.Context(), key, nil); err == nil {
		t.Error("Get without a signature succeeded")
	}
}
