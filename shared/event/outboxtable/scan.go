package outboxtable

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

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

// Backlog is what a scan found waiting.
type Backlog struct {
	Documents  []event.Document // in the order of event.Sort
	Unreadable []string         // ids of events whose item is damaged
	Oldest     time.Time        // when the change was made whose event has waited longest; zero when none waits
}

// Len returns how many events were found, damaged ones included.
func (b Backlog) Len() int { return len(b.Documents) + len(b.Unreadable) }

// Scan finds at most limit events of changes made before the time given. It reads the table from a random place around to
// that place again, so that when more than limit wait, those that nobody can deliver do not stand in the way of the
// others for ever. The table is near empty as long as the chain works, and a scan then costs a read unit or two.
func (t *Table) Scan(ctx context.Context, before time.Time, limit int) (Backlog, error) {
	var backlog Backlog
	seen := map[string]bool{}
	wrapped := false
	for from := Key(uuid.NewString(), 1); ; {
		out, err := t.client.Scan(ctx, &dynamodb.ScanInput{
			TableName:                 &t.name,
			ConsistentRead:            aws.Bool(true),
			ExclusiveStartKey:         from,
			FilterExpression:          aws.String("#at < :before"),
			ExpressionAttributeNames:  map[string]string{"#at": attrAt}, // a word that DynamoDB reserves
			ExpressionAttributeValues: map[string]types.AttributeValue{":before": &types.AttributeValueMemberS{Value: before.UTC().Format(timeFormat)}},
		})
		if err != nil {
			return Backlog{}, fmt.Errorf("outboxtable: scan: %w", err)
		}
		for _, item := range out.Items {
			id := itemID(item)
			if seen[id] || backlog.Len() == limit {
				event.Sort(backlog.Documents)
				return backlog, nil
			}
			seen[id] = true
			backlog.add(id, item)
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

func itemID(item map[string]types.AttributeValue) string {
	guid, _ := item[attrGuid].(*types.AttributeValueMemberS)
	number, _ := item[attrNumber].(*types.AttributeValueMemberN)
	if guid == nil || number == nil { // not with the keys this table has
		return ""
	}
	return guid.Value + "." + number.Value
}

func (b *Backlog) add(id string, item map[string]types.AttributeValue) {
	if text, ok := item[attrAt].(*types.AttributeValueMemberS); ok {
		at, err := time.Parse(time.RFC3339, text.Value)
		if err == nil && (b.Oldest.IsZero() || at.Before(b.Oldest)) {
			b.Oldest = at
		}
	}
	if text, ok := item[attrDocument].(*types.AttributeValueMemberS); ok {
		if doc, err := event.ReadDocument([]byte(text.Value)); err == nil && doc.Event.ID == id {
			b.Documents = append(b.Documents, doc)
			return
		}
	}
	b.Unreadable = append(b.Unreadable, id)
}
