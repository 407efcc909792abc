package outboxtable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
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

// Scan returns the events of changes made before the given time, in pages of at most a megabyte of
// items. It starts at a random key and wraps around, so that a scan that the caller ends early does
// not always find the same events. It ends after an error. The table is almost empty while the
// event chain works; a scan then costs one or two read units.
func (t *Table) Scan(ctx context.Context, before time.Time) iter.Seq2[event.Backlog, error] {
	return func(yield func(event.Backlog, error) bool) {
		wrapped := false
		begun, inFirst := map[string]bool{}, true // events of the first page that has any
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
				yield(event.Backlog{}, fmt.Errorf("outboxtable: scan: %w", err))
				return
			}
			var backlog event.Backlog
			for _, item := range out.Items {
				id := itemID(item)
				if wrapped && begun[id] {
					event.Sort(backlog.Documents)
					yield(backlog, nil)
					return
				}
				add(&backlog, id, item)
				if inFirst {
					begun[id] = true
				}
			}
			inFirst = inFirst && len(begun) == 0
			event.Sort(backlog.Documents)
			if !yield(backlog, nil) {
				return
			}
			if from = out.LastEvaluatedKey; from == nil {
				if wrapped {
					return
				}
				wrapped, inFirst = true, false // continue from the beginning to the first page
			}
		}
	}
}

// maxGets is the number of items that DynamoDB allows in one BatchGetItem.
const maxGets = 100

// Pending returns how many of the events are in the outbox.
func (t *Table) Pending(ctx context.Context, docs []event.Encoded) (int, error) {
	keys := make([]map[string]types.AttributeValue, len(docs))
	for n, doc := range docs {
		keys[n] = Key(doc.InstanceGuid, doc.Number)
	}
	pending := 0
	err := busy.InBatches(ctx, keys, maxGets, 1, func(ctx context.Context, batch []map[string]types.AttributeValue) ([]map[string]types.AttributeValue, error) {
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			t.name: {Keys: batch, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String(attrGuid)},
		}})
		if err != nil {
			return nil, fmt.Errorf("outboxtable: pending: %w", err)
		}
		pending += len(out.Responses[t.name])
		return out.UnprocessedKeys[t.name].Keys, nil
	})
	return pending, err
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

// First returns the first event of an instance, and whether the outbox has it: from the creation of
// the instance until the feed has the event. The read is consistent. It fails for a damaged item.
func (t *Table) First(ctx context.Context, instanceGuid string) (doc event.Encoded, found bool, err error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: Key(instanceGuid, 1), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return event.Encoded{}, false, fmt.Errorf("outboxtable: get: %w", err)
	}
	if out.Item == nil {
		return event.Encoded{}, false, nil
	}
	if doc, found = document(itemID(out.Item), out.Item); !found {
		return event.Encoded{}, false, errors.New("outboxtable: the first event of an instance is damaged")
	}
	return doc, true, nil
}

// maxDeletes is the number of items that DynamoDB allows in one BatchWriteItem.
const maxDeletes = 25

// Delete deletes events that are in the feed. After an error some of them may be deleted. An event
// that the outbox does not have is no error.
func (t *Table) Delete(ctx context.Context, docs []event.Encoded) error {
	return busy.InBatches(ctx, requestsOf(docs), maxDeletes, 8, func(ctx context.Context, batch []types.WriteRequest) ([]types.WriteRequest, error) {
		out, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{t.name: batch}})
		if err != nil {
			return nil, fmt.Errorf("outboxtable: delete: %w", err)
		}
		return out.UnprocessedItems[t.name], nil
	})
}

func requestsOf(docs []event.Encoded) []types.WriteRequest {
	requests := make([]types.WriteRequest, len(docs))
	for n, doc := range docs {
		requests[n].DeleteRequest = &types.DeleteRequest{Key: Key(doc.InstanceGuid, doc.Number)}
	}
	return requests
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
	packed, ok := item[attrDocument].(*types.AttributeValueMemberB)
	if !ok {
		return event.Encoded{}, false
	}
	doc, err := event.UnpackOne(packed.Value)
	return doc, err == nil && doc.Event.ID == id
}
