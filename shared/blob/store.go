package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Store keeps blobs in one S3 bucket.
type Store struct {
	client *s3.Client
	bucket string
}

// New returns a store in the given bucket.
func New(client *s3.Client, bucket string) *Store { return &Store{client, bucket} }

// Put stores body under key, for good: when it returns without error, S3 has the bytes and has verified their
// SHA-256. Putting the same bytes again succeeds, other bytes are ErrExists. After any other error the bytes may or
// may not be there; the caller takes a new key or gives up. body is not changed and not copied.
func (s *Store) Put(ctx context.Context, key Key, contentType string, body []byte) (Info, error) {
	if err := key.Check(); err != nil {
		return Info{}, err
	}
	sum := sha256.Sum256(body)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            aws.String(key.String()),
		Body:           bytes.NewReader(body),
		ContentLength:  aws.Int64(int64(len(body))),
		ContentType:    &contentType,
		ChecksumSHA256: &checksum,
		IfNoneMatch:    aws.String("*"),
	}, retryConflict)
	if errorCode(err) == "PreconditionFailed" {
		err = s.compare(ctx, key, int64(len(body)), checksum)
	}
	if err != nil {
		return Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	return Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// retryConflict makes the SDK repeat a conditional write that met another one still in progress. The other one is
// our own first attempt, whose answer was given up waiting for.
func retryConflict(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// compare returns nil when the stored object is the one that we meant to store. It was then we who stored it: the
// first attempt had its effect, its answer was lost, and the SDK's repetition met the object.
func (s *Store) compare(ctx context.Context, key Key, size int64, checksum string) error {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return fmt.Errorf("the key is taken, and cannot be compared: %w", err)
	}
	if aws.ToInt64(head.ContentLength) != size || aws.ToString(head.ChecksumSHA256) != checksum {
		return ErrExists
	}
	return nil
}

// Get opens the bytes at key, all of them or, with rng, the part of rng that exists. Nothing there is ErrNotFound, a
// range past the end ErrRange. Of the whole bytes the checksum is verified at the end of Body.
//
// S3 tells "nothing there" only to a role that has s3:ListBucket on the bucket; others get an access error, which is not
// ErrNotFound.
func (s *Store) Get(ctx context.Context, key Key, rng *Range) (Object, error) {
	if err := key.Check(); err != nil {
		return Object{}, err
	}
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(key.String())}
	var options []func(*s3.Options)
	if rng != nil {
		if err := rng.Check(); err != nil {
			return Object{}, err
		}
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", rng.First, rng.Last))
		// The checksum of the whole says nothing about a part, and some servers send it all the same.
		options = append(options, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	}
	out, err := s.client.GetObject(ctx, in, options...)
	switch errorCode(err) {
	case "":
	case "NoSuchKey":
		return Object{}, fmt.Errorf("blob: get %s: %w", key, ErrNotFound)
	case "InvalidRange":
		return Object{}, fmt.Errorf("blob: get %s: %w", key, ErrRange)
	}
	if err != nil {
		return Object{}, fmt.Errorf("blob: get %s: %w", key, err)
	}
	return Object{Body: out.Body, Size: aws.ToInt64(out.ContentLength)}, nil
}

// Delete removes the bytes at key. Nothing there is success.
func (s *Store) Delete(ctx context.Context, key Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(key.String())})
	if err != nil && errorCode(err) != "NoSuchKey" {
		return fmt.Errorf("blob: delete %s: %w", key, err)
	}
	return nil
}

// errorCode returns S3's code for err, or "" when err is nil or no answer of S3.
func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	// An answer without a body has no code but the status.
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) && answered.HTTPStatusCode() == http.StatusPreconditionFailed {
		return "PreconditionFailed"
	}
	return api.ErrorCode()
}
