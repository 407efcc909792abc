package eventtable

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/deflate"
	"altinn.no/instanceapi/shared/event"
)

// countsPacking is the format of counts: deflated JSON, about 100 bytes for three steps. Never
// change the dictionary, see package deflate.
var countsPacking = deflate.NewFormat(1, []byte(`{"steps":{"Archived":1,"FormFilling":1,"Submit":1},"days":[{"day":"2026-11-30","created":1,"steps":{"FormFilling":1`), 64<<10)

// packCounts returns the stored form of event.Counts or event.DayCounts.
func packCounts(counts any) (types.AttributeValue, error) {
	packed, err := countsPacking.Pack(func(b []byte) ([]byte, error) {
		raw, err := json.Marshal(counts)
		return append(b, raw...), err
	})
	if err != nil {
		return nil, fmt.Errorf("eventtable: counts: %w", err)
	}
	return &types.AttributeValueMemberB{Value: packed}, nil
}

// readCounts stores the counts of an item in counts, which points to what packCounts was given.
func readCounts(item map[string]types.AttributeValue, counts any) error {
	packed, ok := item[attrCounts].(*types.AttributeValueMemberB)
	if !ok {
		return fmt.Errorf("eventtable: the item %s has no counts", textOf(item, attrSort))
	}
	if err := countsPacking.Unpack(packed.Value, func(text []byte) error { return json.Unmarshal(text, counts) }); err != nil {
		return fmt.Errorf("eventtable: the counts of the item %s: %w", textOf(item, attrSort), err)
	}
	return nil
}

// dayItems returns the items of the days that the slot closes.
func (s *slot) dayItems(appID string) ([]map[string]types.AttributeValue, error) {
	var items []map[string]types.AttributeValue
	for _, day := range s.counts.Closed(s.recordedAt) {
		packed, err := packCounts(day)
		if err != nil {
			return nil, err
		}
		item := key(dayPartition(appID), day.Day)
		item[attrCounts] = packed
		items = append(items, item)
	}
	return items, nil
}

// Counts returns the counts of an application's events, with the days from first on, and the time
// of the last event that they include. The time is zero for an empty feed. The reads are
// consistent. Counts costs one read unit per 4 KB of the last slot, of which one event takes one,
// and one per 4 KB of the closed days, of which thirty usual ones take one.
func (f *Feed) Counts(ctx context.Context, appID, first string) (event.Counts, time.Time, error) {
	last, err := lastSlot(ctx, f.client, f.table, appID, math.MaxInt64, true)
	if err != nil || last == nil {
		return event.Counts{}, time.Time{}, err
	}
	// The days that the last slot has may lack their items. All earlier ones have them; see "The
	// slot log".
	end := "9" // after every day
	if len(last.counts.Days) > 0 {
		end = last.counts.Days[0].Day
	}
	counts := event.Counts{Steps: last.counts.Steps}
	var from map[string]types.AttributeValue
	for first < end {
		out, err := f.client.Query(ctx, &dynamodb.QueryInput{
			TableName: &f.table, ConsistentRead: aws.Bool(true), ExclusiveStartKey: from,
			KeyConditionExpression: aws.String("PK = :days AND SK BETWEEN :first AND :end"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":days": text(dayPartition(appID)), ":first": text(first), ":end": text(end),
			},
		})
		if err != nil {
			return event.Counts{}, time.Time{}, fmt.Errorf("eventtable: read days: %w", err)
		}
		for _, item := range out.Items {
			var day event.DayCounts
			if err := readCounts(item, &day); err != nil {
				return event.Counts{}, time.Time{}, err
			}
			if day.Day < end {
				counts.Days = append(counts.Days, day)
			}
		}
		if from = out.LastEvaluatedKey; from == nil {
			break
		}
	}
	for _, day := range last.counts.Days {
		if day.Day >= first {
			counts.Days = append(counts.Days, day)
		}
	}
	return counts, last.recordedAt, nil
}
