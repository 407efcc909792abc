package eventtable

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
)

// maxBatch is the number of items that DynamoDB allows in one BatchGetItem.
const maxBatch = 100

// History returns at most limit events of an instance after the given event number, in order and
// without a gap: after+1, after+2 and so on. History ends after the event with which the size of
// their JSON reaches maxBytes. Otherwise, fewer than limit means that no further event is visible
// yet. History holds at most maxBytes and one batch of the largest events.
func (f *Feed) History(ctx context.Context, instanceGuid string, after, limit, maxBytes int) ([]event.Encoded, error) {
	ctx = busy.WithBudget(ctx)
	positions, err := f.positions(ctx, instanceGuid, after, limit)
	if err != nil {
		return nil, err
	}
	docs, size := make([]event.Encoded, 0, len(positions)), 0
	for len(positions) > 0 {
		n := min(len(positions), maxBatch)
		found, err := f.documents(ctx, positions[:n])
		if err != nil {
			return nil, err
		}
		for _, position := range positions[:n] {
			item := found[textOf(position, attrSort)]
			if item == nil {
				return docs, nil // a transaction is partly visible
			}
			doc, err := event.Decode([]byte(textOf(item, attrDocument)))
			if err != nil {
				return nil, fmt.Errorf("eventtable: history: %w", err)
			}
			docs = append(docs, doc)
			if size += len(doc.JSON); size >= maxBytes {
				return docs, nil
			}
		}
		positions = positions[n:]
	}
	return docs, nil
}

// positions returns the feed keys of the events after+1 to after+limit of an instance, in order, up
// to the first gap.
func (f *Feed) positions(ctx context.Context, instanceGuid string, after, limit int) ([]map[string]types.AttributeValue, error) {
	var keys []map[string]types.AttributeValue
	var from map[string]types.AttributeValue
	for {
		out, err := f.client.Query(ctx, &dynamodb.QueryInput{
			TableName:              &f.table,
			ConsistentRead:         aws.Bool(true),
			KeyConditionExpression: aws.String("PK = :instance AND SK BETWEEN :first AND :last"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":instance": text(instancePartition(instanceGuid)),
				":first":    text(padded20(after + 1)),
				":last":     text(padded20(after + limit)),
			},
			ExclusiveStartKey: from,
		})
		if err != nil {
			return nil, fmt.Errorf("eventtable: history: %w", err)
		}
		for _, item := range out.Items {
			if textOf(item, attrSort) != padded20(after+len(keys)+1) {
				return keys, nil
			}
			seq, err := numberOf(item, attrSeq)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key(feedPartition(textOf(item, attrAppID)), padded20(seq)))
		}
		if from = out.LastEvaluatedKey; from == nil {
			return keys, nil
		}
	}
}

// documents returns the items with the given keys of one feed, by sort key. It requests the keys
// that DynamoDB leaves unprocessed again while the budget of ctx allows it.
func (f *Feed) documents(ctx context.Context, keys []map[string]types.AttributeValue) (map[string]map[string]types.AttributeValue, error) {
	found := map[string]map[string]types.AttributeValue{}
	for len(keys) > 0 {
		out, err := f.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			f.table: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, fmt.Errorf("eventtable: history: %w", err)
		}
		items := out.Responses[f.table]
		for _, item := range items {
			found[textOf(item, attrSort)] = item
		}
		keys = out.UnprocessedKeys[f.table].Keys
		// DynamoDB returns at most 16 MB, so a batch of large events is unprocessed in part. Only a
		// call without any item was throttled.
		if len(keys) > 0 && len(items) == 0 {
			if err := busy.Retry(ctx); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}
