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

// PresignPut returns the request that stores exactly the content described by info at key, as
// contentType. S3 rejects content of another length, type or SHA-256, and a key that exists.
// PresignPut sends nothing. The presigned request works only if the function's role is allowed
// s3:PutObject. PresignPut fails if info or key is invalid.
func (b *Bucket) PresignPut(ctx context.Context, key blob.Key, contentType, tag string, info blob.Info) (blob.PresignedRequest, error) {
	sum, err := hex.DecodeString(info.SHA256)
	if err = errors.Join(key.Check(), err); err != nil || len(sum) != 32 || info.Size < 1 || info.Size > blob.MaxUploadBytes {
		return blob.PresignedRequest{}, fmt.Errorf("blob: presign put %s: invalid size, checksum or key: %w", key, err)
	}
	expires := time.Now().Add(blob.PresignExpiry)
	signed, err := s3.NewPresignClient(b.client).PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket:         &b.bucket,
		Key:            aws.String(key.String()),
		ContentLength:  &info.Size,
		ContentType:    &contentType,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		IfNoneMatch:    aws.String("*"),
		Tagging:        tagging(tag),
	}, s3.WithPresignExpires(blob.PresignExpiry))
	if err != nil {
		return blob.PresignedRequest{}, fmt.Errorf("blob: presign put %s: %w", key, err)
	}
	return presignedRequest(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

// PresignGet returns the request that downloads the content at key. The response has the content
// type with which the content was stored, and the given Content-Disposition, which is part of the
// URL. The client may add a Range. PresignGet does not check that the key exists. The function's
// role must be allowed s3:GetObject.
func (b *Bucket) PresignGet(ctx context.Context, key blob.Key, contentDisposition string) (blob.PresignedRequest, error) {
	if err := key.Check(); err != nil {
		return blob.PresignedRequest{}, err
	}
	expires := time.Now().Add(blob.PresignExpiry)
	signed, err := s3.NewPresignClient(b.client).PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket:                     &b.bucket,
		Key:                        aws.String(key.String()),
		ResponseContentDisposition: &contentDisposition,
		ResponseCacheControl:       aws.String("no-store"),
	}, s3.WithPresignExpires(blob.PresignExpiry))
	if err != nil {
		return blob.PresignedRequest{}, fmt.Errorf("blob: presign get %s: %w", key, err)
	}
	return presignedRequest(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

func presignedRequest(method, url string, signed http.Header, expires time.Time) blob.PresignedRequest {
	request := blob.PresignedRequest{Method: method, URL: url, Header: map[string]string{}, Expires: expires.UTC().Truncate(time.Second)}
	for name := range signed {
		if name != "Host" { // every client sends it
			request.Header[name] = signed.Get(name)
		}
	}
	return request
}

// Stat returns the size and SHA-256 of the content at key, as verified by S3, or ErrNotFound.
//
// S3 returns 403 for a missing key if the role lacks s3:ListBucket, which no function has. So Stat
// returns ErrNotFound for a 403 too; the error also wraps S3's error.
func (b *Bucket) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	if err := key.Check(); err != nil {
		return blob.Info{}, err
	}
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	var response *awshttp.ResponseError
	if errors.As(err, &response) && (response.HTTPStatusCode() == http.StatusNotFound || response.HTTPStatusCode() == http.StatusForbidden) {
		return blob.Info{}, fmt.Errorf("blob: stat %s: %w: %w", key, blob.ErrNotFound, err)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: stat %s: %w", key, err)
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256))
	if err != nil || len(sum) != 32 {
		return blob.Info{}, fmt.Errorf("blob: stat %s: S3 has no SHA-256", key)
	}
	return blob.Info{Size: aws.ToInt64(head.ContentLength), SHA256: hex.EncodeToString(sum)}, nil
}
