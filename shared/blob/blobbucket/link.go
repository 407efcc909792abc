package blobbucket

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// PresignPut returns the request that stores at key exactly the bytes that info tells of, as contentType. S3 refuses it for
// bytes of another length, type or SHA-256, and when there are bytes at key already. Nothing is sent: the
// function's role must itself be allowed s3:PutObject for the link to be worth anything.
func (b *Bucket) PresignPut(ctx context.Context, key blob.Key, contentType string, info blob.Info) (blob.PresignedRequest, error) {
	sum, err := hex.DecodeString(info.SHA256)
	if err = errors.Join(key.Check(), err); err != nil || len(sum) != 32 || info.Size < 1 || info.Size > blob.MaxUploadBytes {
		return blob.PresignedRequest{}, fmt.Errorf("blob: link to put %s: impossible size, checksum or key: %w", key, err)
	}
	expires := time.Now().Add(blob.PresignExpiry)
	signed, err := s3.NewPresignClient(b.client).PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket:         &b.bucket,
		Key:            aws.String(key.String()),
		ContentLength:  &info.Size,
		ContentType:    &contentType,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		IfNoneMatch:    aws.String("*"),
	}, s3.WithPresignExpires(blob.PresignExpiry))
	if err != nil {
		return blob.PresignedRequest{}, fmt.Errorf("blob: link to put %s: %w", key, err)
	}
	return presignedRequest(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

// PresignGet returns the request that fetches the bytes at key, in the shape given. It may have a Range. Whether there are any
// bytes is not looked at. The function's role must itself be allowed s3:GetObject.
func (b *Bucket) PresignGet(ctx context.Context, key blob.Key, shape blob.ResponseHeaders) (blob.PresignedRequest, error) {
	if err := key.Check(); err != nil {
		return blob.PresignedRequest{}, err
	}
	expires := time.Now().Add(blob.PresignExpiry)
	signed, err := s3.NewPresignClient(b.client).PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket:                     &b.bucket,
		Key:                        aws.String(key.String()),
		ResponseContentType:        &shape.ContentType,
		ResponseContentDisposition: &shape.ContentDisposition,
		ResponseCacheControl:       aws.String("no-store"),
	}, s3.WithPresignExpires(blob.PresignExpiry))
	if err != nil {
		return blob.PresignedRequest{}, fmt.Errorf("blob: link to get %s: %w", key, err)
	}
	return presignedRequest(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

func presignedRequest(method, url string, signed http.Header, expires time.Time) blob.PresignedRequest {
	link := blob.PresignedRequest{Method: method, URL: url, Header: map[string]string{}, Expires: expires.UTC().Truncate(time.Second)}
	for name := range signed {
		if name != "Host" { // every client sends it
			link.Header[name] = signed.Get(name)
		}
	}
	return link
}

// Stat returns what is stored at key, as S3 has verified it; ErrNotFound when nothing is.
//
// S3 does not tell "nothing there" from "not for you" to a role without s3:ListBucket, which no function has. So a refusal
// is ErrNotFound too; what S3 said is in the error.
func (b *Bucket) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	if err := key.Check(); err != nil {
		return blob.Info{}, err
	}
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) && (answered.HTTPStatusCode() == http.StatusNotFound || answered.HTTPStatusCode() == http.StatusForbidden) {
		return blob.Info{}, fmt.Errorf("blob: stat %s: %w: %w", key, blob.ErrNotFound, err)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: stat %s: %w", key, err)
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256))
	if err != nil || len(sum) != 32 {
		return blob.Info{}, fmt.Errorf("blob: stat %s: S3 has no SHA-256 of it", key)
	}
	return blob.Info{Size: aws.ToInt64(head.ContentLength), SHA256: hex.EncodeToString(sum)}, nil
}
