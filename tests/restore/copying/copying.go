// Package copying copies the items of a table that DynamoDB has restored from a backup into the
// table of the stack.
//
// It writes an item only on condition that the stack's table has none with its key. So it never
// overwrites a newer item, and a run that was cut off, or is repeated, does no harm. Four kinds of
// items need more than that condition:
//
//   - An instance that was deleted permanently after the backup has a deletion record in the
//     stack's table. The transaction that copies an instance checks that there is none. With
//     IncludeDeleted the instance comes back with an internal event, which counts the instance
//     again. The event also takes the number after those of the events that the backup lacks.
//     Otherwise the feed would drop the next events of the instance as known ones.
//   - The item of a colliding label is a copy of its instance. It is copied only if the stack's
//     table has the instance in the same version. Otherwise a removed label would come back.
//   - An event of the outbox is not copied if the feed has it.
//   - The slots, positions and days of a feed are not copied if event-record has appended to the
//     feed after the loss. Old slots between the new ones would repeat positions or leave a gap, at
//     which every reader stops. A replay of the archive counts the lost events again.
//
// Items that expire by themselves are not copied. They concern requests of a day that has passed.
package copying

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

const (
	writersPerSegment = 8
	pageItems         = 500              // the most that a run does again after it was cut off
	pollInterval      = 15 * time.Second // while the restored table is not active
	busyPause         = time.Second      // after the retries of the client are used up
	reportInterval    = 10 * time.Second
)

// Job is a copy of one table.
type Job struct {
	Client   *dynamodb.Client
	Kind     string // logical name of the table in template.yaml
	From, To string // table names
	Events   string // table name, for the kind Outbox and IncludeDeleted
	Outbox   string // table name, for IncludeDeleted

	IncludeDeleted bool         // copy instances that were deleted permanently too
	State          string       // file with the progress; "" for none
	Segments       int          // parts that are copied at the same time
	Progress       func(Counts) // called every ten seconds; may be nil

	feeds *sync.Map // by feed, whether it has been continued: func() (bool, error)
}

// Counts are the numbers of items by outcome.
type Counts struct {
	Scanned   int
	ByOutcome map[Outcome]int
}

// String returns the counts in one line.
func (c Counts) String() string {
	parts := []string{fmt.Sprintf("scanned %d =", c.Scanned)}
	for n, outcome := range outcomes {
		if n > 0 {
			parts = append(parts, "+")
		}
		parts = append(parts, fmt.Sprintf("%s %d", outcome, c.ByOutcome[outcome]))
	}
	return strings.Join(parts, " ")
}

func (c *Counts) add(other Counts) {
	c.Scanned += other.Scanned
	if c.ByOutcome == nil {
		c.ByOutcome = map[Outcome]int{}
	}
	for outcome, n := range other.ByOutcome {
		c.ByOutcome[outcome] += n
	}
}

