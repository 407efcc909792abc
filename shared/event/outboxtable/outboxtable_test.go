package outboxtable

import (
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/rfc3339"
)

const guid = "41e57962-dfb7-4502-a4dd-8da28b0885fc"

func sample() event.Event {
	return event.Event{
		ID: event.ID(guid, 2), At: rfc3339.Time{Time: time.Date(2019, 6, 1, 12, 12, 22, 0, time.FixedZone("", 3600))}, AppID: "nav/app2018",
		EventType: event.WorkflowStateChange, WorkflowStep: "Submit", Org: "nav", App: "app2018",
	}
}

// image returns an item in the form of the stream's records.
func image(item map[string]types.AttributeValue) map[string]events.DynamoDBAttributeValue {
	out := map[string]events.DynamoDBAttributeValue{}
	for name, value := range item {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			out[name] = events.NewStringAttribute(v.Value)
		case *types.AttributeValueMemberN:
			out[name] = events.NewNumberAttribute(v.Value)
		case *types.AttributeValueMemberB:
			out[name] = events.NewBinaryAttribute(v.Value)
		}
	}
	return out
}

func TestTransactPut(t *testing.T) {
	put, err := TransactPut("Outbox", sample(), 2)
	if err != nil {
		t.Fatal(err)
	}
	got := image(put.Put.Item)
	if got["PK"].String() != guid || got["SK"].Number() != "2" || got["at"].String() != "2019-06-01T11:12:22.000000Z" ||
		*put.Put.TableName != "Outbox" || *put.Put.ConditionExpression != "attribute_not_exists(PK)" {
		t.Errorf("got %+v", got)
	}
	doc, err := delivery.ReadImage(got)
	if err != nil || doc.Event.ID != guid+".2" || doc.Event.WorkflowStep != "Submit" {
		t.Errorf("read %+v, %v", doc, err)
	}
}

func TestTransactPutRejectsInvalidEvents(t *testing.T) {
	if _, err := TransactPut("Outbox", sample(), 3); err == nil {
		t.Error("accepted a number that differs from the id")
	}
	ev := sample()
	ev.Org = "skd"
	if _, err := TransactPut("Outbox", ev, 2); err == nil {
		t.Error("accepted an org that differs from the application")
	}
}
