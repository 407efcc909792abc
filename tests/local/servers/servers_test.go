package servers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/coldstart"
)

func credentials(key, secret string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, nil
	})
}

func TestDynamoDBStartsEmptyAndStops(t *testing.T) {
	endpoint, stop, err := StartDynamoDB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-north-1", BaseEndpoint: aws.String(endpoint), Credentials: credentials("test", "test"),
		HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient()),
	})
	out, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.TableNames) != 0 {
		t.Errorf("a new server has tables: %v", out.TableNames)
	}
	wantGone(t, endpoint, stop)
}

func TestS3VerifiesUploadsAndStops(t *testing.T) {
	endpoint, key, secret, stop, err := StartS3()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client := func(secret string) *s3.Client {
		return s3.New(s3.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(endpoint), UsePathStyle: true,
			Credentials: credentials(key, secret), RetryMaxAttempts: 1,
			HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient()),
		})
	}
	if _, err := client(secret).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("blobs")}); err != nil {
		t.Fatal(err)
	}
	put := func(c *s3.Client, sha256 string) error {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("blobs"), Key: aws.String("a/b"), Body: bytes.NewReader([]byte("content")),
			ContentType: aws.String("text/plain"), ChecksumSHA256: aws.String(sha256), IfNoneMatch: aws.String("*"),
		})
		return err
	}
	right := "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M="
	if err := put(client("wrong"), right); err == nil {
		t.Error("a wrong signature was accepted")
	}
	if err := put(client(secret), "AAAAtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M="); err == nil {
		t.Error("a wrong checksum was accepted")
	}
	if err := put(client(secret), right); err != nil {
		t.Errorf("a correct upload was rejected: %v", err)
	}
	if err := put(client(secret), right); err == nil {
		t.Error("If-None-Match: * was not honoured")
	}
	head, err := client(secret).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("blobs"), Key: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(head.ContentType); got != "text/plain" {
		t.Errorf("content type %q was kept, want text/plain", got)
	}
	wantGone(t, endpoint, stop)
}

// wantGone stops a server twice and checks that it no longer responds.
func wantGone(t *testing.T, endpoint string, stop func()) {
	t.Helper()
	stop()
	stop()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Get(endpoint); err == nil {
		resp.Body.Close()
		t.Error(fmt.Errorf("%s still responds after stop", endpoint))
	}
}
