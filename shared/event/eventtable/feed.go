// Package eventtable provides the feed: the events of each application in a dense sequence 1, 2,
// 3…, without duplicates and, within an instance, in order. Recorder appends and Feed reads. Feed
// never filters, because a reader that must not miss an event needs to know the positions that it
// passed.
//
// Table Events:
//
//	PK               SK                  other            read by
//	FEED#nav/app2018 first position      e, n, at, w, c   Recorder, Feed.Read, .History and others
//	INSTANCE#guid    event number        seq, slot, appId Recorder, Feed.History, .PositionOfID
//	INSTANCE#guid    1                   also o           Feed.SubjectOf
//	DAY#nav/app2018  day                 c                Feed.Counts
//	HELD#nav         PLACES              p0, p1, …        Feed.Take, .Release
//
// Positions and event numbers have 20 digits in keys. e is the events, n their number, at the
// time at which they were recorded, w the id of the write, c the counts after them or the counts
// of a day. o is the instanceOwnerId.
//
// # The slot log
//
// A feed is a sequence of slots. A slot has up to 500 events, deflated together, and is one item
// that never changes. Its key is its first position, which is the position after the last one of
// the slot before. The Recorder appends in these steps:
//
//  1. It finds the end of the feed: the last slot.
//  2. It makes sure that all events of the last slot have their position items, and all days that
//     the slot closes their items.
//  3. It reads the position items of its events and of their predecessors, consistently. It drops
//     duplicates, and returns events whose predecessor is neither in the feed nor in the new slot.
//  4. It puts the next slot on the condition that no item has its key. This is the commit.
//  5. It puts the position items of the slot and the days that the slot closes, and then deletes
//     the events from the outbox.
//
// Each event is in a feed once, and after its predecessor. Step 2 comes before step 4, so every
// slot except the last has its position items. A recorder that commits after the last slot has
// therefore read the positions of all events before its own slot. If another recorder commits
// first, the condition of step 4 fails, and the recorder begins again with step 1. A recorder may
// stop after any step: step 2 of the next one repairs the last slot. The outbox has the events
// until their positions are stored, so the sweep delivers them again, and a history misses none.
//
// A position item is not changed after it is written, so it does not matter how often, how late
// and by how many processes it is written. One item per instance with its last number would be
// overwritten by a process that is late.
//
// # Counts
//
// Every slot has the counts of all events up to its end: how many instances are in each step, and
// the changes of the two days that are open. The Recorder adds the events of the new slot to the
// counts of the slot before. So an event counts exactly once, by the same commit that appends it.
// The first slot of a new day also has the days that are no longer open. These become items in
// step 5, and step 2 of the next recorder repairs them, exactly like positions.
//
// A registered step stays, so the counts have at most 20 steps. The counts of three steps take
// about 100 bytes, and a slot with one event stays one write unit. Those of 20 steps with names of
// 64 characters take at most 2 KB. An application pays one more write unit on each day that has
// events, and two if a process starts with the first slot of the day.
//
// # Cost and throughput
//
// An event that is recorded alone costs three write units: slot, position and the deletion from the
// outbox. Ten events cost 21, because their slot is one unit. The write of a slot takes some
// milliseconds, so the number of events per slot decides how many events per second a feed takes.
// These commands print the numbers:
//
//	go run ./tests/bench/feed
//	make bench WHAT=ledger
//
// A feed is limited by its sequence of commits and not by the write units of its key. One feed
// takes some 6,000 events per second in slots of 500. Ten thousand need two sequences:
// FEED#nav/app2018/0 and /1, chosen by the first hexadecimal digit of the instance's guid, so
// that the events of an instance stay in one sequence. Two rules of the bus select them by the
// prefix of detail.id and fill two queues, so that no batch has events of both. A reader merges
// the two by time and its cursor has two numbers. Cursors contain their format, so this change is
// possible at any time.
//
// # Eventually consistent reads
//
// A poll reads the slots after a position with one query, eventually consistent: half a read unit
// if there is none. Such a read may miss the latest slots, and may even see a slot before the
// previous one if a partition was split between them. Read stops at a gap, so a reader skips no
// event, however fast it reads. A slot is one item, so it becomes visible as a whole.
//
// The item PLACES counts the held requests of an organisation, across all processes: p3 is the time
// until which a request has place 3. One kilobyte has room for sixty places.
package eventtable

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
)

// Feed reads the feeds of all applications.
type Feed struct {
	client *dynamodb.Client
	table  string

	mu      sync.Mutex
	reached map[string]reached // by application
}

// reached is a position that a feed had at a time.
type reached struct {
	seq int64
	at  time.Time
}

