// Package blobbucket provides the bytes of data elements, kept in S3 under immutable keys: written once, checked by S3
// against their SHA-256, read whole or by range, and removed. What is too large to go through a function goes between
// client and S3, by a request that is signed here. A Bucket is safe for concurrent use.
//
// It never overwrites bytes, never lists the bucket, and knows nothing of instances: what a key's bytes are, and
// whether anything still points at them, is for the caller. Bytes are put first and the item that points at them is
// written afterwards, so a crash in between leaves bytes without an item, never an item without bytes.
package blobbucket

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

	"altinn.no/instanceapi/shared/blob"
)

// Bucket keeps blobs in one S3 bucket.
type Bucket struct {
	client *s3.Client
	bucket string
}

// New returns the store in the S3 bucket named.
func New(client *s3.Client, bucket string) *Bucket { return &Bucket{client, bucket} }

// Put stores body under key, for good: when it returns without error, S3 has the bytes and has verified their
// SHA-256. Putting the same bytes again succeeds, other bytes are ErrExists. After any other error the bytes may or
// may not be there; the caller takes a new key or gives up. body is not changed and not copied.
func (b *Bucket) Put(ctx context.Context, key blob.Key, contentType string, body []byte) (blob.Info, error) {
	if err := key.Check(); err != nil {
		return blob.Info{}, err
	}
	sum := sha256.Sum256(body)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         &b.bucket,
		Key:            aws.String(key.String()),
		Body:           bytes.NewReader(body),
		ContentLength:  aws.Int64(int64(len(body))),
		ContentType:    &contentType,
		ChecksumSHA256: &checksum,
		IfNoneMatch:    aws.String("*"),
	}, retryConflict)
	if errorCode(err) == "PreconditionFailed" {
		err = b.compare(ctx, key, int64(len(body)), checksum)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	return blob.Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// retryConflict makes the SDK repeat a conditional write that met another one still in progress. The other one is
// our own first attempt, whose answer was given up waiting for.
func retryConflict(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// compare returns nil when the stored object is the one that we meant to store. It was then we who stored it: the
// first attempt had its effect, its answer was lost, and the SDK's repetition met the object.
func (b *Bucket) compare(ctx context.Context, key blob.Key, size int64, checksum string) error {
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return fmt.Errorf("the key is taken, and cannot be compared: %w", err)
	}
	if aws.ToInt64(head.ContentLength) != size || aws.ToString(head.ChecksumSHA256) != checksum {
		return blob.ErrExists
	}
	return nil
}

// Get opens the bytes at key, all of them or, with rng, the part of rng that exists. Nothing there is ErrNotFound, a
// range past the end ErrRange. Of the whole bytes the checksum is verified at the end of Body.
//
// S3 tells "nothing there" only to a role that has s3:ListBucket on the bucket; others get an access error, which is not
// ErrNotFound.
func (b *Bucket) Get(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error) {
	if err := key.Check(); err != nil {
		return blob.Object{}, err
	}
	in := &s3.GetObjectInput{Bucket: &b.bucket, Key: aws.String(key.String())}
	var options []func(*s3.Options)
	if rng != nil {
		if err := rng.Check(); err != nil {
			return blob.Object{}, err
		}
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", rng.First, rng.Last))
		// The checksum of the whole says nothing about a part, and some servers send it all the same.
		options = append(options, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	}
	out, err := b.client.GetObject(ctx, in, options...)
	switch errorCode(err) {
	case "":
	case "NoSuchKey":
		return blob.Object{}, fmt.Errorf("blob: get %s: %w", key, blob.ErrNotFound)
	case "InvalidRange":
		return blob.Object{}, fmt.Errorf("blob: get %s: %w", key, blob.ErrRange)
	}
	if err != nil {
		return blob.Object{}, fmt.Errorf("blob: get %s: %w", key, err)
	}
	return blob.Object{Body: out.Body, Size: aws.ToInt64(out.ContentLength)}, nil
}

// Delete removes the bytes at key. Nothing there is success.
func (b *Bucket) Delete(ctx context.Context, key blob.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: aws.String(key.String())})
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
