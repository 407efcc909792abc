package instancetable

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/merge"
)

// Read returns at most limit rows of a key range, with one Query call, and whether more may follow.
// It implements instancequery.Index. The read of a party's instances is strongly consistent; the
// indexes are eventually consistent.
func (t *Table) Read(ctx context.Context, keyRange instancequery.KeyRange, limit int) ([]merge.Row[instancequery.Row], bool, error) {
	partition, sort, prefix := attrPartition, attrSort, ""
	var index *string
	var hash string
	switch keyRange.Kind {
	case instancequery.ByOwner:
		hash, prefix = keyRange.InstanceOwnerID, instancePrefix
	case instancequery.ByStep, instancequery.ByUnconfirmed:
		partition, hash = attrStep, StepKey(keyRange.AppID, keyRange.Step, keyRange.Shard)
		if keyRange.Kind == instancequery.ByUnconfirmed {
			partition = attrUnconfirmed
		}
		index, sort = &partition, attrChanged
	case instancequery.ByLabel:
		partition, hash = LabelIndex(keyRange.Label), LabelKey(keyRange.AppID, keyRange.Label, keyRange.Step, keyRange.Shard)
		index, sort = &partition, attrChanged
	default:
		return nil, false, fmt.Errorf("instancetable: no index of kind %d", keyRange.Kind)
	}
	// A key cannot be empty, so replace an open end by a key before or after all keys, which start
	// with a digit.
	from, to := cmp.Or(keyRange.From, " "), cmp.Or(keyRange.To, "~")
	out, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, IndexName: index,
		KeyConditionExpression:   aws.String("#partition = :partition AND #sort BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#partition": partition, "#sort": sort},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":partition": &types.AttributeValueMemberS{Value: hash},
			":from":      &types.AttributeValueMemberS{Value: prefix + from},
			":to":        &types.AttributeValueMemberS{Value: prefix + to},
		},
		ScanIndexForward: aws.Bool(keyRange.Order == merge.Ascending),
		ConsistentRead:   aws.Bool(keyRange.Kind == instancequery.ByOwner),
		Limit:            aws.Int32(int32(limit)),
	})
	if err != nil {
		return nil, false, err
	}
	rows := make([]merge.Row[instancequery.Row], len(out.Items))
	for n, item := range out.Items {
		key, ok := item[sort].(*types.AttributeValueMemberS)
		if !ok { // DynamoDB has found the item by this attribute
			return nil, false, fmt.Errorf("instancetable: an item of %s has no %s", partition, sort)
		}
		rows[n].Key = strings.TrimPrefix(key.Value, prefix)
	}
	parallel(len(rows), func(n int) {
		i, err := decode(out.Items[n])
		if err != nil {
			err = fmt.Errorf("%s: %w", rows[n].Key, err)
		}
		rows[n].Value = instancequery.Row{Instance: i, Err: err}
	})
	return rows, len(out.LastEvaluatedKey) > 0, nil
}

// parallel calls do(0) … do(count-1), using all CPUs. See the package comment for the reason.
func parallel(count int, do func(n int)) {
	var workers sync.WaitGroup
	defer workers.Wait()
	share := max(count/runtime.GOMAXPROCS(0)+1, 8)
	for from := 0; from < count; from += share {
		workers.Go(func() {
			for n := from; n < min(from+share, count); n++ {
				do(n)
			}
		})
	}
}
