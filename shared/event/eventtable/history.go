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

// slotBatch is the number of slots in one call of History. Even the largest are less than the 16 MB
// that DynamoDB returns.
const slotBatch = 25

// History returns at most limit events of an instance after the given event number, in order and
// without a gap: after+1, after+2 and so on. History ends after the event with which the size of
// their JSON reaches maxBytes. Otherwise, fewer than limit means that the feed has no further
// event yet. The read is consistent. It costs one read unit per 30 positions, and the slots of
// the events.
func (f *Feed) History(ctx context.Context, instanceGuid string, after, limit, maxBytes int) ([]event.Encoded, error) {
	ctx = busy.WithBudget(ctx)
	places, err := f.places(ctx, instanceGuid, after, limit)
	if err != nil {
		return nil, err
	}
	docs, size := make([]event.Encoded, 0, len(places)), 0
	for len(places) > 0 {
		n, wanted := 0, map[int64]bool{} // the places in the next slots
		for n < len(places) && (len(wanted) < slotBatch || wanted[places[n].slot]) {
			wanted[places[n].slot] = true
			n++
		}
		slots, err := f.slots(ctx, places[0].appID, wanted)
		if err != nil {
			return nil, err
		}
		for n > 0 {
			inSlot := 1 // the events of an instance are in order, so those of a slot are together
			for inSlot < n && places[inSlot].slot == places[0].slot {
				inSlot++
			}
			found, err := eventsAt(slots[places[0].slot], places[:inSlot])
			if err != nil {
				return nil, err
			}
			for _, doc := range found {
				docs, size = append(docs, doc), size+len(doc.JSON)
				if size >= maxBytes {
					return docs, nil
				}
			}
			places, n = places[inSlot:], n-inSlot
		}
	}
	return docs, nil
}

// eventsAt returns the events at places of one slot.
func eventsAt(s *slot, places []place) ([]event.Encoded, error) {
	first, last := places[0].seq, places[len(places)-1].seq
	if s == nil || !s.holds(first) || !s.holds(last) {
		return nil, fmt.Errorf("eventtable: history: there is no slot with the positions %d to %d", first, last)
	}
	all, err := s.events(first, last)
	if err != nil {
		return nil, err
	}
	docs := make([]event.Encoded, len(places))
	for n, at := range places {
		docs[n] = all[at.seq-first]
	}
	return docs, nil
}

// place is where an event of an instance is.
type place struct {
	appID     string
	seq, slot int64
}

// places returns the places of the events after+1 to after+limit of an instance, in order, up to
// the first gap. All are in one feed.
func (f *Feed) places(ctx context.Context, instanceGuid string, after, limit int) ([]place, error) {
	var places []place
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
			if textOf(item, attrSort) != padded20(after+len(places)+1) {
				return places, nil
			}
			seq, slot, err := positionOf(item)
			if err != nil {
				return nil, err
			}
			places = append(places, place{textOf(item, attrAppID), seq, slot})
		}
		if from = out.LastEvaluatedKey; from == nil {
			return places, nil
		}
	}
}

// slots returns slots of a feed by their first position.
func (f *Feed) slots(ctx context.Context, appID string, wanted map[int64]bool) (map[int64]*slot, error) {
	var keys []map[string]types.AttributeValue
	for first := range wanted {
		keys = append(keys, key(feedPartition(appID), padded20(first)))
	}
	found := map[int64]*slot{}
	err := busy.InBatches(ctx, keys, slotBatch, 1, func(ctx context.Context, batch []map[string]types.AttributeValue) ([]map[string]types.AttributeValue, error) {
		out, err := f.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			f.table: {Keys: batch, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, fmt.Errorf("eventtable: history: %w", err)
		}
		for _, item := range out.Responses[f.table] {
			s, err := slotOf(item)
			if err != nil {
				return nil, err
			}
			found[s.first] = s
		}
		return out.UnprocessedKeys[f.table].Keys, nil
	})
	return found, err
}
