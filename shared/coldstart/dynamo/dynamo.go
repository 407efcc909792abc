// Package dynamo provides the process's DynamoDB client. It is a separate package so that only
// functions that use DynamoDB link the SDK's client. The package never calls DynamoDB.
package dynamo

import (
	"altinn.no/instanceapi/shared/coldstart"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
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
		})
	}).(*dynamodb.Client)
}
