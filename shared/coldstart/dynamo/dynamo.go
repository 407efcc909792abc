// Package dynamo provides the process's DynamoDB client. It is a separate package so that only
// functions that use DynamoDB link the SDK's client. The package never calls DynamoDB.
package dynamo

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
)

// Client returns the client of the process, the same for every call. The code that opens a table
// must register a warm-up call with env.OnInit under the name "dynamodb". Only that code knows
// which call the function's policy allows.
func Client(env *coldstart.Env) *dynamodb.Client {
	return env.Shared("coldstart/dynamo", func() any {
		cfg := env.AWS("DYNAMODB")
		return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			// DynamoDB Local sends a wrong checksum with every 4xx response. With validation, the
			// SDK would close the connection.
			o.DisableValidateResponseChecksum = cfg.BaseEndpoint != nil
		}, Retries)
	}).(*dynamodb.Client)
}

// Retries is an option of a client. It replaces the client's retries and API options by the policy
// of package busy for DynamoDB, which retries throttled transactions too.
func Retries(o *dynamodb.Options) {
	policy := busy.NewPolicy(isThrottledTransaction)
	o.Retryer, o.APIOptions = policy.Retryer(), []func(*middleware.Stack) error{policy.Install}
}

// isThrottledTransaction reports whether err is a cancellation that throttling caused alone. The
// same transaction can succeed later. Any other reason decides: after a failed condition, the
// caller must read the item before it tries again.
func isThrottledTransaction(err error) bool {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return false
	}
	throttled := false
	for _, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "None", "", "TransactionConflict":
		case "ThrottlingError", "ProvisionedThroughputExceeded":
			throttled = true
		default:
			return false
		}
	}
	return throttled
}
