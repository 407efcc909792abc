// Command dynamoget is the baseline of throughput: it makes only the DynamoDB call of
// instance-get, with the same client. It reads no token, decides nothing, and responds with the
// undecoded item.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
)

func main() {
	env := coldstart.Load()
	client, table := dynamo.Client(env), env.String("INSTANCES_TABLE")
	env.Ready()
	lambda.Start(func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		out, err := client.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &table,
			Key: map[string]types.AttributeValue{
				"PK": &types.AttributeValueMemberS{Value: event.PathParameters["instanceOwnerId"]},
				"SK": &types.AttributeValueMemberS{Value: "INSTANCE#" + event.PathParameters["instanceGuid"]},
			},
			ConsistentRead: aws.Bool(true),
		})
		if err != nil {
			return events.APIGatewayV2HTTPResponse{}, err
		}
		for _, value := range out.Item {
			if packed, ok := value.(*types.AttributeValueMemberB); ok {
				return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: string(packed.Value), IsBase64Encoded: true}, nil
			}
		}
		return events.APIGatewayV2HTTPResponse{StatusCode: 200}, nil
	})
}
