package blobbucket

import (
	"context"
	"errors"

	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Open returns the store in the bucket that BLOBS_BUCKET names, and registers a warm-up for it. The function's role
// needs s3:GetObject for Put (to compare what is there after a lost answer) as well as for Get, and of s3:PutObject
// and s3:DeleteObject what it uses.
func Open(env *coldstart.Env) *Bucket {
	store := New(client(env), env.String("BLOBS_BUCKET"))
	env.OnInit("s3", store.warm)
	return store
}

// OpenPresigner is Open for a function that only makes links: it never talks to S3, so there is nothing to warm up.
func OpenPresigner(env *coldstart.Env) *Bucket { return New(client(env), env.String("BLOBS_BUCKET")) }

func client(env *coldstart.Env) *s3.Client {
	return env.Shared("blob/s3", func() any {
		return s3.NewFromConfig(env.AWS("S3"), func(o *s3.Options) {
			o.UsePathStyle = env.UsesEmulator() // a stand-in has no host name for each bucket
			o.DisableLogOutputChecksumValidationSkipped = true
		})
	}).(*s3.Client)
}

// warm opens the connection to the bucket's own host, which no call on another bucket or on the service would. The object is
// not there, and no role may read it: whatever S3 answers, the connection is open afterwards.
func (b *Bucket) warm(ctx context.Context) error {
	_, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: aws.String("warm-up")},
		func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) && answered.HTTPStatusCode() > 0 {
		return nil
	}
	return err
}
