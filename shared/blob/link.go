package blob

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// LinkLifetime is how long after it was made a link can be used to begin a transfer, which may then take longer. A link
// also ends with the session of the role that signed it.
const LinkLifetime = 5 * time.Minute

// MaxPut is the largest blob, in bytes, that S3 takes in one request: 5 GiB.
const MaxPut = 5 << 30

// Link is one request to S3, signed beforehand: whoever has it can send it, and nothing else. Its URL is a secret.
type Link struct {
	Method  string
	URL     string
	Header  map[string]string // fields that the request must have, with these values
	Expires time.Time         // UTC, whole seconds
}

// String leaves the secret out.
func (l Link) String() string {
	return l.Method + " link, good until " + l.Expires.Format(time.RFC3339)
}

// Shape is how a download presents itself.
type Shape struct {
	ContentType        string
	ContentDisposition string
}

// LinkPut returns the request that stores at key exactly the bytes that info tells of, as contentType. S3 refuses it for
// bytes of another length, type or SHA-256, and when there are bytes at key already. Nothing is sent: the
// function's role must itself be allowed s3:PutObject for the link to be worth anything.
func (s *Store) LinkPut(ctx context.Context, key Key, contentType string, info Info) (Link, error) {
	sum, err := hex.DecodeString(info.SHA256)
	if err = errors.Join(key.Check(), err); err != nil || len(sum) != 32 || info.Size < 1 || info.Size > MaxPut {
		return Link{}, fmt.Errorf("blob: link to put %s: impossible size, checksum or key: %w", key, err)
	}
	expires := time.Now().Add(LinkLifetime)
	signed, err := s3.NewPresignClient(s.client).PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            aws.String(key.String()),
		ContentLength:  &info.Size,
		ContentType:    &contentType,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		IfNoneMatch:    aws.String("*"),
	}, s3.WithPresignExpires(LinkLifetime))
	if err != nil {
		return Link{}, fmt.Errorf("blob: link to put %s: %w", key, err)
	}
	return linkOf(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

// LinkGet returns the request that fetches the bytes at key, in the shape given. It may have a Range. Whether there are any
// bytes is not looked at. The function's role must itself be allowed s3:GetObject.
func (s *Store) LinkGet(ctx context.Context, key Key, shape Shape) (Link, error) {
	if err := key.Check(); err != nil {
		return Link{}, err
	}
	expires := time.Now().Add(LinkLifetime)
	signed, err := s3.NewPresignClient(s.client).PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket:                     &s.bucket,
		Key:                        aws.String(key.String()),
		ResponseContentType:        &shape.ContentType,
		ResponseContentDisposition: &shape.ContentDisposition,
		ResponseCacheControl:       aws.String("no-store"),
	}, s3.WithPresignExpires(LinkLifetime))
	if err != nil {
		return Link{}, fmt.Errorf("blob: link to get %s: %w", key, err)
	}
	return linkOf(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

func linkOf(method, url string, signed http.Header, expires time.Time) Link {
	link := Link{Method: method, URL: url, Header: map[string]string{}, Expires: expires.UTC().Truncate(time.Second)}
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
func (s *Store) Stat(ctx context.Context, key Key) (Info, error) {
	if err := key.Check(); err != nil {
		return Info{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.bucket, Key: aws.String(key.String()), ChecksumMode: types.ChecksumModeEnabled,
	})
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) && (answered.HTTPStatusCode() == http.StatusNotFound || answered.HTTPStatusCode() == http.StatusForbidden) {
		return Info{}, fmt.Errorf("blob: stat %s: %w: %w", key, ErrNotFound, err)
	}
	if err != nil {
		return Info{}, fmt.Errorf("blob: stat %s: %w", key, err)
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256))
	if err != nil || len(sum) != 32 {
		return Info{}, fmt.Errorf("blob: stat %s: S3 has no SHA-256 of it", key)
	}
	return Info{Size: aws.ToInt64(head.ContentLength), SHA256: hex.EncodeToString(sum)}, nil
}
