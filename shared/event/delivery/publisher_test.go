package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

// fakeBus publishes every event except those in failing.
type fakeBus struct {
	published []string // event ids
	failing   map[string]error
	deadline  time.Time
}

func (b *fakeBus) Publish(ctx context.Context, docs []event.Encoded) []error {
	b.deadline, _ = ctx.Deadline()
	errs := make([]error, len(docs))
	for n, doc := range docs {
		if errs[n] = b.failing[doc.Event.ID]; errs[n] == nil {
			b.published = append(b.published, doc.Event.ID)
		}
	}
	return errs
}

// insertion returns the stream record of an event inserted into the outbox.
func insertion(sequence int, doc event.Encoded) events.DynamoDBEventRecord {
	packed, err := event.Pack(doc)
	if err != nil {
		panic(err)
	}
	return events.DynamoDBEventRecord{
		EventName: "INSERT", EventID: uuid.New().String(),
		Change: events.DynamoDBStreamRecord{
			SequenceNumber: strconv.Itoa(sequence),
			NewImage: map[string]events.DynamoDBAttributeValue{
				"PK": events.NewStringAttribute(doc.InstanceGuid),
				"SK": events.NewNumberAttribute(strconv.Itoa(doc.Number)),
				"d":  events.NewBinaryAttribute(packed),
			},
		},
	}
}

func TestPublisher(t *testing.T) {
	var docs []event.Encoded
	for range 4 {
		docs = append(docs, eventtest.Document("nav/app2018", uuid.New().String(), 1, time.Now(), "FormFilling"))
	}
	damaged := insertion(102, docs[1])
	damaged.Change.NewImage = map[string]events.DynamoDBAttributeValue{"d": events.NewBinaryAttribute([]byte("{}"))}
	removal := insertion(100, docs[0])
	removal.EventName, removal.Change.NewImage = "REMOVE", nil

	for name, test := range map[string]struct {
		records   []events.DynamoDBEventRecord
		failing   []int // of docs
		published int
		response  string
	}{
		"nothing":           {nil, nil, 0, `{"batchItemFailures":[]}`},
		"a removal":         {[]events.DynamoDBEventRecord{removal}, nil, 0, `{"batchItemFailures":[]}`},
		"all are published": {[]events.DynamoDBEventRecord{insertion(101, docs[0]), insertion(102, docs[1])}, nil, 2, `{"batchItemFailures":[]}`},
		"the lowest failure is reported and the others are published": {
			[]events.DynamoDBEventRecord{insertion(101, docs[0]), insertion(102, docs[1]), insertion(103, docs[2]), insertion(104, docs[3])},
			[]int{3, 1}, 2, `{"batchItemFailures":[{"itemIdentifier":"102"}]}`,
		},
		"a damaged record is reported and does not block others": {
			[]events.DynamoDBEventRecord{insertion(101, docs[0]), damaged, insertion(103, docs[2]), insertion(104, docs[3])},
			[]int{3}, 2, `{"batchItemFailures":[{"itemIdentifier":"102"}]}`,
		},
		"a failure before a damaged record": {
			[]events.DynamoDBEventRecord{insertion(101, docs[0]), damaged}, []int{0}, 0, `{"batchItemFailures":[{"itemIdentifier":"101"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bus := &fakeBus{failing: map[string]error{}}
			for _, n := range test.failing {
				bus.failing[docs[n].Event.ID] = errors.New("the bus rejected the entry")
			}
			response, err := (&Publisher{Bus: bus}).Handle(t.Context(), events.DynamoDBEvent{Records: test.records})
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(response)
			if err != nil || string(got) != test.response {
				t.Errorf("response %s, %v; want %s", got, err, test.response)
			}
			if len(bus.published) != test.published {
				t.Errorf("%d published, want %d", len(bus.published), test.published)
			}
		})
	}
}

func TestPublisherReservesTimeForTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		bus := &fakeBus{}
		if _, err := (&Publisher{Bus: bus}).Handle(ctx, events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{insertion(1, docs(uuid.New().String(), 1, 1)[0])}}); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(bus.deadline); left != 9*time.Second {
			t.Errorf("the bus has %v left of 10 s", left)
		}
	})
}

func TestReadImageRejectsInvalidImages(t *testing.T) {
	for name, damaged := range map[string]map[string]events.DynamoDBAttributeValue{
		"none":         nil,
		"no document":  {"PK": events.NewStringAttribute(uuid.New().String())},
		"another type": {"d": events.NewNumberAttribute("1")},
		"not packed":   {"d": events.NewBinaryAttribute([]byte("{}"))},
		"a text":       {"d": events.NewStringAttribute("{}")},
	} {
		if _, err := ReadImage(damaged); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
