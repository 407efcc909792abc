package runtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/tests/local/scanner"
)

// Deliver moves every event from the outbox to the feed. Like the stream, it passes the items of
// the table to event-publish. Like the rule and the queue, it passes the entries that event-publish
// puts on the bus to event-record. When it returns without an error, every event of the outbox is
// in the feed. It returns the number of events. event-record gets batches of ten, or of FeedBatch.
func (s *System) Deliver(ctx context.Context) (delivered int, err error) {
	for {
		out, err := s.Dynamo.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("Outbox"), ConsistentRead: aws.Bool(true), Limit: aws.Int32(100)})
		if err != nil || len(out.Items) == 0 {
			return delivered, err
		}
		if err := s.publish(ctx, out.Items); err != nil {
			return delivered, err
		}
		entries := s.bus.take()
		s.unsent = append(s.unsent, entries...)
		entries = slices.DeleteFunc(entries, func(e busEntry) bool { return strings.HasSuffix(e.Source, "-webhooks") }) // as the rule of the feed
		if len(entries) == 0 {
			return delivered, errors.New("runtime: event-publish put nothing on the bus")
		}
		if err := s.record(ctx, entries); err != nil {
			return delivered, err
		}
		delivered += len(out.Items)
	}
}

// publish passes items of the outbox to event-publish, those of an instance in order.
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
			case *types.AttributeValueMemberB:
				image[name] = map[string][]byte{"B": v.Value} // base64 in JSON
			default:
				return fmt.Errorf("runtime: attribute %s of the outbox has type %T", name, value)
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

// SendWebhooks passes the entries of the bus since the last call to webhook-send, like the rule and
// the queue of webhooks. Call Deliver first.
func (s *System) SendWebhooks(ctx context.Context) error {
	in, err := messages(append(s.unsent, s.bus.take()...))
	s.unsent = nil
	if err != nil || len(in.Records) == 0 {
		return err
	}
	return s.batch(ctx, "webhook-send", in)
}

// Scan scans the content that is new since the last call, and passes the results to scan-record,
// like GuardDuty, the rule and the queue of scans. Markers in the content choose the results: see
// package scanner. Scan returns the number of results. It returns an error if scan-record reports
// failed items; the next call then passes these results again. Set the parameter MalwareScan in
// Options.
func (s *System) Scan(ctx context.Context) (results int, err error) { return s.scanner.Scan(ctx) }

// recordScans passes results of scans to scan-record.
func (s *System) recordScans(ctx context.Context, results []scanner.Result) error {
	var entries []busEntry
	for _, result := range results {
		detail, err := json.Marshal(result)
		if err != nil {
			return err
		}
		entries = append(entries, busEntry{Source: scanner.Source, DetailType: scanner.DetailType, Detail: string(detail), Resources: []string{}})
	}
	in, err := messages(entries)
	if err != nil {
		return err
	}
	return s.batch(ctx, "scan-record", in)
}

// messages returns the messages of a queue to which a rule sends entries of the bus.
func messages(entries []busEntry) (in events.SQSEvent, err error) {
	for n, entry := range entries {
		envelope, err := json.Marshal(map[string]any{
			"version": "0", "id": rand.Text(), "source": entry.Source, "detail-type": entry.DetailType, "account": "123456789012",
			"time": time.Now().UTC().Format(time.RFC3339), "region": Region, "resources": entry.Resources, "detail": json.RawMessage(entry.Detail),
		})
		if err != nil {
			return in, err
		}
		in.Records = append(in.Records, events.SQSMessage{
			MessageId: fmt.Sprint(n), Body: string(envelope), EventSource: "aws:sqs", AWSRegion: Region,
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	return in, nil
}

// record passes entries of the bus to event-record, and retries while event-record returns events
// that are out of order.
func (s *System) record(ctx context.Context, entries []busEntry) error {
	in, err := messages(entries)
	if err != nil {
		return err
	}
	// Event-publish keeps no order across its calls of the bus, so a batch can be out of order
	// until a later one is recorded.
	batches := slices.Collect(slices.Chunk(in.Records, cmp.Or(s.FeedBatch, 10)))
	for range 10 {
		var failed [][]events.SQSMessage
		for _, batch := range batches {
			if err = s.batch(ctx, "event-record", events.SQSEvent{Records: batch}); err != nil {
				failed = append(failed, batch)
			}
		}
		if batches = failed; len(batches) == 0 {
			return nil
		}
	}
	return err
}

// batch invokes a function with a batch. It returns an error if the function reports failed items.
func (s *System) batch(ctx context.Context, function string, in any) error {
	payload, err := json.Marshal(in)
	if err != nil {
		return err
	}
	response, err := s.Function(function).Invoke(ctx, payload)
	if err != nil {
		return err
	}
	var out struct {
		Failures []json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(response, &out); err != nil {
		return fmt.Errorf("runtime: invalid response of %s: %s: %w", function, response, err)
	}
	if len(out.Failures) > 0 {
		return fmt.Errorf("runtime: %s reports failed items: %s", function, response)
	}
	return nil
}

// bus is an EventBridge endpoint that stores its entries.
type bus struct {
	mu      sync.Mutex
	entries []busEntry
}

type busEntry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
}

// serve starts a server that replaces a service of AWS, and returns its address.
func (s *System) serve(handler http.Handler) (endpoint string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.stops = append(s.stops, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // always returns an error, also after Close
	return "http://" + listener.Addr().String(), nil
}

// IdentityKeyARN is the ARN of the secret with the key of the party register.
const IdentityKeyARN = "arn:aws:secretsmanager:" + Region + ":000000000000:secret:identity-key-aaaaaa"

// serveIdentityKey is a Secrets Manager with one secret.
func serveIdentityKey(w http.ResponseWriter, r *http.Request) {
	var in struct{ SecretId string }
	if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || json.NewDecoder(r.Body).Decode(&in) != nil || in.SecretId != IdentityKeyARN {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException"}`))
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": strings.Repeat("k", 32)})
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
	entries := b.entries
	b.entries = nil
	return entries
}
