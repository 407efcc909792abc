package instancetable

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/merge"
)

// Read returns at most limit rows of a key range, with one Query call, and whether more may follow.
// It implements instancequery.Index. The documents in the rows stay packed until they are used. The
// read of a party's instances is strongly consistent; the indexes are eventually consistent.
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
	var projection *string
	if keyRange.KeysOnly {
		projection = aws.String("#sort")
	}
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

		ProjectionExpression: projection,
	})
	if err != nil {
		return nil, false, err
	}
	found, more := out.Items, len(out.LastEvaluatedKey) > 0
	if !keyRange.KeysOnly && keyRange.Kind != instancequery.ByOwner {
		if found, err = t.resolve(ctx, found); err != nil {
			return nil, false, err
		}
		more = more || len(found) < len(out.Items)
	}
	rows := make([]merge.Row[instancequery.Row], len(found))
	for n, item := range found {
		key, ok := item[sort].(*types.AttributeValueMemberS)
		if !ok { // DynamoDB has found the item by this attribute
			return nil, false, fmt.Errorf("instancetable: an item of %s has no %s", partition, sort)
		}
		rows[n].Key, rows[n].KeyOnly = strings.TrimPrefix(key.Value, prefix), keyRange.KeysOnly
		if !keyRange.KeysOnly {
			rows[n].Value, rows[n].Size = newRow(rows[n].Key, item)
		}
	}
	return rows, more, nil
}

// maxResolved is the maximum total size, in bytes, of the large documents that one read of an index
// fetches. A Query has the same limit for the documents in the index.
const maxResolved = 1 << 20

// resolve adds the large documents to the entries of an index that have only their sizes. It
// returns the first entries, as many as maxResolved allows, but at least one. An entry whose
// instance was deleted concurrently stays without a document.
func (t *Table) resolve(ctx context.Context, entries []map[string]types.AttributeValue) ([]map[string]types.AttributeValue, error) {
	total := 0
	var keys []map[string]types.AttributeValue
	large := map[string][]map[string]types.AttributeValue{} // the entries of an instance, by its id
	for n, entry := range entries {
		size, isLarge := entry[attrSize].(*types.AttributeValueMemberN)
		if !isLarge {
			continue
		}
		bytes, err := strconv.Atoi(size.Value)
		changed, ok := entry[attrChanged].(*types.AttributeValueMemberS)
		if err != nil || !ok {
			return nil, errors.New("stored index entry: invalid size or key")
		}
		if total += bytes; total > maxResolved && len(keys) > 0 {
			entries = entries[:n]
			break
		}
		_, id, _ := strings.Cut(changed.Value, "#")
		if large[id] == nil {
			keys = append(keys, map[string]types.AttributeValue{
				attrPartition: entry[attrPartition], attrSort: &types.AttributeValueMemberS{Value: InstanceKey(id)},
			})
		}
		large[id] = append(large[id], entry)
	}
	err := t.batchGet(ctx, keys, false, func(item map[string]types.AttributeValue) error {
		sort, ok := item[attrSort].(*types.AttributeValueMemberS)
		if !ok {
			return errNoKey
		}
		for _, entry := range large[strings.TrimPrefix(sort.Value, instancePrefix)] {
			for _, attribute := range []string{attrDocument, attrLarge, attrVersion} { // a concurrent change can make a large document small
				if value, ok := item[attribute]; ok {
					entry[attribute] = value
				}
			}
		}
		return nil
	})
	return entries, err
}

// newRow returns the row of an item with the given key, and the size of its document. The row keeps
// only the document and the version of the item.
func newRow(key string, item map[string]types.AttributeValue) (row instancequery.Row, size int) {
	packed, version, err := documentOf(item)
	return sync.OnceValues(func() (*instance.Instance, error) {
		var i *instance.Instance
		if err == nil {
			i, err = unpack(packed, version)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return i, nil
	}), len(packed)
}
