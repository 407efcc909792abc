package eventtable

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
)

// DynamoDB's limits of one call, and the number of calls at a time.
const (
	maxGets       = 100
	maxWrites     = 25
	parallelCalls = 8
)

// eventKey identifies an event by its instance and number.
type eventKey struct {
	instanceGuid string
	number       int
}

func keyOf(doc event.Encoded) eventKey { return eventKey{doc.InstanceGuid, doc.Number} }

// positioned returns which of the events have a position in any feed. The read is consistent.
func (r *Recorder) positioned(ctx context.Context, events map[eventKey]bool) (map[eventKey]bool, error) {
	keys := make([]map[string]types.AttributeValue, 0, len(events))
	sorts := make(map[string]eventKey, len(events))
	for e := range events {
		k := key(instancePartition(e.instanceGuid), padded20(e.number))
		keys, sorts[textOf(k, attrPartition)+textOf(k, attrSort)] = append(keys, k), e
	}
	found := map[eventKey]bool{}
	var mu sync.Mutex
	err := busy.InBatches(ctx, keys, maxGets, parallelCalls, func(ctx context.Context, batch []map[string]types.AttributeValue) ([]map[string]types.AttributeValue, error) {
		out, err := r.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			r.table: {Keys: batch, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, fmt.Errorf("eventtable: read positions: %w", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, item := range out.Responses[r.table] {
			found[sorts[textOf(item, attrPartition)+textOf(item, attrSort)]] = true
		}
		return out.UnprocessedKeys[r.table].Keys, nil
	})
	return found, err
}

// complete stores the positions of the events of a slot, except those in stored, and the days that
// the slot closes. The slot alone determines these items, so storing one again, or late, changes
// nothing.
func (r *Recorder) complete(ctx context.Context, appID string, s *slot, docs []event.Encoded, stored map[eventKey]bool) error {
	days, err := s.dayItems(appID)
	if err != nil {
		return err
	}
	var requests []types.WriteRequest
	for _, item := range days {
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	for n, doc := range docs {
		if stored[keyOf(doc)] {
			continue
		}
		item := key(instancePartition(doc.InstanceGuid), padded20(doc.Number))
		item[attrSeq] = number(s.first + int64(n))
		item[attrSlot] = number(s.first)
		item[attrAppID] = text(appID)
		if doc.Number == 1 { // one item is enough, and History reads many
			item[attrOwner] = text(doc.Event.InstanceOwnerID)
		}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	return busy.InBatches(ctx, requests, maxWrites, parallelCalls, func(ctx context.Context, batch []types.WriteRequest) ([]types.WriteRequest, error) {
		out, err := r.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{r.table: batch}})
		if err != nil {
			return nil, fmt.Errorf("eventtable: store positions and days: %w", err)
		}
		return out.UnprocessedItems[r.table], nil
	})
}
