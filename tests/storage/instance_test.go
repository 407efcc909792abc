package storage

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

func TestInstances(t *testing.T) {
	client := dynamo(t)
	outbox := table(t, "Outbox")
	instances := instancetable.New(client, table(t, "Instances"), outbox)
	instancetest.Conformance(t, instances, func(t *testing.T, instanceID string) (ids []string) {
		out, err := client.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &outbox, KeyConditionExpression: aws.String("PK = :id"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":id": &types.AttributeValueMemberS{Value: instanceID}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, item := range out.Items {
			number := item["SK"].(*types.AttributeValueMemberN).Value
			if number != strconv.Itoa(n+1) {
				t.Errorf("outbox item %d has the number %s", n, number)
			}
			ids = append(ids, fmt.Sprint(instanceID, ".", number))
		}
		return ids
	})
}
