// Package dynamo provides the process's one DynamoDB client. It is a package of its own so that only functions that
// use DynamoDB link the SDK's client; it never makes a call.
package dynamo

import (
	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Client returns the client of this process, the same at every call. What opens a table registers its own warm-up with
// env.Warm, since only it knows a call that the function's policy allows; the name to give is "dynamodb".
func Client(env *coldstart.Env) *dynamodb.Client {
	return env.Shared("coldstart/dynamo", func() any {
		cfg := env.AWS("DYNAMODB")
		return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			// DynamoDB Local sends the checksum of something else with every 4xx answer, which costs the connection.
			o.DisableValidateResponseChecksum = cfg.BaseEndpoint != nil
		})
	}).(*dynamodb.Client)
}
