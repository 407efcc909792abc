// Package dynamo provides the process's one DynamoDB client. It is a separate package so that only
// functions that use DynamoDB link the SDK's client. It never makes a call.
package dynamo

import (
	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Client returns the client of the process, the same at every call. The code that opens a table
// registers a warm-up call with env.OnInit under the name "dynamodb", because only that code
// knows a call that the function's policy allows.
func Client(env *coldstart.Env) *dynamodb.Client {
	return env.Shared("coldstart/dynamo", func() any {
		cfg := env.AWS("DYNAMODB")
		return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			// DynamoDB Local sends a wrong checksum with every 4xx response. The SDK would close
			// the connection because of it.
			o.DisableValidateResponseChecksum = cfg.BaseEndpoint != nil
		})
	}).(*dynamodb.Client)
}
