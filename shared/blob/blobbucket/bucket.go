// Package blobbucket stores the content of data elements in S3 under immutable keys. Content is
// written once, verified by S3 against its SHA-256, read completely or by range, and deleted.
// Clients transfer content over blob.InlineLimit directly from and to S3, with a presigned request.
// A Bucket is safe for concurrent use.
//
// A Bucket never overwrites content. It does not know which document refers to a key. Callers
// store content before the item that refers to it. So a crash in between leaves content without
// an item, never an item without content.
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

// Bucket stores blobs in one S3 bucket.
type Bucket struct {
	client *s3.Client
	bucket string
}

// New returns the store in the named S3 bucket.
func New(client *s3.Client, bucket string) *Bucket { return &Bucket{client, bucket} }

// Put stores body under key permanently. When it returns nil, S3 has stored the content and
// verified its SHA-256. Putting the same content again succeeds. Put returns ErrExists if the key
// has other content. After any other error the content may or may not be stored, and the caller
// must use a new key or fail. Put does not change or copy body.
func (b *Bucket) Put(ctx context.Context, key blob.Key, contentType, tag string, body []byte) (blob.Info, error) {
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
		Tagging:        tagging(tag),
	}, retryConflict)
	if errorCode(err) == "PreconditionFailed" {
		err = b.compare(ctx, key, int64(len(body)), checksum)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	return blob.Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// retryConflict makes the SDK retry a conditional write that conflicts with another write in
// progress. The other write is our first attempt, whose response did not arrive in time.
func retryConflict(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// tagging returns the value of x-amz-tagging, or nil for no tag.
func tagging(tag string) *string {
	if tag == "" {
		return nil
	}
	return &tag
}

// compare returns nil if the stored object has the given size and checksum, and ErrExists if it has
// others. Equal content means that our first attempt succeeded and its response was lost.
func (b *Bucket) compare(ctx context.Context, key blob.Key, size int64, checksum string) error {
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return fmt.Errorf("the key exists, and its content cannot be compared: %w", err)
	}
	if aws.ToInt64(head.ContentLength) != size || aws.ToString(head.ChecksumSHA256) != checksum {
		return blob.ErrExists
	}
	return nil
}

// Get opens the content at key: all of it or, if rng is not nil, the part of rng that exists. Get
// returns ErrNotFound for a missing key, and ErrRange for a range that begins at or after the end.
// A read of all content verifies the checksum at the end of Body.
//
// S3 returns AccessDenied for a missing key if the role lacks s3:ListBucket, which no function
// that reads content has. So AccessDenied is ErrNotFound too; the error wraps S3's error. The
// other causes of a 403, such as a wrong signature, are not.
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
		// The checksum of the object does not apply to a part, but some servers send it.
		options = append(options, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	}
	out, err := b.client.GetObject(ctx, in, options...)
	switch errorCode(err) {
	case "":
	case "NoSuchKey", "AccessDenied":
		return blob.Object{}, fmt.Errorf("blob: get %s: %w: %w", key, blob.ErrNotFound, err)
	case "InvalidRange":
		return blob.Object{}, fmt.Errorf("blob: get %s: %w", key, blob.ErrRange)
	}
	if err != nil {
		return blob.Object{}, fmt.Errorf("blob: get %s: %w", key, err)
	}
	return blob.Object{Body: out.Body, Size: aws.ToInt64(out.ContentLength)}, nil
}

// Delete deletes the content at key. A missing key is not an error.
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

// List returns, in order, up to limit names of objects that begin with prefix and follow after. It
// also reports whether more follow. A limit over 1,000 means 1,000.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) (names []string, more bool, err error) {
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.bucket, Prefix: &prefix, StartAfter: &after, MaxKeys: aws.Int32(int32(limit)),
	})
	if err != nil {
		return nil, false, fmt.Errorf("blob: list %q: %w", prefix, err)
	}
	for _, object := range out.Contents {
		names = append(names, aws.ToString(object.Key))
	}
	return names, aws.ToBool(out.IsTruncated), nil
}

// errorCode returns S3's code for err, or "" if err is nil or not a response of S3.
func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	// A response without a body has only a status.
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusPreconditionFailed {
		return "PreconditionFailed"
	}
	return api.ErrorCode()
}
