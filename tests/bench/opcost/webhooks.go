package opcost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/webhook"
)

// webhooks measures the sender of webhooks: for an organisation without subscriptions, and then for
// one subscription, which it deletes at the end. The endpoint responds immediately.
func (s *env) webhooks(ctx context.Context, round int) (rows []Row, err error) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer endpoint.Close()
	const many = 100 // the largest batch of the queue
	var id string
	events := func(first, n int) func() error {
		return func() error { return s.record(ctx, 10*(round+1)+first, n) }
	}
	subscribe := func() error {
		created, err := s.send(ctx, request{as: s.owner, method: "POST", path: "/storage/subscriptions", body: `{"endpoint":"` + endpoint.URL + `","appIds":["` + app + `"]}`, want: 201})
		id, _ = created["id"].(string)
		return err
	}
	minute := func() error {
		_, err := s.Function("webhook-send").Invoke(ctx, []byte(`{}`))
		return err
	}
	for _, o := range []struct {
		name        string
		prepare, do func() error
	}{
		{"webhooks: 100 events together, without a subscription", events(0, many), func() error { return s.SendWebhooks(ctx) }},
		{"webhooks: verify the endpoint", subscribe, func() error { return s.SendWebhooks(ctx) }},
		{"webhooks: send an event", events(1, 1), func() error { return s.SendWebhooks(ctx) }},
		{"webhooks: send 100 events together", events(2, many), func() error { return s.SendWebhooks(ctx) }},
		{"webhooks: nothing is due", nil, minute},
		{"webhooks: the hourly check of one application", func() error { return s.makeDue(ctx, id) }, minute},
	} {
		if o.prepare != nil {
			if err := o.prepare(); err != nil {
				return nil, fmt.Errorf("%s: %w", o.name, err)
			}
		}
		if _, err := s.recorder.Take(); err != nil {
			return nil, err
		}
		err := o.do()
		calls, checkErr := s.recorder.Take()
		if err := errors.Join(err, checkErr); err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		row := s.row(calls)
		row.Name = o.name
		rows = append(rows, row)
	}
	deliveries, err := s.send(ctx, request{as: s.owner, method: "GET", path: "/storage/subscriptions/" + id + "/deliveries", want: 200})
	if err != nil {
		return nil, err
	}
	if sent, _ := deliveries["deliveries"].([]any); len(sent) != webhook.MaxDeliveries {
		return nil, fmt.Errorf("opcost: the endpoint got fewer events than the feed has: %v", deliveries)
	}
	_, err = s.send(ctx, request{as: s.owner, method: "DELETE", path: "/storage/subscriptions/" + id, want: 204})
	return rows, err
}

// record puts events into the feed. The wake-ups of only these events wait for webhook-send.
func (s *env) record(ctx context.Context, round, events int) error {
	if err := s.emit(ctx, round, events); err != nil {
		return err
	}
	if err := s.SendWebhooks(ctx); err != nil {
		return err
	}
	_, err := s.deliver(ctx, events)
	return err
}

// makeDue makes the reader of a subscription due, not through the recorder.
func (s *env) makeDue(ctx context.Context, id string) error {
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	_, err := s.Dynamo.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: name("Subscriptions"), Key: map[string]types.AttributeValue{"PK": text("SUB#" + id), "SK": text("APP#" + app)},
		UpdateExpression: aws.String("SET due = :due"), ConditionExpression: aws.String("attribute_exists(due)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":due": text("2026-01-01T00:00:00.000000Z")},
	})
	return err
}
