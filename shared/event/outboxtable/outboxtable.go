// Package outboxtable provides the outbox: the events that are committed together with their change
// and are not in the feed yet. The transaction of the change puts an item, and the transaction that
// appends the event to the feed deletes it. The package never publishes anything.
//
// Table Outbox, with a stream of new images:
//
//	PK  instance guid (S)
//	SK  event number (N), consecutive from 1 within the instance
//	d   the event, as package event packs it (B)
//	at  time of the change (S), as package rfc3339 writes it: text order is time order
package outboxtable

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
)

const (
	attrGuid     = "PK"
	attrNumber   = "SK"
	attrDocument = "d"
	attrAt       = "at"
)

// TransactPut returns the transaction item that puts the number-th event of an instance into a
// table. DynamoDB cancels the transaction with ConditionalCheckFailed if the outbox has an event
// of that number. TransactPut fails for an event with another number or without the required
// members.
func TransactPut(table string, ev event.Event, number int) (types.TransactWriteItem, error) {
	doc, err := event.Encode(ev)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	if doc.Number != number {
		return types.TransactWriteItem{}, fmt.Errorf("outboxtable: event %d has number %d in its id", number, doc.Number)
	}
	packed, err := event.Pack(doc)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	item := Key(doc.InstanceGuid, doc.Number)
	item[attrDocument] = &types.AttributeValueMemberB{Value: packed}
	item[attrAt] = &types.AttributeValueMemberS{Value: rfc3339.Format(ev.At.Time)}
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &table, Item: item,
		ConditionExpression: aws.String("attribute_not_exists(" + attrGuid + ")"),
	}}, nil
}

// Key returns the key of an event's item.
func Key(instanceGuid string, number int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrGuid:   &types.AttributeValueMemberS{Value: instanceGuid},
		attrNumber: &types.AttributeValueMemberN{Value: strconv.Itoa(number)},
	}
}
