package outboxtable

import (
	"context"
	"fmt"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
)

// Table is the table Outbox, for reading what waits.
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

// Scan finds at most limit events of changes made before the time given. It reads the table from a random place around to
// that place again, so that when more than limit wait, those that nobody can deliver do not stand in the way of the
// others for ever. The table is near empty as long as the chain works, and a scan then costs a read unit or two.
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
			ExpressionAttributeNames:  map[string]string{"#at": attrAt}, // a word that DynamoDB reserves
			ExpressionAttributeValues: map[string]types.AttributeValue{":before": &types.AttributeValueMemberS{Value: before.UTC().Format(timeFormat)}},
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
			wrapped = true // and now from the beginning, to what was seen
		}
	}
}

// Of returns the events of one instance that wait, in order, as of all changes that have been answered. One whose item is
// damaged is left out.
func (t *Table) Of(ctx context.Context, instanceGuid string) ([]event.Document, error) {
	docs := []event.Document{}
	var from map[string]types.AttributeValue
	for {
		out, err := t.client.Query(ctx, &dynamodb.QueryInput{
			TableName:                 &t.name,
			ConsistentRead:            aws.Bool(true),
			KeyConditionExpression:    aws.String(attrGuid + " = :guid"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":guid": &types.AttributeValueMemberS{Value: instanceGuid}},
			ExclusiveStartKey:         from,
		})
		if err != nil {
			return nil, fmt.Errorf("outboxtable: query: %w", err)
		}
		for _, item := range out.Items {
			if doc, ok := document(itemID(item), item); ok {
				docs = append(docs, doc)
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
	if guid == nil || number == nil { // not with the keys this table has
		return ""
	}
	return guid.Value + "." + number.Value
}

func add(b *event.Backlog, id string, item map[string]types.AttributeValue) {
	if text, ok := item[attrAt].(*types.AttributeValueMemberS); ok {
		at, err := time.Parse(time.RFC3339, text.Value)
		if err == nil && (b.Oldest.IsZero() || at.Before(b.Oldest)) {
			b.Oldest = at
		}
	}
	if doc, ok := document(id, item); ok {
		b.Documents = append(b.Documents, doc)
		return
	}
	b.Unreadable = append(b.Unreadable, id)
}

// document returns the event in an item, unless it is not the one that the item's key says.
func document(id string, item map[string]types.AttributeValue) (event.Document, bool) {
	text, ok := item[attrDocument].(*types.AttributeValueMemberS)
	if !ok {
		return event.Document{}, false
	}
	doc, err := event.ReadDocument([]byte(text.Value))
	return doc, err == nil && doc.Event.ID == id
}
