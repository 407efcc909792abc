package instancetable

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	keys := make([]map[string]types.AttributeValue, len(refs))
	for n, ref := range refs {
		keys[n] = instanceItemKey(ref.InstanceOwnerID, ref.ID)
	}
	return t.batchGet(ctx, keys, false, func(item map[string]types.AttributeValue) error {
		owner, ok := item[attrPartition].(*types.AttributeValueMemberS)
		sort, ok2 := item[attrSort].(*types.AttributeValueMemberS)
		if !ok || !ok2 {
			return errNoKey
		}
		i, err := decode(item)
		read(instance.Ref{InstanceOwnerID: owner.Value, ID: strings.TrimPrefix(sort.Value, instancePrefix)}, i, err)
		return nil
	})
}

var errNoKey = errors.New("instancetable: DynamoDB returned an item without its key")

// batchGet calls read with each of the items that exists, in any order and one at a time. The reads
// are strongly consistent if consistent is true.
func (t *Table) batchGet(ctx context.Context, keys []map[string]types.AttributeValue, consistent bool, read func(item map[string]types.AttributeValue) error) error {
	return busy.InBatches(ctx, keys, batchGets, 1, func(ctx context.Context, batch []map[string]types.AttributeValue) ([]map[string]types.AttributeValue, error) {
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: batch, ConsistentRead: &consistent}},
		})
		if err != nil {
			return nil, err
		}
		for _, item := range out.Responses[t.name] {
			if err := read(item); err != nil {
				return nil, err
			}
		}
		return out.UnprocessedKeys[t.name].Keys, nil
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
