package instancetable

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

// counterLifetime is how long after the start of its hour a counter expires.
const counterLifetime = 2 * time.Hour

// ReserveCreation counts one more creation by a caller in the hour of now, and reports whether the
// quota allows it. Concurrent calls never count more than the quota. The SDK retries when a
// response is lost, so ReserveCreation may count a creation twice, but never misses one.
func (t *Table) ReserveCreation(ctx context.Context, by string, now time.Time, quota instance.Quota) (bool, error) {
	err := t.addCreation(ctx, by, now, 1, "attribute_not_exists("+attrCount+") OR "+attrCount+" < :bound", int(quota))
	var conditionFailed *types.ConditionalCheckFailedException
	if errors.As(err, &conditionFailed) {
		return false, nil
	}
	return err == nil, err
}

// ReleaseCreation reverts a ReserveCreation with the same now. Call it only if the creation has
// certainly failed.
func (t *Table) ReleaseCreation(ctx context.Context, by string, now time.Time) error {
	return t.addCreation(ctx, by, now, -1, attrCount+" > :bound", 0)
}

func (t *Table) addCreation(ctx context.Context, by string, now time.Time, n int, condition string, bound int) error {
	hour := instance.HourOf(now)
	number := func(n int64) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	}
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name,
		Key: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: quotaPrefix + by + "#" + rfc3339.Format(hour)},
			attrSort:      &types.AttributeValueMemberS{Value: quotaSort},
		},
		UpdateExpression:    aws.String("SET " + attrExpires + " = :expires ADD " + attrCount + " :n"),
		ConditionExpression: aws.String(condition),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":n": number(int64(n)), ":bound": number(int64(bound)), ":expires": number(hour.Add(counterLifetime).Unix()),
		},
	})
	return err
}
