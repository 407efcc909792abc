// Package eventtable provides the feed: the events of each application in a dense sequence 1, 2,
// 3…, without duplicates and, within an instance, in order. Recorder appends and Feed reads. Feed
// never filters, because a reader that must not miss an event needs to know the positions that it
// passed.
//
// Table Events:
//
//	PK               SK                      other             read by
//	FEED#nav/app2018 HEAD                    seq, lastAt       Recorder, Feed.Head
//	FEED#nav/app2018 sequence, 20 digits     d, id, recordedAt Feed.Read, .History and others
//	INSTANCE#guid    event number, 20 digits seq, appId        Recorder, Feed.History and others
//	HELD#nav         PLACES                  p0, p1, …         Feed.Take, .Release
//
// The transaction that puts the events also raises HEAD, so no sequence number exists without its
// event. A transaction becomes visible item by item, however: a reader may see position 7 before
// position 6. The reader then stops before 7 and finds both positions with its next read. A reader
// therefore skips no event, however fast it reads and however late an event is delivered.
//
// The item PLACES counts the held requests of an organisation, across all processes: p3 is the time
// until which a request has place 3. One kilobyte has room for sixty places.
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

// Record is an event in the feed.
type Record struct {
	Seq        int64     // the position, from 1
	RecordedAt time.Time // UTC, microseconds; never before the time of a lower position
	Document   event.Encoded
}

// Head is the end of a feed.
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

// Head returns the end of the feed of an application with a consistent read: one read unit.
func (f *Feed) Head(ctx context.Context, appID string) (Head, error) {
	return readHead(ctx, f.client, f.table, appID, true)
}

// HeadEventual is Head with an eventually consistent read: half a read unit. The result may be some
// milliseconds old. The result can prove that there are new events, but not that there are none.
func (f *Feed) HeadEventual(ctx context.Context, appID string) (Head, error) {
	return readHead(ctx, f.client, f.table, appID, false)
}

// Read returns at most limit events after the given position, without a gap: after+1, after+2 and
// so on. Fewer than limit means that no further event is visible yet.
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
				return records, nil // a gap: a transaction is only partly visible
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

// PositionOfID returns the position of the event with the given id in an application's feed, and
// whether the feed has it.
func (f *Feed) PositionOfID(ctx context.Context, appID, eventID string) (seq int64, found bool, err error) {
	guid, n, err := event.ParseID(eventID)
	if err != nil {
		return 0, false, nil // no event has that id
	}
	item, err := f.item(ctx, instancePartition(guid), padded20(n), "")
	if err != nil || item == nil || textOf(item, attrAppID) != appID {
		return 0, false, err
	}
	seq, err = numberOf(item, attrSeq)
	return seq, err == nil, err
}

// PositionOfTime returns a position such that every event of a change after t has a higher
// position. Higher positions may also have earlier events: those recorded within event.ClockSkew
// before t and those recorded late. The caller filters them. PositionOfTime reads HEAD and about
// log2(feed length) items.
func (f *Feed) PositionOfTime(ctx context.Context, appID string, t time.Time) (int64, error) {
	head, err := f.Head(ctx, appID)
	if err != nil || head.Seq == 0 {
		return 0, err
	}
	// An event is recorded after its change. An event that was recorded more than event.ClockSkew
	// before t therefore belongs to a change before t.
	t = t.Add(-event.ClockSkew)
	if !head.LastAt.After(t) {
		return head.Seq, nil
	}
	var readErr error
	later := sort.Search(int(head.Seq), func(n int) bool { // n is the index of position n+1
		if readErr != nil {
			return true
		}
		item, err := f.item(ctx, feedPartition(appID), padded20(int64(n)+1), attrRecordedAt)
		if err != nil {
			readErr = err
			return true
		}
		if item == nil { // not visible yet: treat it as after t, so that no event is skipped
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

// item returns an item, or nil if it does not exist. If attribute is not empty, it returns only
// that attribute.
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

// headOf parses the item HEAD; nil means an empty feed. It fails for a malformed item.
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