// Run copies the items and returns the counts, which add up to the items that it read. After an
// error, or when ctx ends, it returns the counts of the complete pages.
func Run(ctx context.Context, job Job) (Counts, error) {
	if err := job.check(ctx); err != nil {
		return Counts{}, err
	}
	job.feeds = &sync.Map{}
	state, err := openState(job)
	if err != nil {
		return Counts{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if job.Progress != nil {
		go func() {
			for tick := time.Tick(reportInterval); ; {
				select {
				case <-ctx.Done():
					return
				case <-tick:
					job.Progress(state.counts())
				}
			}
		}()
	}
	var segments sync.WaitGroup
	for n := range job.Segments {
		segments.Go(func() {
			if err := job.segment(ctx, n, state); err != nil {
				cancel(err)
			}
		})
	}
	segments.Wait()
	counts := state.counts()
	if err := context.Cause(ctx); err != nil {
		return counts, err
	}
	sum := 0
	for _, n := range counts.ByOutcome {
		sum += n
	}
	if sum != counts.Scanned {
		return counts, fmt.Errorf("read %d items but counted %d", counts.Scanned, sum)
	}
	return counts, nil
}

// check rejects an incomplete job and tables that do not match. It waits until the restored table
// is active.
func (j *Job) check(ctx context.Context) error {
	switch {
	case rules[j.Kind] == nil:
		return fmt.Errorf("-kind must be one of %s", strings.Join(Kinds(), ", "))
	case j.From == "" || j.To == "" || j.From == j.To:
		return errors.New("-from and -to must be two tables")
	case (j.Kind == "Outbox" || j.IncludeDeleted) != (j.Events != ""):
		return errors.New("-events is required for -kind Outbox and -include-deleted, and only for them")
	case j.IncludeDeleted != (j.Outbox != ""):
		return errors.New("-outbox is required for -include-deleted, and only for it")
	case j.Segments < 1:
		return errors.New("-segments must be 1 or more")
	}
	to, err := j.Client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &j.To})
	if err != nil {
		return fmt.Errorf("the stack's table %s: %w", j.To, err)
	}
	for {
		from, err := j.Client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &j.From})
		if err != nil {
			return fmt.Errorf("the restored table %s: %w", j.From, err)
		}
		if from.Table.TableStatus == types.TableStatusActive {
			if !reflect.DeepEqual(from.Table.KeySchema, to.Table.KeySchema) {
				return fmt.Errorf("the tables %s and %s have different keys", j.From, j.To)
			}
			return nil
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// segment copies one segment of the table, page by page.
func (j *Job) segment(ctx context.Context, number int, state *state) error {
	for {
		start, done := state.position(number)
		if done {
			return nil
		}
		var page *dynamodb.ScanOutput
		err := persist(ctx, func() (err error) {
			page, err = j.Client.Scan(ctx, &dynamodb.ScanInput{
				TableName: &j.From, ExclusiveStartKey: start, ConsistentRead: aws.Bool(true),
				Limit: aws.Int32(pageItems), Segment: aws.Int32(int32(number)), TotalSegments: aws.Int32(int32(j.Segments)),
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", j.From, err)
		}
		counts, err := j.page(ctx, page.Items)
		if err != nil {
			return err
		}
		if err := state.advance(number, page.LastEvaluatedKey, counts); err != nil {
			return err
		}
	}
}

// page copies the items of a page in parallel, first those that depend on no other item.
func (j *Job) page(ctx context.Context, items []map[string]types.AttributeValue) (Counts, error) {
	counts := Counts{Scanned: len(items), ByOutcome: map[Outcome]int{}}
	isLabel := func(item map[string]types.AttributeValue) bool {
		r, err := ruleOf(j.Kind, item)
		return err == nil && r == labelRule
	}
	for _, labels := range []bool{false, true} {
		err := j.copyAll(ctx, slices.DeleteFunc(slices.Clone(items), func(item map[string]types.AttributeValue) bool { return isLabel(item) != labels }), counts.ByOutcome)
		if err != nil {
			return Counts{}, err
		}
	}
	return counts, nil
}

// copyAll copies items in parallel and counts their outcomes.
func (j *Job) copyAll(ctx context.Context, items []map[string]types.AttributeValue, counts map[Outcome]int) error {
	work := make(chan map[string]types.AttributeValue)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var writers sync.WaitGroup
	for range writersPerSegment {
		writers.Go(func() {
			for item := range work {
				if ctx.Err() != nil {
					continue
				}
				outcome, err := j.copyItem(ctx, item)
				if err != nil {
					cancel(fmt.Errorf("copy an item of %s: %w", j.From, err))
					continue
				}
				mu.Lock()
				counts[outcome]++
				mu.Unlock()
			}
		})
	}
	for _, item := range items {
		work <- item
	}
	close(work)
	writers.Wait()
	return context.Cause(ctx)
}

func (j *Job) copyItem(ctx context.Context, item map[string]types.AttributeValue) (Outcome, error) {
	r, err := ruleOf(j.Kind, item)
	if err != nil {
		return "", err
	}
	switch r {
	case expiresRule:
		return Transient, nil
	case markedRule:
		return Deleted, nil
	case instanceRule:
		return j.copyInstance(ctx, item)
	case labelRule:
		return j.copyLabel(ctx, item)
	case eventRule:
		delivered, err := j.isDelivered(ctx, item)
		if err != nil || delivered {
			return Delivered, err
		}
	case feedRule:
		continued, err := j.isContinued(ctx, feedOf(item))
		if err != nil {
			return "", err
		}
		if continued {
			stored, err := j.get(ctx, j.To, map[string]types.AttributeValue{attrPartition: item[attrPartition], attrSort: item[attrSort]})
			return compare(stored, item), err
		}
	}
	return j.write(ctx, item)
}

// copyInstance copies an instance that has no deletion record. With IncludeDeleted it also brings
// back one that has.
func (j *Job) copyInstance(ctx context.Context, item map[string]types.AttributeValue) (Outcome, error) {
	record := instancetable.DeletionRecordKey(guidOf(item))
	isDeleted := func(map[string]types.AttributeValue) Outcome { return Deleted }
	outcome, err := j.write(ctx, item, conditional{types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &j.To, Key: record, ConditionExpression: aws.String("attribute_not_exists(PK)"),
	}}, isDeleted})
	if err != nil || outcome != Deleted || !j.IncludeDeleted {
		return outcome, err
	}
	last, err := j.lastEvent(ctx, guidOf(item))
	if err != nil {
		return "", err
	}
	var restored event.Event
	item, err = instancetable.Continue(item, func(i *instance.Instance) { restored = i.RestoredEvent(last, time.Now()) })
	if err != nil {
		return "", err
	}
	_, number, err := event.ParseID(restored.ID)
	if err != nil {
		return "", err
	}
	put, err := outboxtable.TransactPut(j.Outbox, restored, number)
	if err != nil {
		return "", err
	}
	return j.write(ctx, item, conditional{put, isDeleted}, conditional{types.TransactWriteItem{Delete: &types.Delete{
		TableName: &j.To, Key: record, ConditionExpression: aws.String("attribute_exists(PK)"),
	}}, isDeleted})
}

// lastEvent returns the number of the last event of an instance in the outbox and in the feed, or
// 0. It reads the outbox first, because events leave it only when the feed has them.
func (j *Job) lastEvent(ctx context.Context, guid string) (last int, err error) {
	for _, partition := range []struct{ table, key string }{{j.Outbox, guid}, {j.Events, "INSTANCE#" + guid}} {
		var out *dynamodb.QueryOutput
		err := persist(ctx, func() (err error) {
			out, err = j.Client.Query(ctx, &dynamodb.QueryInput{
				TableName: &partition.table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(1),
				KeyConditionExpression:    aws.String("PK = :instance"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":instance": &types.AttributeValueMemberS{Value: partition.key}},
			})
			return err
		})
		if err != nil {
			return 0, err
		}
		for _, item := range out.Items {
			number, err := strconv.Atoi(textOf(item, attrSort))
			if err != nil {
				return 0, err
			}
			last = max(last, number)
		}
	}
	return last, nil
}

// copyLabel copies the item of a label if the stack's table has the instance in the same version.
// It copies a missing instance first, because another segment may have it: DynamoDB can split a
// large partition.
func (j *Job) copyLabel(ctx context.Context, item map[string]types.AttributeValue) (Outcome, error) {
	key := map[string]types.AttributeValue{
		attrPartition: item[attrPartition], attrSort: &types.AttributeValueMemberS{Value: instancetable.InstanceKey(guidOf(item))},
	}
	missing := false
	sameVersion := conditional{
		types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &j.To, Key: key, ConditionExpression: aws.String("v = :v AND w = :w"),
			ExpressionAttributeValues:           map[string]types.AttributeValue{":v": item[attrVersion], ":w": item[attrWriteID]},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		func(stored map[string]types.AttributeValue) Outcome {
			missing = stored == nil
			return Stale
		},
	}
	outcome, err := j.write(ctx, item, sameVersion)
	if err != nil || !missing {
		return outcome, err
	}
	source, err := j.get(ctx, j.From, key)
	if err != nil || source == nil {
		return Stale, err
	}
	if outcome, err := j.copyItem(ctx, source); err != nil || outcome == Deleted {
		return outcome, err
	}
	return j.write(ctx, item, sameVersion)
}

// isDelivered reports whether the feed has an event of the outbox.
func (j *Job) isDelivered(ctx context.Context, item map[string]types.AttributeValue) (bool, error) {
	number, err := strconv.ParseUint(textOf(item, attrSort), 10, 64)
	if err != nil {
		return false, err
	}
	stored, err := j.get(ctx, j.Events, map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: "INSTANCE#" + textOf(item, attrPartition)},
		attrSort:      position(number),
	})
	return stored != nil, err
}