// Open returns the feeds in the table that EVENTS_TABLE names.
func Open(env *coldstart.Env) *Feed {
	feed := New(dynamo.Client(env), env.String("EVENTS_TABLE"))
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := feed.Read(ctx, "warm-up", event.Position{}, 1)
		return err
	})
	return feed
}

// New returns the feeds in the table of that name.
func New(client *dynamodb.Client, table string) *Feed {
	return &Feed{client: client, table: table, reached: map[string]reached{}}
}

// firstSlots is the maximum number of slots of Read's first query. Most polls find few events,
// and a slot that Read does not need costs as much as one that it returns.
const firstSlots = 10

// Read returns at most limit events after the given position, without a gap: after+1, after+2 and
// so on. Fewer than limit means that no further event is visible yet. The read is eventually
// consistent. It costs half a read unit if there are no events.
func (f *Feed) Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error) {
	records := []event.Record{}
	next := func() int64 { return after.Seq + int64(len(records)) + 1 }
	from, slots := max(after.Slot, 0), min(limit, firstSlots)
	if from == 0 {
		from = next()
	}
	for {
		out, err := f.client.Query(ctx, &dynamodb.QueryInput{
			TableName:              &f.table,
			KeyConditionExpression: aws.String("PK = :feed AND SK >= :first"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":feed": text(feedPartition(appID)), ":first": text(padded20(from)),
			},
			Limit: aws.Int32(int32(slots)),
		})
		if err != nil {
			return nil, fmt.Errorf("eventtable: read feed: %w", err)
		}
		for _, item := range out.Items {
			s, err := slotOf(item)
			if err != nil {
				return nil, err
			}
			if s.first > next() {
				// The slot before is not visible yet. Or the feed was restored from a backup, and
				// its slots begin elsewhere than when the position was returned.
				missing, err := lastSlot(ctx, f.client, f.table, appID, next(), true)
				if err != nil || missing == nil || !missing.holds(next()) {
					return f.note(appID, after.Seq, records), err
				}
				if records, err = missing.read(records, next(), limit); err != nil {
					return nil, err
				}
			}
			if len(records) < limit && s.holds(next()) {
				if records, err = s.read(records, next(), limit); err != nil {
					return nil, err
				}
			}
			if len(records) == limit {
				return f.note(appID, after.Seq, records), nil
			}
		}
		if out.LastEvaluatedKey == nil {
			return f.note(appID, after.Seq, records), nil
		}
		from = next()
		// As many slots as the remaining events need if they are as large as those so far.
		slots = max(1, (limit-len(records))*len(out.Items)/max(1, len(records)))
		slots = min(slots, limit-len(records))
	}
}

// read appends the events of the slot from a position on to records, up to limit records.
func (s *slot) read(records []event.Record, from int64, limit int) ([]event.Record, error) {
	to := min(s.last(), from+int64(limit-len(records))-1)
	docs, err := s.events(from, to)
	if err != nil {
		return nil, err
	}
	for n, doc := range docs {
		at := event.Position{Seq: from + int64(n), Slot: s.first}
		if at.Seq == s.last() {
			at.Slot = 0
		}
		records = append(records, event.Record{Position: at, RecordedAt: s.recordedAt, Document: doc})
	}
	return records, nil
}

// reachedAge is the time for which a position that a feed had counts as one that it has. A feed
// that was restored from a backup may end before it.
const reachedAge = time.Minute

// note remembers that the feed has the records after a position, and returns them.
func (f *Feed) note(appID string, after int64, records []event.Record) []event.Record {
	if len(records) > 0 {
		f.setReached(appID, after+int64(len(records)))
	}
	return records
}

func (f *Feed) setReached(appID string, seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.reached[appID]; seq < old.seq && time.Since(old.at) < reachedAge {
		return
	}
	if len(f.reached) >= maxEnds {
		clear(f.reached)
	}
	f.reached[appID] = reached{seq, time.Now()}
}

// Reaches reports whether the feed has the event at a position. It costs nothing if this process
// has read the feed up to there in the last minute, and otherwise what the slot costs.
func (f *Feed) Reaches(ctx context.Context, appID string, seq int64) (bool, error) {
	f.mu.Lock()
	known := f.reached[appID]
	f.mu.Unlock()
	if seq == 0 || seq <= known.seq && time.Since(known.at) < reachedAge {
		return true, nil
	}
	s, err := lastSlot(ctx, f.client, f.table, appID, seq, true)
	if err != nil || s == nil || s.last() < seq {
		return false, err
	}
	f.setReached(appID, s.last())
	return true, nil
}

