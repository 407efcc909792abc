package faults_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/tests/stored"
)

// stream is DynamoDB's stream of the outbox and Lambda's poller: every insertion once, in random
// order across items. A batch is retried from the lowest failed record, and given up after
// maxAttempts.
type stream struct {
	rng      *rand.Rand
	seen     map[string]bool // keys of the items captured
	records  []events.DynamoDBEventRecord
	attempts int
	sequence int
	dead     int // records that went to the failure destination
}

const maxAttempts = 3

// capture adds the items that are new since the last call to the stream.
func (s *stream) capture(items []stored.Item) {
	var fresh []stored.Item
	for _, item := range items {
		if key := item.Text("PK") + "." + item.Text("SK"); !s.seen[key] {
			s.seen[key] = true
			fresh = append(fresh, item)
		}
	}
	s.rng.Shuffle(len(fresh), func(a, b int) { fresh[a], fresh[b] = fresh[b], fresh[a] })
	for _, item := range fresh {
		s.sequence++
		image := map[string]events.DynamoDBAttributeValue{}
		for name, value := range item {
			switch v := value.(type) {
			case *types.AttributeValueMemberS:
				image[name] = events.NewStringAttribute(v.Value)
			case *types.AttributeValueMemberN:
				image[name] = events.NewNumberAttribute(v.Value)
			case *types.AttributeValueMemberB:
				image[name] = events.NewBinaryAttribute(v.Value)
			}
		}
		s.records = append(s.records, events.DynamoDBEventRecord{
			EventName: "INSERT", EventID: fmt.Sprint(s.sequence),
			Change: events.DynamoDBStreamRecord{SequenceNumber: fmt.Sprintf("%021d", s.sequence), NewImage: image},
		})
	}
}

// batch returns the records that Lambda sends next.
func (s *stream) batch() events.DynamoDBEvent {
	return events.DynamoDBEvent{Records: s.records[:min(len(s.records), 1+s.rng.IntN(4))]}
}

// done advances the stream after a batch. failed is the sequence number to retry from, or "" if all
// records succeeded.
func (s *stream) done(batch events.DynamoDBEvent, failed string) {
	done := len(batch.Records)
	for n, record := range batch.Records {
		if record.Change.SequenceNumber == failed {
			done = n
		}
	}
	if done > 0 {
		s.attempts = 0
	}
	if done < len(batch.Records) {
		if s.attempts++; s.attempts >= maxAttempts { // the rest of the batch is given up
			s.dead += len(batch.Records) - done
			s.attempts, done = 0, len(batch.Records)
		}
	}
	s.records = s.records[done:]
}

// message is a message of the queue.
type message struct {
	id       string
	body     string
	received int
}

// queue is SQS: at least once, in any order; messages received too often become dead letters.
type queue struct {
	rng      *rand.Rand
	messages []*message
	dead     []*message
	sent     int
}

const maxReceives = 10 // as in template.yaml

func (q *queue) send(body string) {
	q.sent++
	q.messages = append(q.messages, &message{id: fmt.Sprint("m", q.sent), body: body})
}

// receive returns some messages. They stay in the queue, so a slow consumer may receive them twice.
func (q *queue) receive() []*message {
	q.rng.Shuffle(len(q.messages), func(a, b int) { q.messages[a], q.messages[b] = q.messages[b], q.messages[a] })
	n := min(len(q.messages), 1+q.rng.IntN(10))
	batch := append([]*message(nil), q.messages[:n]...)
	for _, m := range batch {
		m.received++
	}
	return batch
}

// done deletes the successful messages of a batch. Some deletions are lost.
func (q *queue) done(batch []*message, failed map[string]bool, lossless bool) {
	done := map[string]bool{}
	for _, m := range batch {
		done[m.id] = !failed[m.id] && (lossless || q.rng.IntN(10) > 0)
	}
	var left []*message
	for _, m := range q.messages {
		switch {
		case done[m.id]:
		case m.received >= maxReceives:
			q.dead = append(q.dead, m)
		default:
			left = append(left, m)
		}
	}
	q.messages = left
}

// redrive puts the dead letters back into the queue, as an operator does.
func (q *queue) redrive() {
	for _, m := range q.dead {
		m.received = 0
		q.messages = append(q.messages, m)
	}
	q.dead = nil
}

// bus is EventBridge behind its HTTP interface, with the rule to the queue. While it is lossy, it
// rejects some entries, delivers some twice, and loses some that it has accepted. AWS promises more
// than that; losing entries tests the sweep.
type bus struct {
	rng   *rand.Rand
	queue *queue

	mu    sync.Mutex
	lossy bool
	down  bool
	puts  map[string]int // by event id
}

func (b *bus) Do(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if target := r.Header.Get("X-Amz-Target"); target != "AWSEvents.PutEvents" {
		return nil, fmt.Errorf("the bus does not know %q", target)
	}
	var in struct {
		Entries []struct {
			EventBusName, Source, DetailType, Detail string
			Resources                                []string
			Time                                     float64
		}
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || len(in.Entries) == 0 || len(in.Entries) > 10 {
		return nil, fmt.Errorf("not a call of PutEvents: %d entries, %w", len(in.Entries), err)
	}
	type result struct{ EventId, ErrorCode string }
	var out struct {
		FailedEntryCount int
		Entries          []result
	}
	for n, entry := range in.Entries {
		if b.down || b.lossy && b.rng.IntN(8) == 0 {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, result{ErrorCode: "InternalFailure"})
			continue
		}
		id := fmt.Sprint(b.queue.sent, "-", n)
		out.Entries = append(out.Entries, result{EventId: id})
		var detail struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(entry.Detail), &detail); err != nil {
			return nil, err
		}
		b.puts[detail.ID]++
		envelope, err := json.Marshal(map[string]any{
			"version": "0", "id": id, "source": entry.Source, "detail-type": entry.DetailType, "resources": entry.Resources,
			"time": time.Unix(int64(entry.Time), 0).UTC(), "detail": json.RawMessage(entry.Detail),
		})
		if err != nil {
			return nil, err
		}
		copies := 1
		if b.lossy {
			copies = []int{0, 1, 1, 1, 1, 1, 2}[b.rng.IntN(7)]
		}
		for range copies {
			b.queue.send(string(envelope))
		}
	}
	content, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, ContentLength: int64(len(content)),
		Body: io.NopCloser(strings.NewReader(string(content))), Request: r,
	}, nil
}
