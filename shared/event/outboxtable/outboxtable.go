// Package outboxtable provides the outbox: the events that are committed together with the change they tell of, and not
// yet known to be in the feed. An item is put in the transaction of the change and deleted in the transaction that
// puts the event in the feed, so whatever is here has still to arrive. It never publishes anything.
//
// Table Outbox, with a stream of new images:
//
//	PK  instance guid (S)
//	SK  event number (N), consecutive from 1 within the instance
//	d   the event's JSON (S)
//	at  when the change was made (S), RFC 3339 UTC with exactly six decimals, so that text order is time order
package outboxtable

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
)

const (
	attrGuid     = "PK"
	attrNumber   = "SK"
	attrDocument = "d"
	attrAt       = "at"

	timeFormat = "2006-01-02T15:04:05.000000Z"
)

// TransactPut returns the part of a transaction that puts the number-th event of an instance into the table named. The
// transaction is cancelled with ConditionalCheckFailed when the outbox has an event of that number.
func TransactPut(table string, ev event.Event, number int) (types.TransactWriteItem, error) {
	doc, err := event.Encode(ev)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	if doc.Number != number {
		return types.TransactWriteItem{}, fmt.Errorf("outboxtable: the id of event %d says %d", number, doc.Number)
	}
	item := Key(doc.InstanceGuid, doc.Number)
	item[attrDocument] = &types.AttributeValueMemberS{Value: string(doc.JSON)}
	item[attrAt] = &types.AttributeValueMemberS{Value: ev.At.UTC().Format(timeFormat)}
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &table, Item: item,
		ConditionExpression: aws.String("attribute_not_exists(" + attrGuid + ")"),
	}}, nil
}

// TransactDelete returns the part of a transaction that deletes an event from the table named; it is no error when it is gone.
func TransactDelete(table, instanceGuid string, number int) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: Key(instanceGuid, number)}}
}

// Key returns the key of an event's item.
func Key(instanceGuid string, number int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrGuid:   &types.AttributeValueMemberS{Value: instanceGuid},
		attrNumber: &types.AttributeValueMemberN{Value: strconv.Itoa(number)},
	}
}
