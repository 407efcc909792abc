package outboxtable

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Table reads the table Outbox.
type Table struct {
	client *dynamodb.Client
	name   string
}

// Open returns the table that OUTBOX_TABLE names.
func Open(env *coldstart.Env) *Table {
	return New(dynamo.Client(env), env.String("OUTBOX_TABLE"))
}

// New returns the table of that name.
func New(client *dynamodb.Client, name string) *Table {
	return &Table{client: client, name: name}
}

// Scan returns at most limit events of changes made before the given time. It starts at a random
// key and wraps around, so that more than limit undeliverable events cannot block the others. The
// table is almost empty while the event chain works; a scan then costs one or two read units.
func (t *Table) Scan(ctx context.Context, before time.Time, limit int) (event.Backlog, error) {
	var backlog event.Backlog
	seen := map[string]bool{}
	wrapped := false
	for from := Key(uuid.New().String(), 1); ; {
		out, err := t.client.Scan(ctx, &dynamodb.ScanInput{
			TableName:                 &t.name,
			ConsistentRead:            aws.Bool(true),
			ExclusiveStartKey:         from,
			FilterExpression:          aws.String("#at < :before"),
			ExpressionAttributeNames:  map[string]string{"#at": attrAt}, // a reserved word in DynamoDB
			ExpressionAttributeValues: map[string]types.AttributeValue{":before": &types.AttributeValueMemberS{Value: rfc3339.Format(before)}},
		})
		if err != nil {
			return event.Backlog{}, fmt.Errorf("outboxtable: scan: %w", err)
		}
		for _, item := range out.Items {
			id := itemID(item)
			if seen[id] || backlog.Len() == limit {
				event.Sort(backlog.Documents)
				return backlog, nil
			}
			seen[id] = true
			add(&backlog, id, item)
		}
		from = out.LastEvaluatedKey
		if from == nil {
			if wrapped {
				event.Sort(backlog.Documents)
				return backlog, nil
			}
			wrapped = true // continue from the beginning to the first key
		}
	}
}

// ForInstance returns the events of one instance in the outbox after the given event number, in
// order. The read is consistent: it includes the event of every committed change that the feed does
// not have yet. ForInstance ends after the event with which the size of the JSON reaches maxBytes.
// It omits damaged items.
func (t *Table) ForInstance(ctx context.Context, instanceGuid string, after, maxBytes int) ([]event.Encoded, error) {
	docs, size := []event.Encoded{}, 0
	var from map[string]types.AttributeValue
	for {
		out, err := t.client.Query(ctx, &dynamodb.QueryInput{
			TableName:              &t.name,
			ConsistentRead:         aws.Bool(true),
			KeyConditionExpression: aws.String(attrGuid + " = :guid AND " + attrNumber + " > :after"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":guid":  &types.AttributeValueMemberS{Value: instanceGuid},
				":after": &types.AttributeValueMemberN{Value: strconv.Itoa(after)},
			},
			ExclusiveStartKey: from,
		})
		if err != nil {
			return nil, fmt.Errorf("outboxtable: query: %w", err)
		}
		for _, item := range out.Items {
			if doc, ok := document(itemID(item), item); ok {
				docs = append(docs, doc)
				if size += len(doc.JSON); size >= maxBytes {
					return docs, nil
				}
			}
		}
		if from = out.LastEvaluatedKey; from == nil {
			return docs, nil
		}
	}
}

func itemID(item map[string]types.AttributeValue) string {
	guid, _ := item[attrGuid].(*types.AttributeValueMemberS)
	number, _ := item[attrNumber].(*types.AttributeValueMemberN)
	if guid == nil || number == nil { // an item with other keys
		return ""
	}
	return guid.Value + "." + number.Value
}

func add(b *event.Backlog, id string, item map[string]types.AttributeValue) {
	if text, ok := item[attrAt].(*types.AttributeValueMemberS); ok {
		at, ok := rfc3339.Parse(text.Value)
		if ok && (b.Oldest.IsZero() || at.Before(b.Oldest)) {
			b.Oldest = at
		}
	}
	if doc, ok := document(id, item); ok {
		b.Documents = append(b.Documents, doc)
		return
	}
	b.Unreadable = append(b.Unreadable, id)
}

// document returns the event in an item, and false if the item's key does not match the event.
func document(id string, item map[string]types.AttributeValue) (event.Encoded, bool) {
	text, ok := item[attrDocument].(*types.AttributeValueMemberS)
	if !ok {
		return event.Encoded{}, false
	}
	doc, err := event.Decode([]byte(text.Value))
	return doc, err == nil && doc.Event.ID == id
}
