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
)

// counterLifetime is how long the count of an hour is kept after the hour has begun.
const counterLifetime = 2 * time.Hour

// ReserveCreation counts one more creation by a caller in the hour of now, unless the quota is used up, and reports whether it
// did. However many ask at once, no more are counted than the quota. The SDK asks again when an answer is lost, so one may
// be counted twice, but never one too few.
func (t *Table) ReserveCreation(ctx context.Context, by string, now time.Time, quota instance.Quota) (bool, error) {
	err := t.addCreation(ctx, by, now, 1, "attribute_not_exists("+attrCount+") OR "+attrCount+" < :bound", int(quota))
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}

// ReleaseCreation takes back what ReserveCreation has counted at the same time, for a creation that has certainly not been made.
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
			attrPartition: &types.AttributeValueMemberS{Value: quotaPrefix + by + "#" + hour.Format(time.RFC3339)},
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
