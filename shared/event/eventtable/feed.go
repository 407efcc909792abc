// Package eventtable provides the feed: every event of an application under a dense sequence 1, 2, 3…, each event once, those of
// one instance in order. Recorder appends, Feed reads. It never filters: a reader that is to miss nothing must know
// which positions it has passed.
//
// Table Events:
//
//	PK               SK                     other                read by
//	FEED#nav/app2018 HEAD                   seq, lastAt          Recorder, Feed.Head
//	FEED#nav/app2018 sequence, 20 digits    d, id, recordedAt    Feed.Read, Feed.PositionOfTime, Feed.History
//	INSTANCE#guid    event number, 20 digits seq, appId          Recorder (is it there?), Feed.PositionOfID, Feed.History
//
// HEAD is raised in the transaction that puts the events, so a sequence number is never taken without its event. A
// transaction becomes visible item by item, however, so a reader may see 7 while 6 is still to come; it stops there, and
// finds both the next time. That is all it takes to skip nothing, at any pace and any lateness of delivery.
package eventtable

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
)

// ClockSkew is how far apart the clocks may be of the functions that make events and of those that record them, for
// PositionOfTime to pass nothing. Lambda's differ by milliseconds.
const ClockSkew = time.Minute

// Record is an event in the feed.
type Record struct {
	Seq        int64     // the position, from 1
	RecordedAt time.Time // when it came into the feed, UTC, microseconds; never before that of a lower position
	Document   event.Encoded
}

// Head is where a feed ends.
type Head struct {
	Seq    int64     // the highest position; 0 for an empty feed
	LastAt time.Time // the RecordedAt of that position; zero for an empty feed
}

// Feed reads the feeds of all applications.
type Feed struct {
	client *dynamodb.Client
	table  string
}

// Open returns the feeds in the table that EVENTS_TABLE names.
func Open(env *coldstart.Env) *Feed {
	feed := New(dynamo.Client(env), env.String("EVENTS_TABLE"))
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := feed.Head(ctx, "warm-up")
		return err
	})
	return feed
}

// New returns the feeds in the table of that name.
func New(client *dynamodb.Client, table string) *Feed {
	return &Feed{client: client, table: table}
}

// Head returns where the feed of an application ends, as of all events recorded: one read unit.
func (f *Feed) Head(ctx context.Context, appID string) (Head, error) {
	return readHead(ctx, f.client, f.table, appID, true)
}

// HeadEventual is Head at half the price. It may be some milliseconds behind, and so tells that there is something new, never
// that there is nothing.
func (f *Feed) HeadEventual(ctx context.Context, appID string) (Head, error) {
	return readHead(ctx, f.client, f.table, appID, false)
}

// Read returns at most limit events after the position given, dense: after+1, after+2 and so on. Fewer than limit
// means that there are no more to be seen now.
func (f *Feed) Read(ctx context.Context, appID string, after int64, limit int) ([]Record, error) {
	records := []Record{}
	var from map[string]types.AttributeValue
	for {
		out, err := f.client.Query(ctx, &dynamodb.QueryInput{
			TableName:              &f.table,
			ConsistentRead:         aws.Bool(true),
			KeyConditionExpression: aws.String("PK = :feed AND SK BETWEEN :first AND :last"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":feed":  text(feedPartition(appID)),
				":first": text(padded20(after + 1)),
				":last":  text(padded20(after + int64(limit))),
			},
			Limit:             aws.Int32(int32(limit - len(records))),
			ExclusiveStartKey: from,
		})
		if err != nil {
			return nil, fmt.Errorf("eventtable: read feed: %w", err)
		}
		for _, item := range out.Items {
			next := after + int64(len(records)) + 1
			if textOf(item, attrSort) != padded20(next) {
				return records, nil // a gap: a transaction that is not wholly visible yet
			}
			record, err := readRecord(item, next)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
		}
		if from = out.LastEvaluatedKey; from == nil || len(records) >= limit {
			return records, nil
		}
	}
}

func readRecord(item map[string]types.AttributeValue, seq int64) (Record, error) {
	doc, err := event.Decode([]byte(textOf(item, attrDocument)))
	if err != nil {
		return Record{}, fmt.Errorf("eventtable: position %d: %w", seq, err)
	}
	at, err := timeOf(item, attrRecordedAt)
	if err != nil {
		return Record{}, fmt.Errorf("eventtable: position %d: %w", seq, err)
	}
	return Record{Seq: seq, RecordedAt: at, Document: doc}, nil
}

// PositionOfID returns the position of the event with that id in an application's feed, and whether it is there.
func (f *Feed) PositionOfID(ctx context.Context, appID, eventID string) (seq int64, found bool, err error) {
	guid, n, err := event.ParseID(eventID)
	if err != nil {
		return 0, false, nil // nobody has that id
	}
	item, err := f.item(ctx, instancePartition(guid), padded20(n), "")
	if err != nil || item == nil || textOf(item, attrAppID) != appID {
		return 0, false, err
	}
	seq, err = numberOf(item, attrSeq)
	return seq, err == nil, err
}

// PositionOfTime returns a position that no event of a change made after t is at or before. There may be earlier
// events after it, at least those recorded in the last minute before t (ClockSkew) and those recorded late: the caller
// leaves out what is not after t. It reads HEAD and about log2 of the feed's length of its items.
func (f *Feed) PositionOfTime(ctx context.Context, appID string, t time.Time) (int64, error) {
	head, err := f.Head(ctx, appID)
	if err != nil || head.Seq == 0 {
		return 0, err
	}
	// An event is recorded after its change was made. So what was recorded before t, by a clock that may be ahead by
	// ClockSkew of the one that gave the change its time, is of a change made before t.
	t = t.Add(-ClockSkew)
	if !head.LastAt.After(t) {
		return head.Seq, nil
	}
	var readErr error
	later := sort.Search(int(head.Seq), func(n int) bool { // of positions 1…Seq, n stands for n+1
		if readErr != nil {
			return true
		}
		item, err := f.item(ctx, feedPartition(appID), padded20(int64(n)+1), attrRecordedAt)
		if err != nil {
			readErr = err
			return true
		}
		if item == nil { // not visible yet: it counts as after t, which passes nothing
			return true
		}
		at, err := timeOf(item, attrRecordedAt)
		readErr = err
		return at.After(t)
	})
	if readErr != nil {
		return 0, readErr
	}
	return int64(later), nil
}

// item returns an item, only the attribute given if any, or nil when there is none.
func (f *Feed) item(ctx context.Context, partition, sortKey, attribute string) (map[string]types.AttributeValue, error) {
	in := &dynamodb.GetItemInput{TableName: &f.table, Key: key(partition, sortKey), ConsistentRead: aws.Bool(true)}
	if attribute != "" {
		in.ProjectionExpression = &attribute
	}
	out, err := f.client.GetItem(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("eventtable: get: %w", err)
	}
	return out.Item, nil
}

func readHead(ctx context.Context, client *dynamodb.Client, table, appID string, consistent bool) (Head, error) {
	out, err := client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &table, Key: key(feedPartition(appID), headSort), ConsistentRead: &consistent,
	})
	if err != nil {
		return Head{}, fmt.Errorf("eventtable: get head: %w", err)
	}
	return headOf(out.Item)
}

// headOf reads the item HEAD; none is an empty feed.
func headOf(item map[string]types.AttributeValue) (head Head, err error) {
	if item == nil {
		return Head{}, nil
	}
	if head.Seq, err = numberOf(item, attrSeq); err != nil {
		return Head{}, err
	}
	head.LastAt, err = timeOf(item, attrLastAt)
	return head, err
}
