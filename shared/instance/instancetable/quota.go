package instancetable

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

// counterLifetime is how long after the start of its hour a counter expires.
const counterLifetime = 2 * time.Hour

// The counts of a counter besides attrCount, the instances.
const (
	attrElementCount = "ne"
	attrByteCount    = "nb"
)

// Reserve counts a caller's use in the hour of now, with one write. If the quota does not allow it,
// Reserve counts nothing and returns the fault of Quota.ExceededError. Concurrent calls never count
// more than the quota. Call it with use that the quota limits. The SDK retries when a response is
// lost, so Reserve may count a use twice, but never misses one.
func (t *Table) Reserve(ctx context.Context, by string, now time.Time, use instance.Usage, quota instance.Quota) error {
	if err := quota.ExceededError(instance.Usage{}, use, now); err != nil {
		return err
	}
	err := t.count(ctx, by, now, use, func(c count) (condition string, bound int64) {
		return "(attribute_not_exists(" + c.attribute + ") OR " + c.attribute + " <= ", *c.of((*instance.Usage)(&quota)) - *c.of(&use)
	})
	var conditionFailed *types.ConditionalCheckFailedException
	if errors.As(err, &conditionFailed) {
		var counted instance.Usage
		for _, c := range counts {
			if n, ok := conditionFailed.Item[c.attribute].(*types.AttributeValueMemberN); ok {
				if *c.of(&counted), err = strconv.ParseInt(n.Value, 10, 64); err != nil {
					return err
				}
			}
		}
		return quota.ExceededError(counted, use, now)
	}
	return err
}

// Release reverts a Reserve with the same now and use. Call it only if the request has certainly
// changed nothing.
func (t *Table) Release(ctx context.Context, by string, now time.Time, use instance.Usage) error {
	return t.count(ctx, by, now, instance.Usage{Instances: -use.Instances, Elements: -use.Elements, Bytes: -use.Bytes}, func(c count) (string, int64) {
		return "(" + c.attribute + " >= ", *c.of(&use)
	})
}

// count is an attribute of a counter, and the member of a usage that it counts.
type count struct {
	attribute string
	of        func(*instance.Usage) *int64
}

var counts = []count{
	{attrCount, func(u *instance.Usage) *int64 { return &u.Instances }},
	{attrElementCount, func(u *instance.Usage) *int64 { return &u.Elements }},
	{attrByteCount, func(u *instance.Usage) *int64 { return &u.Bytes }},
}

// count adds the members of use that are not zero to the caller's counter, if the condition holds
// for each. condition returns an expression that its bound and a parenthesis complete.
func (t *Table) count(ctx context.Context, by string, now time.Time, use instance.Usage, condition func(count) (string, int64)) error {
	hour := instance.HourOf(now)
	number := func(n int64) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	}
	var adds, conditions []string
	values := map[string]types.AttributeValue{":expires": number(hour.Add(counterLifetime).Unix())}
	for _, c := range counts {
		if n := *c.of(&use); n != 0 {
			expression, bound := condition(c)
			conditions = append(conditions, expression+":bound_"+c.attribute+")")
			adds = append(adds, c.attribute+" :"+c.attribute)
			values[":bound_"+c.attribute], values[":"+c.attribute] = number(bound), number(n)
		}
	}
	if len(adds) == 0 {
		return nil
	}
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name,
		Key: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: quotaPrefix + by + "#" + rfc3339.Format(hour)},
			attrSort:      &types.AttributeValueMemberS{Value: quotaSort},
		},
		UpdateExpression:                    aws.String("SET " + attrExpires + " = :expires ADD " + strings.Join(adds, ", ")),
		ConditionExpression:                 aws.String(strings.Join(conditions, " AND ")),
		ExpressionAttributeValues:           values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return err
}
