package storage

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/rfc3339"
)

// losing is a transport that loses the response to the first requests of an operation, after
// DynamoDB has served them.
type losing struct {
	operation string // PutItem
	lose      atomic.Int32
	lost      atomic.Int32
	between   func() // runs when a response is lost, before the retry
}

func (l *losing) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+l.operation) || l.lose.Add(-1) < 0 {
		return resp, err
	}
	_ = resp.Body.Close()
	l.lost.Add(1)
	if l.between != nil {
		l.between()
	}
	return nil, errors.New("connection reset by peer")
}

// losingClient returns a client of DynamoDB Local that loses the first responses to an operation.
func losingClient(t *testing.T, operation string, responses int32) (*dynamodb.Client, *losing) {
	t.Helper()
	transport := &losing{operation: operation}
	transport.lose.Store(responses)
	options := dynamo(t).Options()
	options.HTTPClient = coldstart.PlainBodies(transport)
	options.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
	})
	return dynamodb.New(options), transport
}

func unstored(t *testing.T, app *application.Application, labels ...string) (*instance.Instance, event.Event) {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: "7" + uuid.New().String()[:8], Labels: labels}, "1001", instancetest.At)
	if err != nil {
		t.Fatal(err)
	}
	return i, eventOf(i)
}

func eventOf(i *instance.Instance) event.Event {
	org, app, _ := application.SplitID(i.AppID)
	return event.Event{ID: event.ID(i.ID, i.EventCount), At: rfc3339.Time{Time: i.StepEntered}, AppID: i.AppID, Org: org, App: app,
		EventType: event.WorkflowStateChange, WorkflowStep: i.Workflow.CurrentStep, InstanceVersion: i.Version + 1}
}

func eventCount(t *testing.T, instanceID string) int {
	t.Helper()
	out, err := dynamo(t).Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String(table(t, "Outbox")), KeyConditionExpression: aws.String("PK = :id"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":id": &types.AttributeValueMemberS{Value: instanceID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Items)
}

// The SDK retries a write whose response is lost, and the retry fails on the effect of the first
// attempt. The caller must see a success, and the effect must exist once.
func TestLostResponses(t *testing.T) {
	app := instancetest.NewApplication(1)
	good := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	for name, test := range map[string]struct {
		operation string
		change    func(*instance.Instance) ([]event.Event, error)
		check     func(*instance.Instance) bool
		events    int
	}{
		"one item": {"PutItem", func(i *instance.Instance) ([]event.Event, error) {
			return nil, i.AddData(app, uuid.New().String(), "default", instance.Content{}, "1001", instancetest.At)
		}, func(i *instance.Instance) bool { return len(i.Data) == 1 }, 1},
		"a step and its event": {"TransactWriteItems", func(i *instance.Instance) ([]event.Event, error) {
			if _, err := i.Transition(app, "Submit", application.User, "1001", instancetest.At); err != nil {
				return nil, err
			}
			return []event.Event{eventOf(i)}, nil
		}, func(i *instance.Instance) bool { return i.Workflow.CurrentStep == "Submit" && i.EventCount == 2 }, 2},
		"a label": {"PutItem", func(i *instance.Instance) ([]event.Event, error) {
			i.Labels = append(i.Labels, "another")
			return nil, nil
		}, func(i *instance.Instance) bool { return len(i.Labels) == 1 }, 1},
		"labels that share an index": {"TransactWriteItems", func(i *instance.Instance) ([]event.Event, error) {
			i.Labels = append(i.Labels, "gr", "x3")
			return nil, nil
		}, func(i *instance.Instance) bool { return len(i.Labels) == 2 }, 1},
	} {
		for _, responses := range []int32{1, 2} {
			i, ev := unstored(t, app)
			if err := good.Create(t.Context(), i, ev); err != nil {
				t.Fatal(err)
			}
			client, transport := losingClient(t, test.operation, responses)
			instances := instancetable.New(client, table(t, "Instances"), table(t, "Outbox"))
			got, err := instances.Mutate(t.Context(), i.InstanceOwnerID, i.ID, test.change)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			stored, err := good.Get(t.Context(), i.InstanceOwnerID, i.ID)
			if err != nil || stored.Version != 2 || !reflect.DeepEqual(stored, got) || !test.check(stored) {
				t.Errorf("%s: stored %+v, %v\nreturned %+v", name, stored, err, got)
			}
			if n := eventCount(t, i.ID); n != test.events || transport.lost.Load() != responses {
				t.Errorf("%s: %d events, want %d; %d responses lost", name, n, test.events, transport.lost.Load())
			}
		}
	}
}

func TestLostResponseToCreate(t *testing.T) {
	client, transport := losingClient(t, "TransactWriteItems", 2)
	instances := instancetable.New(client, table(t, "Instances"), table(t, "Outbox"))
	i, ev := unstored(t, instancetest.NewApplication(1), "gr", "x2")
	if err := instances.Create(t.Context(), i, ev); err != nil || i.Version != 1 || transport.lost.Load() != 2 {
		t.Fatalf("version %d, %v, %d responses lost", i.Version, err, transport.lost.Load())
	}
	stored, err := instances.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil || !reflect.DeepEqual(stored, i) || eventCount(t, i.ID) != 1 {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

// If another write comes between a lost response and the retry, it overwrites the write id of the
// first attempt. The change then runs again on the new version, which already has the change.
func TestLostResponseAndAnotherWrite(t *testing.T) {
	app := instancetest.NewApplication(1)
	good := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	id := uuid.New().String()
	for name, change := range map[string]func(*instance.Instance) ([]event.Event, error){
		"a step": func(i *instance.Instance) ([]event.Event, error) {
			if _, err := i.Transition(app, "Submit", application.User, "1001", instancetest.At); err != nil {
				return nil, err
			}
			return []event.Event{eventOf(i)}, nil
		},
		"data": func(i *instance.Instance) ([]event.Event, error) {
			return nil, i.AddData(app, id, "default", instance.Content{}, "1001", instancetest.At)
		},
	} {
		i, ev := unstored(t, app)
		if err := good.Create(t.Context(), i, ev); err != nil {
			t.Fatal(err)
		}
		operation, events := "PutItem", 1
		if name == "a step" {
			operation, events = "TransactWriteItems", 2
		}
		client, transport := losingClient(t, operation, 1)
		transport.between = func() {
			_, err := good.Mutate(context.Background(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
				i.PresentationField = "changed by another write"
				return nil, nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		instances := instancetable.New(client, table(t, "Instances"), table(t, "Outbox"))
		if _, err := instances.Mutate(t.Context(), i.InstanceOwnerID, i.ID, change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		stored, err := good.Get(t.Context(), i.InstanceOwnerID, i.ID)
		if err != nil || stored.Version != 3 || stored.PresentationField == "" || len(stored.Data) > 1 || eventCount(t, i.ID) != events {
			t.Errorf("%s: stored %+v, %v, %d events", name, stored, err, eventCount(t, i.ID))
		}
	}
}

func TestLostResponseToRegistration(t *testing.T) {
	client, _ := losingClient(t, "PutItem", 1)
	applications := applicationtable.New(client, table(t, "Applications"))
	app := instancetest.NewApplication(1)
	if err := applications.Put(t.Context(), app); err != nil || app.Version != 1 {
		t.Fatalf("version %d, %v", app.Version, err)
	}
	other := instancetest.NewApplication(2)
	other.ID = app.ID
	if err := applications.Put(t.Context(), other); !errors.Is(err, application.ErrVersionMismatch) {
		t.Errorf("another registration on version 0: %v, want a version mismatch", err)
	}
}
