package instancetable

import (
	"context"
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
)

// Orphan checks and notes of the agenda are work for a later time. They have one partition per
// shard, so the limit of a thousand writes per second and partition does not limit the requests
// that schedule them. A shard is read in order of time.

// writeAll writes a request for each value, in batches. After an error some of them may be written.
func writeAll[T any](ctx context.Context, t *Table, values []T, request func(T) types.WriteRequest) error {
	requests := make([]types.WriteRequest, len(values))
	for n, v := range values {
		requests[n] = request(v)
	}
	return busy.InBatches(ctx, requests, batchItems, 1, t.writeBatch)
}

// readDue returns up to limit values of a shard whose sort key is less than end, oldest first. The
// name of the partition is prefix and the shard. after, if not nil, is the key of the last value of
// the previous page. If some items are unreadable, readDue returns the others and an error.
func readDue[T any](ctx context.Context, t *Table, prefix string, shard int, after map[string]types.AttributeValue, end string, limit int,
	decode func(map[string]types.AttributeValue) (T, error),
) ([]T, error) {
	out, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression: aws.String(attrPartition + " = :shard AND " + attrSort + " < :end"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":shard": &types.AttributeValueMemberS{Value: prefix + strconv.Itoa(shard)},
			":end":   &types.AttributeValueMemberS{Value: end},
		},
		ExclusiveStartKey: after,
	})
	if err != nil {
		return nil, err
	}
	var values []T
	var unreadable []error
	for _, item := range out.Items {
		v, err := decode(item)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		values = append(values, v)
	}
	return values, errors.Join(unreadable...)
}
