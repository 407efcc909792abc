package eventtable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
)

// The limits of a slot. Deflate adds less to incompressible text than is left of DynamoDB's 400 KB.
// One event may have more; it has a slot alone.
const (
	maxSlotEvents = 500
	maxSlotBytes  = 350_000 // of JSON
)

// slot is a sequence of events that one write has appended to a feed.
type slot struct {
	first      int64 // position of the first event
	count      int
	recordedAt time.Time
	packed     []byte       // the events, as package event packs them
	counts     event.Counts // after the last event
}

// last returns the position of the last event.
func (s *slot) last() int64 { return s.first + int64(s.count) - 1 }

// end returns the end of a feed whose last slot is s.
func (s *slot) end() end { return end{s.last(), s.recordedAt, s.counts} }

// holds reports whether the slot has a position.
func (s *slot) holds(seq int64) bool { return s.first <= seq && seq <= s.last() }

// events returns the events at the positions from to to, in order. All must be in the slot.
func (s *slot) events(from, to int64) ([]event.Encoded, error) {
	docs, count, err := event.UnpackRange(s.packed, int(from-s.first), int(to-s.first+1))
	if err == nil && count != s.count {
		err = fmt.Errorf("%d events instead of %d", count, s.count)
	}
	if err != nil {
		return nil, fmt.Errorf("eventtable: slot %d: %w", s.first, err)
	}
	return docs, nil
}

// slotLen returns the number of leading events that fit into one slot.
func slotLen(docs []event.Encoded) int {
	bytes := 0
	for n, doc := range docs {
		if bytes += len(doc.JSON) + 1; n == maxSlotEvents || n > 0 && bytes > maxSlotBytes {
			return n
		}
	}
	return len(docs)
}

// item returns the item of the slot, and the id of this write.
func (s *slot) item(appID string) (item map[string]types.AttributeValue, writeID []byte, err error) {
	writeID = make([]byte, 8)
	_, _ = rand.Read(writeID) // never fails
	item = key(feedPartition(appID), padded20(s.first))
	item[attrCount] = number(int64(s.count))
	item[attrEvents] = &types.AttributeValueMemberB{Value: s.packed}
	item[attrRecordedAt] = text(rfc3339.Format(s.recordedAt))
	item[attrWriteID] = &types.AttributeValueMemberB{Value: writeID}
	item[attrCounts], err = packCounts(s.counts)
	return item, writeID, err
}

// slotOf parses the item of a slot.
func slotOf(item map[string]types.AttributeValue) (*slot, error) {
	sort := textOf(item, attrSort)
	first, err := strconv.ParseInt(sort, 10, 64)
	if err != nil {
		return nil, errors.New("eventtable: the key of a slot is not a position")
	}
	count, err := numberOf(item, attrCount)
	if err != nil {
		return nil, err
	}
	at, ok := rfc3339.Parse(textOf(item, attrRecordedAt))
	packed, ok2 := item[attrEvents].(*types.AttributeValueMemberB)
	if !ok || !ok2 || count < 1 {
		return nil, fmt.Errorf("eventtable: slot %d is damaged", first)
	}
	return &slot{first: first, count: int(count), recordedAt: at, packed: packed.Value}, nil
}

// lastSlot returns the last slot of a feed that begins at or before a position, or nil if there is
// none. It costs what the slot costs, half a read unit per 4 KB if the read is not consistent.
func lastSlot(ctx context.Context, client *dynamodb.Client, table, appID string, upTo int64, consistent bool) (*slot, error) {
	out, err := client.Query(ctx, &dynamodb.QueryInput{
		TableName: &table, ConsistentRead: &consistent, ScanIndexForward: aws.Bool(false), Limit: aws.Int32(1),
		KeyConditionExpression: aws.String("PK = :feed AND SK <= :last"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":feed": text(feedPartition(appID)), ":last": text(padded20(upTo)),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("eventtable: read the last slot: %w", err)
	}
	if len(out.Items) == 0 {
		return nil, nil
	}
	s, err := slotOf(out.Items[0])
	if err == nil {
		err = readCounts(out.Items[0], &s.counts)
	}
	return s, err
}

// isWrite reports whether the write with the id has put the item.
func isWrite(item map[string]types.AttributeValue, writeID []byte) bool {
	stored, ok := item[attrWriteID].(*types.AttributeValueMemberB)
	return ok && slices.Equal(stored.Value, writeID)
}
