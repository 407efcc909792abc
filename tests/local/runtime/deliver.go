package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Deliver takes every event from the outbox to the feed: what is in the table goes to event-publish as the stream would
// give it, and what that puts on the bus goes to event-record as the rule and the queue would. When it returns without an
// error, all that was in the outbox is in the feed. It returns how many events that were.
func (s *System) Deliver(ctx context.Context) (delivered int, err error) {
	for {
		out, err := s.Dynamo.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("Outbox"), ConsistentRead: aws.Bool(true), Limit: aws.Int32(100)})
		if err != nil || len(out.Items) == 0 {
			return delivered, err
		}
		if err := s.publish(ctx, out.Items); err != nil {
			return delivered, err
		}
		taken := s.bus.take()
		if len(taken) == 0 {
			return delivered, errors.New("lambdas: event-publish has put nothing on the bus")
		}
		if err := s.record(ctx, taken); err != nil {
			return delivered, err
		}
		delivered += len(out.Items)
	}
}

// publish gives items of the outbox to event-publish, those of an instance in order.
func (s *System) publish(ctx context.Context, items []map[string]types.AttributeValue) error {
	var in struct {
		Records []map[string]any `json:"Records"`
	}
	for n, item := range items {
		image := map[string]any{}
		for name, value := range item {
			switch v := value.(type) {
			case *types.AttributeValueMemberS:
				image[name] = map[string]string{"S": v.Value}
			case *types.AttributeValueMemberN:
				image[name] = map[string]string{"N": v.Value}
			default:
				return fmt.Errorf("lambdas: the outbox has the attribute %s as a %T", name, value)
			}
		}
		in.Records = append(in.Records, map[string]any{
			"eventID": fmt.Sprintf("%032d", n), "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": Region,
			"dynamodb": map[string]any{
				"NewImage": image, "Keys": map[string]any{"PK": image["PK"], "SK": image["SK"]},
				"SequenceNumber": fmt.Sprintf("%021d", n), "StreamViewType": "NEW_IMAGE",
			},
		})
	}
	return s.batch(ctx, "event-publish", in)
}

// record gives entries of the bus to event-record, again and again while it gives back what came too early.
func (s *System) record(ctx context.Context, entries []busEntry) error {
	var in events.SQSEvent
	for n, entry := range entries {
		envelope, err := json.Marshal(map[string]any{
			"version": "0", "id": rand.Text(), "source": entry.Source, "detail-type": entry.DetailType, "account": "123456789012",
			"time": time.Now().UTC().Format(time.RFC3339), "region": Region, "resources": entry.Resources, "detail": json.RawMessage(entry.Detail),
		})
		if err != nil {
			return err
		}
		in.Records = append(in.Records, events.SQSMessage{
			MessageId: fmt.Sprint(n), Body: string(envelope), EventSource: "aws:sqs", AWSRegion: Region,
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	for start := 0; start < len(in.Records); start += 10 {
		part := events.SQSEvent{Records: in.Records[start:min(start+10, len(in.Records))]}
		var err error
		for range 10 {
			if err = s.batch(ctx, "event-record", part); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// batch invokes a function with a batch. What it gives back as failed is an error.
func (s *System) batch(ctx context.Context, function string, in any) error {
	payload, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := s.Function(function).Invoke(ctx, payload)
	if err != nil {
		return err
	}
	var out struct {
		Failures []json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return fmt.Errorf("lambdas: %s answers %s: %w", function, answer, err)
	}
	if len(out.Failures) > 0 {
		return fmt.Errorf("lambdas: %s gives back %s", function, answer)
	}
	return nil
}

// bus is an EventBridge endpoint that keeps what is put on it.
type bus struct {
	mu      sync.Mutex
	entries []busEntry
}

type busEntry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
}

func (s *System) startBus() (endpoint string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.bus = &bus{}
	server := &http.Server{Handler: s.bus, ReadHeaderTimeout: 10 * time.Second}
	s.stops = append(s.stops, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with an error of its own making
	return "http://" + listener.Addr().String(), nil
}

func (b *bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Entries []busEntry }
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutEvents") || json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.entries = append(b.entries, in.Entries...)
	b.mu.Unlock()
	ids := make([]map[string]string, len(in.Entries))
	for n := range ids {
		ids[n] = map[string]string{"EventId": rand.Text()}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": 0, "Entries": ids})
}

func (b *bus) take() []busEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.entries
	b.entries = nil
	return taken
}