// isContinued reports whether event-record has appended to the feed after the loss: the last slot
// of the stack's table that begins before the end of the backup is not in the backup. It reads the
// slots once for each feed. event-record must not run.
func (j *Job) isContinued(ctx context.Context, feed string) (bool, error) {
	once, _ := j.feeds.LoadOrStore(feed, sync.OnceValues(func() (bool, error) {
		last, err := j.lastSlot(ctx, j.From, feed, math.MaxInt64)
		if err != nil || last == nil {
			return false, err
		}
		first, err1 := strconv.ParseUint(textOf(last, attrSort), 10, 64)
		count, err2 := strconv.ParseUint(textOf(last, attrCount), 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return false, fmt.Errorf("the last slot of %s: %w", feed, err)
		}
		stored, err := j.lastSlot(ctx, j.To, feed, first+count-1)
		if err != nil || stored == nil {
			return false, err
		}
		old, err := j.get(ctx, j.From, map[string]types.AttributeValue{attrPartition: stored[attrPartition], attrSort: stored[attrSort]})
		return compare(old, stored) != Existing, err
	}))
	return once.(func() (bool, error))()
}

// lastSlot returns the last slot of a feed that begins at or before a position, or nil.
func (j *Job) lastSlot(ctx context.Context, table, feed string, upTo uint64) (map[string]types.AttributeValue, error) {
	var out *dynamodb.QueryOutput
	err := persist(ctx, func() (err error) {
		out, err = j.Client.Query(ctx, &dynamodb.QueryInput{
			TableName: &table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(1),
			KeyConditionExpression: aws.String("PK = :feed AND SK <= :last"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":feed": &types.AttributeValueMemberS{Value: feed}, ":last": position(upTo),
			},
		})
		return err
	})
	if err != nil || len(out.Items) == 0 {
		return nil, err
	}
	return out.Items[0], nil
}

