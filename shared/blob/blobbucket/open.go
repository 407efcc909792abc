package blobbucket

import (
	"context"
	"errors"

	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Open returns the store in the bucket named by BLOBS_BUCKET, and registers its warm-up. The
// function's role needs s3:GetObject for Get, s3:PutObject for Put and s3:DeleteObject for Delete.
// Put also needs s3:GetObject, because it compares the stored object after a lost response.
func Open(env *coldstart.Env) *Bucket {
	store := New(client(env), env.String("BLOBS_BUCKET"))
	env.OnInit("s3", store.warm)
	return store
}

// OpenPresigner is like Open, for a function that only presigns requests. It registers no warm-up
// because the function never calls S3.
func OpenPresigner(env *coldstart.Env) *Bucket { return New(client(env), env.String("BLOBS_BUCKET")) }

func client(env *coldstart.Env) *s3.Client {
	return env.Shared("blob/s3", func() any {
		return s3.NewFromConfig(env.AWS("S3"), func(o *s3.Options) {
			o.UsePathStyle = env.UsesEmulator() // an emulator has no host name per bucket
			o.DisableLogOutputChecksumValidationSkipped = true
		})
	}).(*s3.Client)
}

// warm opens the connection to the bucket's own host, because a call to another bucket or to the
// service would not open it. The object does not exist: any response of S3 means that the
// connection is open.
func (b *Bucket) warm(ctx context.Context) error {
	_, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: aws.String("warm-up")},
		func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() > 0 {
		return nil
	}
	return err
}
