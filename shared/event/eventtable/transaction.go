package eventtable

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// transaction is one transaction, with what each of its items is about.
type transaction struct {
	items []types.TransactWriteItem
	about []itemRole // of the same length
	count int        // of events
}

// itemRole is the event, by its place in the batch, and the question that an item's condition asks.
type itemRole struct {
	event int
	asks  condition
}

type condition int

const (
	noCondition       condition = iota // no condition
	headUnchanged                      // is HEAD what was read?
	positionFree                       // is the position free?
	notDuplicate                       // is the event not in the feed?
	predecessorExists                  // is the event before it in the feed?
)

// transaction makes the one that appends the batch after head. An event whose predecessor is in the batch needs no
// check of it.
func (r *Recorder) transaction(appID string, head Head, batch []event.Encoded) *transaction {
	a := &transaction{count: len(batch)}
	recordedAt := r.now().UTC().Truncate(time.Microsecond)
	if recordedAt.Before(head.LastAt) {
		recordedAt = head.LastAt
	}
	at := text(recordedAt.Format(timeFormat))
	a.add(itemRole{asks: headUnchanged}, raiseHead(r.table, appID, head, int64(len(batch)), at))
	last := map[string]int{} // the highest number of each instance so far in the batch
	for n, doc := range batch {
		seq := head.Seq + int64(n) + 1
		entry := key(feedPartition(appID), padded20(seq))
		entry[attrDocument] = text(string(doc.JSON))
		entry[attrID] = text(doc.Event.ID)
		entry[attrRecordedAt] = at
		a.add(itemRole{n, positionFree}, r.putNew(entry))

		position := key(instancePartition(doc.InstanceGuid), padded20(doc.Number))
		position[attrSeq] = number(seq)
		position[attrAppID] = text(appID)
		a.add(itemRole{n, notDuplicate}, r.putNew(position))

		if doc.Number > 1 && last[doc.InstanceGuid] != doc.Number-1 {
			a.add(itemRole{n, predecessorExists}, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
				TableName: &r.table, Key: key(instancePartition(doc.InstanceGuid), padded20(doc.Number-1)),
				ConditionExpression: aws.String("attribute_exists(PK)"),
			}})
		}
		last[doc.InstanceGuid] = doc.Number
		a.add(itemRole{n, noCondition}, outboxtable.TransactDelete(r.outbox, doc.InstanceGuid, doc.Number))
	}
	return a
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

func (a *transaction) add(about itemRole, item types.TransactWriteItem) {
	a.about = append(a.about, about)
	a.items = append(a.items, item)
}

// result is what a cancelled transaction says of its events, by their place in the batch, and of the feed.
type result struct {
	duplicate, outOfOrder []bool
	refused               []error // an event that no transaction will ever take
	headMoved             bool
	head                  Head // where the feed ends now, when headMoved
	contended             bool // somebody else was at the same items; the same again in a moment
}

// classify reads the reasons of a cancellation. It returns an error for one that is not of the kinds that a further try
// can settle, and for a failure that is no cancellation: the SDK has retried that as often as it is worth.
func (a *transaction) classify(err error) (result, error) {
	v := result{duplicate: make([]bool, a.count), outOfOrder: make([]bool, a.count), refused: make([]error, a.count)}
	var busy *types.TransactionInProgressException
	if errors.As(err, &busy) {
		v.contended = true
		return v, nil
	}
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != len(a.items) {
		return v, fmt.Errorf("eventtable: append: %w", err)
	}
	seqTaken := false
	for n, reason := range cancelled.CancellationReasons {
		about := a.about[n]
		switch code := aws.ToString(reason.Code); code {
		case "None", "":
		case "ConditionalCheckFailed":
			switch about.asks {
			case headUnchanged:
				head, headErr := headOf(reason.Item)
				if headErr != nil {
					return v, headErr
				}
				v.headMoved, v.head = true, head
			case notDuplicate:
				v.duplicate[about.event] = true
			case predecessorExists:
				v.outOfOrder[about.event] = true
			case positionFree:
				seqTaken = true
			}
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			v.contended = true
		default:
			if about.asks == headUnchanged {
				return v, fmt.Errorf("eventtable: append: %w", err)
			}
			v.refused[about.event] = fmt.Errorf("eventtable: append: %s: %w", code, err)
		}
	}
	if seqTaken && !v.headMoved {
		return v, fmt.Errorf("eventtable: append: a position after HEAD is taken: %w", err)
	}
	return v, nil
}