// PositionOfID returns the place after the event with the given id in an application's feed, and
// whether the feed has the event. A reader may have an event of the last slot before the recorder
// has stored the event's position, so PositionOfID searches the last slot for an event without one.
// It costs one read unit, and for an event without a position another one and the last slot.
func (f *Feed) PositionOfID(ctx context.Context, appID, eventID string) (at event.Position, found bool, err error) {
	guid, n, err := event.ParseID(eventID)
	if err != nil {
		return event.Position{}, false, nil // no event has that id
	}
	if at, found, err = f.storedPosition(ctx, appID, guid, n); err != nil || found {
		return at, found, err
	}
	last, err := lastSlot(ctx, f.client, f.table, appID, math.MaxInt64, true)
	if err != nil || last == nil {
		return event.Position{}, false, err
	}
	records, err := last.read(nil, last.first, last.count)
	if err != nil {
		return event.Position{}, false, err
	}
	for _, record := range records {
		if record.Document.InstanceGuid == guid && record.Document.Number == n {
			return record.Position, true, nil
		}
	}
	// If another slot is the last one by now, the previous one has its positions.
	return f.storedPosition(ctx, appID, guid, n)
}

// SubjectOf returns the application and the owner of an instance, and whether the feed has the
// first event of the instance. The read is consistent and costs one read unit. A deleted instance
// keeps its events.
func (f *Feed) SubjectOf(ctx context.Context, instanceGuid string) (subject event.Subject, found bool, err error) {
	item, err := f.item(ctx, instancePartition(instanceGuid), padded20(1))
	if err != nil || item == nil {
		return event.Subject{}, false, err
	}
	subject = event.Subject{AppID: textOf(item, attrAppID), InstanceOwnerID: textOf(item, attrOwner)}
	if subject.AppID == "" || subject.InstanceOwnerID == "" {
		return event.Subject{}, false, errors.New("eventtable: the position of a first event has no application or owner")
	}
	return subject, true, nil
}

// storedPosition returns the place after an event of an instance, and whether its position is
// stored and belongs to the application.
func (f *Feed) storedPosition(ctx context.Context, appID, instanceGuid string, n int) (at event.Position, found bool, err error) {
	item, err := f.item(ctx, instancePartition(instanceGuid), padded20(n))
	if err != nil || item == nil || textOf(item, attrAppID) != appID {
		return event.Position{}, false, err
	}
	if at.Seq, at.Slot, err = positionOf(item); err != nil {
		return event.Position{}, false, err
	}
	f.setReached(appID, at.Seq)
	return at, true, nil
}

// End returns the end of an application's feed. The read is consistent. It costs one read unit per
// 4 KB of the last slot.
func (f *Feed) End(ctx context.Context, appID string) (event.Position, error) {
	last, err := lastSlot(ctx, f.client, f.table, appID, math.MaxInt64, true)
	if err != nil || last == nil {
		return event.Position{}, err
	}
	return event.Position{Seq: last.last()}, nil
}

// PositionOfTime returns a position such that every event of a change after t has a higher
// position. Higher positions may also have earlier events: those recorded within event.ClockSkew
// before t and those recorded late. The caller filters them. PositionOfTime reads the last slot and
// at most log2(feed length) others, eventually consistent.
func (f *Feed) PositionOfTime(ctx context.Context, appID string, t time.Time) (event.Position, error) {
	last, err := lastSlot(ctx, f.client, f.table, appID, math.MaxInt64, false)
	if err != nil || last == nil {
		return event.Position{}, err
	}
	f.setReached(appID, last.last())
	// An event is recorded after its change. An event that was recorded more than event.ClockSkew
	// before t therefore belongs to a change before t.
	t = t.Add(-event.ClockSkew)
	if !last.recordedAt.After(t) {
		return event.Position{Seq: last.last()}, nil
	}
	// All positions up to earlier are recorded at or before t, and those from later on after t.
	earlier, later := int64(0), last.first
	for later-earlier > 1 {
		middle := earlier + (later-earlier)/2
		s, err := lastSlot(ctx, f.client, f.table, appID, middle, false)
		if err != nil {
			return event.Position{}, err
		}
		switch {
		case s == nil || !s.holds(middle): // not visible yet: treat it as after t, so that no event is skipped
			later = middle
		case s.recordedAt.After(t):
			later = s.first
		default:
			earlier = s.last()
		}
	}
	return event.Position{Seq: later - 1}, nil
}

// item returns an item, or nil if it does not exist.
func (f *Feed) item(ctx context.Context, partition, sortKey string) (map[string]types.AttributeValue, error) {
	out, err := f.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &f.table, Key: key(partition, sortKey), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("eventtable: get: %w", err)
	}
	return out.Item, nil
}

// positionOf parses the item of an event's position.
func positionOf(item map[string]types.AttributeValue) (seq, slot int64, err error) {
	if seq, err = numberOf(item, attrSeq); err != nil {
		return 0, 0, err
	}
	slot, err = numberOf(item, attrSlot)
	return seq, slot, err
}
