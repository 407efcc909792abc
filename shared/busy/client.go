package busy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"altinn.no/instanceapi/shared/fault"
)

// A Policy decides which errors of a client mean that AWS is busy.
type Policy struct{ retryables retry.IsErrorRetryables }

// NewPolicy returns the policy of a client. An error means that AWS is busy if the SDK would retry
// it by default: throttling, a status of 500 to 504, no response, or a broken connection. The
// policy adds the codes of busy, and the errors for which one of more returns true.
func NewPolicy(more ...func(error) bool) Policy {
	p := Policy{slices.Clone(retry.DefaultRetryables)}
	for _, isBusy := range append([]func(error) bool{hasBusyCode}, more...) {
		p.retryables = append(p.retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if isBusy(err) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
	}
	return p
}

// hasBusyCode reports whether err has a code that means busy and that the SDK does not retry by
// default: the codes of KMS, which a table or bucket passes on, such as KMS.ThrottlingException,
// and those of S3 for a key that another call is writing.
func hasBusyCode(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return strings.Contains(code, "Throttl") || code == "OperationAborted" || code == "ConditionalRequestConflict"
}

// busy reports whether err means that AWS is busy.
func (p Policy) busy(err error) bool { return p.retryables.IsErrorRetryable(err) == aws.TrueTernary }

// Retryer returns the client's retryer. It repeats a call while the budget of the call's context
// allows it.
func (p Policy) Retryer() aws.Retryer {
	return retryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = p.retryables
		o.MaxAttempts = 1 + MaxRetries
		o.RateLimiter = ratelimit.None // a request must not get fewer retries after others have failed
		// GetRetryToken waits, because only GetRetryToken knows the context.
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})}
}

// retryer is the SDK's retryer with the budgets of requests.
type retryer struct{ *retry.Standard }

// GetRetryToken waits for the next attempt. It fails if no further attempt is allowed.
func (r retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	if err := waitToRetry(ctx, takeRetryAfter(err)); err != nil {
		return nil, err
	}
	return r.Standard.GetRetryToken(ctx, err)
}

// takeRetryAfter returns the wait that AWS requires in X-Amz-Retry-After, in milliseconds. It
// removes the header, because the SDK would wait again, for up to five seconds.
func takeRetryAfter(err error) time.Duration {
	const header = "X-Amz-Retry-After"
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil {
		return 0
	}
	ms, err := strconv.ParseUint(response.Response.Header.Get(header), 10, 20)
	response.Response.Header.Del(header)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// Install adds the policy to a client, as one of its APIOptions. A call without a budget gets one.
// A busy error becomes fault.Busy, unless the call's context has ended.
func (p Policy) Install(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Busy", func(
		ctx context.Context, input middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(WithBudget(ctx), input)
		if err != nil && ctx.Err() == nil && p.busy(err) {
			err = fault.Busy(err)
		}
		return out, metadata, err
	}), middleware.Before)
}
