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

// Read returns at most limit rows of a span: one Query call. It implements instancequery.Index. A party's own
// instances are read as of all answered writes; the indexes may lag behind by a moment.
func (t *Table) Read(ctx context.Context, span instancequery.KeyRange, limit int) ([]merge.Row[instancequery.Row], bool, error) {
	partition, sort, prefix := attrPartition, attrSort, ""
	var index *string
	var hash string
	switch span.Kind {
	case instancequery.ByOwner:
		hash, prefix = span.InstanceOwnerID, instancePrefix
	case instancequery.ByStep, instancequery.ByUnconfirmed:
		partition, hash = attrStep, StepKey(span.AppID, span.Step, span.Shard)
		if span.Kind == instancequery.ByUnconfirmed {
			partition = attrUnconfirmed
		}
		index, sort = &partition, attrChanged
	case instancequery.ByLabel:
		partition, hash = LabelIndex(span.Label), LabelKey(span.AppID, span.Label, span.Step, span.Shard)
		index, sort = &partition, attrChanged
	default:
		return nil, false, fmt.Errorf("instancetable: no index of kind %d", span.Kind)
	}
	// An open end is what sorts before or after every key: they begin with a digit. A key cannot be empty.
	from, to := cmp.Or(span.From, " "), cmp.Or(span.To, "~")
	out, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, IndexName: index,
		KeyConditionExpression:   aws.String("#partition = :partition AND #sort BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#partition": partition, "#sort": sort},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":partition": &types.AttributeValueMemberS{Value: hash},
			":from":      &types.AttributeValueMemberS{Value: prefix + from},
			":to":        &types.AttributeValueMemberS{Value: prefix + to},
		},
		ScanIndexForward: aws.Bool(span.Order == merge.Ascending),
		ConsistentRead:   aws.Bool(span.Kind == instancequery.ByOwner),
		Limit:            aws.Int32(int32(limit)),
	})
	if err != nil {
		return nil, false, err
	}
	rows := make([]merge.Row[instancequery.Row], len(out.Items))
	for n, item := range out.Items {
		key, ok := item[sort].(*types.AttributeValueMemberS)
		if !ok { // DynamoDB has just found it by this attribute
			return nil, false, fmt.Errorf("instancetable: an item of %s without %s", partition, sort)
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

// parallel calls do with each number below count, on all processors: the documents of a page take half as long to unpack as
// DynamoDB takes to find them.
func parallel(count int, do func(n int)) {
	var working sync.WaitGroup
	defer working.Wait()
	share := max(count/runtime.GOMAXPROCS(0)+1, 8)
	for from := 0; from < count; from += share {
		working.Go(func() {
			for n := from; n < min(from+share, count); n++ {
				do(n)
			}
		})
	}
}
