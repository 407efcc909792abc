package instancetable

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/instance"
)

// batchGets is the maximum number of keys of a BatchGetItem.
const batchGets = 100

// ReadEach calls read with each of the instances that exists, in any order and one at a time. The
// refs must differ. Documents may be a moment old. A document that is unreadable does not stop the
// others: read gets its error instead of the instance.
func (t *Table) ReadEach(ctx context.Context, refs []instance.Ref, read func(ref instance.Ref, i *instance.Instance, err error)) error {
	return busy.InBatches(ctx, refs, batchGets, 1, func(ctx context.Context, batch []instance.Ref) ([]instance.Ref, error) {
		keys := make([]map[string]types.AttributeValue, len(batch))
		byKey := make(map[string]instance.Ref, len(batch))
		for n, ref := range batch {
			keys[n] = instanceItemKey(ref.InstanceOwnerID, ref.ID)
			byKey[ref.InstanceOwnerID+"/"+InstanceKey(ref.ID)] = ref
		}
		refOf := func(item map[string]types.AttributeValue) (instance.Ref, error) {
			partition, ok := item[attrPartition].(*types.AttributeValueMemberS)
			sort, ok2 := item[attrSort].(*types.AttributeValueMemberS)
			if !ok || !ok2 {
				return instance.Ref{}, errors.New("instancetable: BatchGetItem returned an item without a key")
			}
			return byKey[partition.Value+"/"+sort.Value], nil
		}
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: keys}},
		})
		if err != nil {
			return nil, err
		}
		for _, item := range out.Responses[t.name] {
			ref, err := refOf(item)
			if err != nil {
				return nil, err
			}
			i, err := decode(item)
			read(ref, i, err)
		}
		var unprocessed []instance.Ref
		for _, key := range out.UnprocessedKeys[t.name].Keys {
			ref, err := refOf(key)
			if err != nil {
				return nil, err
			}
			unprocessed = append(unprocessed, ref)
		}
		return unprocessed, nil
	})
}

// SweepPosition returns the position of the sweep in the content of a shard, or "" before its first
// run.
func (t *Table) SweepPosition(ctx context.Context, shard int) (string, error) {
	item, err := t.item(ctx, sweepPrefix+strconv.Itoa(shard), sweepSort)
	if err != nil || item == nil {
		return "", err
	}
	position, ok := item[attrPosition].(*types.AttributeValueMemberS)
	if !ok {
		return "", fmt.Errorf("stored position of the sweep, shard %d: the attribute is missing", shard)
	}
	return position.Value, nil
}

// SetSweepPosition stores the position of the sweep in the content of a shard.
func (t *Table) SetSweepPosition(ctx context.Context, shard int, position string) error {
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: sweepPrefix + strconv.Itoa(shard)},
		attrSort:      &types.AttributeValueMemberS{Value: sweepSort},
		attrPosition:  &types.AttributeValueMemberS{Value: position},
	}})
	return err
}

func instanceItemKey(instanceOwnerID, id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: instanceOwnerID},
		attrSort:      &types.AttributeValueMemberS{Value: InstanceKey(id)},
	}
}