// get returns an item, or nil if the table has none with the key.
func (j *Job) get(ctx context.Context, table string, key map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
	var out *dynamodb.GetItemOutput
	err := persist(ctx, func() (err error) {
		out, err = j.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// position returns a position or an event number as the stores write it in keys.
func position(number uint64) types.AttributeValue {
	return &types.AttributeValueMemberS{Value: fmt.Sprintf("%020d", number)}
}

// feedOf returns the partition of the feed that has an item of Events.
func feedOf(item map[string]types.AttributeValue) string {
	partition := textOf(item, attrPartition)
	if begins(partition, feedPrefix) {
		return partition
	}
	if day, ok := strings.CutPrefix(partition, dayPrefix); ok {
		return feedPrefix + day
	}
	return feedPrefix + textOf(item, attrAppID)
}

// conditional is a further part of the transaction that writes an item. failed returns the outcome
// if its condition is not met. stored is the item that the condition is about, or nil.
type conditional struct {
	types.TransactWriteItem
	failed func(stored map[string]types.AttributeValue) Outcome
}

// write writes an item that the stack's table does not have.
func (j *Job) write(ctx context.Context, item map[string]types.AttributeValue, also ...conditional) (outcome Outcome, err error) {
	err = persist(ctx, func() error {
		outcome, err = j.tryWrite(ctx, item, also)
		return err
	})
	return outcome, err
}

func (j *Job) tryWrite(ctx context.Context, item map[string]types.AttributeValue, also []conditional) (Outcome, error) {
	const isNew = "attribute_not_exists(PK)"
	if len(also) == 0 {
		_, err := j.Client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &j.To, Item: item, ConditionExpression: aws.String(isNew),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var exists *types.ConditionalCheckFailedException
		if errors.As(err, &exists) {
			return compare(exists.Item, item), nil
		}
		return Copied, err
	}
	transaction := []types.TransactWriteItem{{Put: &types.Put{
		TableName: &j.To, Item: item, ConditionExpression: aws.String(isNew),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
	for _, c := range also {
		transaction = append(transaction, c.TransactWriteItem)
	}
	_, err := j.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: transaction})
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != len(transaction) {
		return Copied, err
	}
	for n, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			if n == 0 {
				return compare(reason.Item, item), nil
			}
			return also[n-1].failed(reason.Item), nil
		case "TransactionConflict":
			return "", fault.Busy(err)
		}
	}
	return "", err
}

// compare returns the outcome of an item whose key exists. A retry whose first attempt was applied
// without a response finds the same item, and counts it as existing.
func compare(stored, item map[string]types.AttributeValue) Outcome {
	if maps.EqualFunc(stored, item, func(a, b types.AttributeValue) bool { return reflect.DeepEqual(a, b) }) {
		return Existing
	}
	return Different
}

// guidOf returns the id of the instance of an item with the sort key INSTANCE#guid or
// LABEL#guid#label.
func guidOf(item map[string]types.AttributeValue) string {
	return slices.Concat(strings.SplitN(textOf(item, attrSort), "#", 3), []string{"", ""})[1]
}

// persist repeats call while DynamoDB is busy, until ctx ends. A copy has no caller that waits.
func persist(ctx context.Context, call func() error) error {
	for {
		err := call()
		if !fault.IsBusy(err) {
			return err
		}
		if err := sleep(ctx, busyPause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
