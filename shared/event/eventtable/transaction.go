package eventtable

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// transaction is a DynamoDB transaction with the role of each of its items.
type transaction struct {
	items []types.TransactWriteItem
	about []itemRole // of the same length
	count int        // number of events
}

// itemRole describes an item: the index of its event in the batch and the meaning of its condition.
type itemRole struct {
	event     int
	condition condition
}

type condition int

const (
	noCondition       condition = iota
	headUnchanged               // HEAD is still the one that was read
	positionFree                // the position has no event
	notDuplicate                // the feed does not have the event
	predecessorExists           // the feed has the preceding event
)

// transaction returns the transaction that appends the batch after head. An event needs no check
// of its predecessor if the batch contains the predecessor.
func (r *Recorder) transaction(appID string, head Head, batch []event.Encoded) *transaction {
	t := &transaction{count: len(batch)}
	recordedAt := r.now().UTC().Truncate(time.Microsecond)
	if recordedAt.Before(head.LastAt) {
		recordedAt = head.LastAt
	}
	at := text(rfc3339.Format(recordedAt))
	t.add(itemRole{condition: headUnchanged}, raiseHead(r.table, appID, head, int64(len(batch)), at))
	last := map[string]int{} // highest number of each instance in the batch so far
	for n, doc := range batch {
		seq := head.Seq + int64(n) + 1
		entry := key(feedPartition(appID), padded20(seq))
		entry[attrDocument] = text(string(doc.JSON))
		entry[attrID] = text(doc.Event.ID)
		entry[attrRecordedAt] = at
		t.add(itemRole{n, positionFree}, r.putNew(entry))

		position := key(instancePartition(doc.InstanceGuid), padded20(doc.Number))
		position[attrSeq] = number(seq)
		position[attrAppID] = text(appID)
		t.add(itemRole{n, notDuplicate}, r.putNew(position))

		if doc.Number > 1 && last[doc.InstanceGuid] != doc.Number-1 {
			t.add(itemRole{n, predecessorExists}, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
				TableName: &r.table, Key: key(instancePartition(doc.InstanceGuid), padded20(doc.Number-1)),
				ConditionExpression: aws.String("attribute_exists(PK)"),
			}})
		}
		last[doc.InstanceGuid] = doc.Number
		t.add(itemRole{n, noCondition}, outboxtable.TransactDelete(r.outbox, doc.InstanceGuid, doc.Number))
	}
	return t
}

func raiseHead(table, appID string, head Head, by int64, at types.AttributeValue) types.TransactWriteItem {
	raise := &types.Update{
		TableName: &table, Key: key(feedPartition(appID), headSort),
		UpdateExpression:                    aws.String("SET seq = :new, lastAt = :at"),
		ConditionExpression:                 aws.String("attribute_not_exists(PK)"),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":new": number(head.Seq + by), ":at": at},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if head.Seq > 0 {
		raise.ConditionExpression = aws.String("seq = :old")
		raise.ExpressionAttributeValues[":old"] = number(head.Seq)
	}
	return types.TransactWriteItem{Update: raise}
}

func (r *Recorder) putNew(item map[string]types.AttributeValue) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &r.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(PK)"),
	}}
}

func (t *transaction) add(about itemRole, item types.TransactWriteItem) {
	t.about = append(t.about, about)
	t.items = append(t.items, item)
}

// result describes why a transaction was cancelled. The slices are indexed like the batch.
type result struct {
	duplicate, outOfOrder []bool
	rejected              []error // events that no transaction can append
	headMoved             bool
	head                  Head // if headMoved: the current end of the feed, or zero if the response omits it
	contended             bool // a concurrent write to the same items; retry after a backoff
}

// classify returns the result of a transaction that failed with err. It returns an error if
// another attempt cannot resolve the reason, or if err is not a cancellation; the client has
// already retried busy calls.
func (t *transaction) classify(err error) (result, error) {
	res := result{duplicate: make([]bool, t.count), outOfOrder: make([]bool, t.count), rejected: make([]error, t.count)}
	var cancelled *types.TransactionCanceledException
	if fault.IsBusy(err) || !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != len(t.items) {
		return res, fmt.Errorf("eventtable: append: %w", err)
	}
	positionTaken := false
	for n, reason := range cancelled.CancellationReasons {
		about := t.about[n]
		switch code := aws.ToString(reason.Code); code {
		case "None", "":
		case "ConditionalCheckFailed":
			switch about.condition {
			case headUnchanged:
				head, headErr := headOf(reason.Item)
				if headErr != nil {
					return res, headErr
				}
				res.headMoved, res.head = true, head
			case notDuplicate:
				res.duplicate[about.event] = true
			case predecessorExists:
				res.outOfOrder[about.event] = true
			case positionFree:
				positionTaken = true
			}
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			res.contended = true
		default:
			if about.condition == headUnchanged {
				return res, fmt.Errorf("eventtable: append: %w", err)
			}
			res.rejected[about.event] = fmt.Errorf("eventtable: append: %s: %w", code, err)
		}
	}
	if positionTaken && !res.headMoved {
		return res, fmt.Errorf("eventtable: append: a position after HEAD has an event: %w", err)
	}
	return res, nil
}
