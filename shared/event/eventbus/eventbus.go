// Package eventbus provides the way onto the EventBridge bus. It sends what it is given, retries what the bus did not
// take, and says which events did not get there in the end; it never drops one silently, and promises no order: a
// retried event arrives after its neighbours, and one whose answer was lost arrives twice.
package eventbus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event"
)

// Limits of one call of PutEvents. A call may have 1 MB; the bound here leaves room for what the bus counts that
// entrySize does not know of.
const (
	maxEntries = 10
	maxBytes   = 1_000_000
)

// maxAttempts is how often an entry is sent that the bus answers with an error. A call that fails as a whole is retried by
// the SDK, not here.
const maxAttempts = 3

// firstPause is the longest pause before the second try; it doubles for each further one.
const firstPause = 100 * time.Millisecond

// ErrTooLarge is the failure of an event that the bus can never take.
var ErrTooLarge = errors.New("eventbus: the event is larger than the bus takes")

// Client is what Bus uses of the SDK's client.
type Client interface {
	// PutEvents answers entry by entry: the call succeeds although some, or all, of its entries failed.
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Bus is one event bus.
type Bus struct {
	client       Client
	name         string
	sourcePrefix string
}

// Open returns the bus that EVENT_BUS names (a name or an ARN). EVENT_SOURCE_PREFIX, such as "no.altinn.apps", is what the
// source of every event starts with; a dot and the org follow.
func Open(env *coldstart.Env) *Bus {
	client := env.Shared("eventbus", func() any { return eventbridge.NewFromConfig(env.AWS("EVENTBRIDGE")) }).(*eventbridge.Client)
	return New(client, env.String("EVENT_BUS"), env.String("EVENT_SOURCE_PREFIX"))
}

// New returns the bus of that name.
func New(client Client, name, sourcePrefix string) *Bus {
	return &Bus{client: client, name: name, sourcePrefix: sourcePrefix}
}

// Publish sends the events and returns one error for each, in the same order: nil for what is on the bus. Entries that
// the bus refuses are sent again, and only those, up to three times with a random pause between, while ctx lasts. ErrTooLarge
// is final; any other error may pass, and the event may even be on the bus if only the answer was lost.
func (b *Bus) Publish(ctx context.Context, docs []event.Encoded) []error {
	errs := make([]error, len(docs))
	var batch []int // positions in docs
	bytes := 0
	flush := func() {
		if len(batch) > 0 {
			b.publishBatch(ctx, docs, batch, errs)
		}
		batch, bytes = nil, 0
	}
	for n, doc := range docs {
		size := entrySize(b.entry(doc))
		if size > maxBytes {
			errs[n] = fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
			continue
		}
		if len(batch) == maxEntries || bytes+size > maxBytes {
			flush()
		}
		batch, bytes = append(batch, n), bytes+size
	}
	flush()
	return errs
}

// publishBatch sends the events at these positions in as many calls as it takes, and notes in errs what failed.
func (b *Bus) publishBatch(ctx context.Context, docs []event.Encoded, batch []int, errs []error) {
	pause := firstPause
	for try := 1; ; try++ {
		entries := make([]types.PutEventsRequestEntry, len(batch))
		for n, at := range batch {
			entries[n] = b.entry(docs[at])
		}
		out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err == nil && len(out.Entries) != len(batch) {
			err = fmt.Errorf("eventbus: %d answers to %d entries", len(out.Entries), len(batch))
		}
		if err != nil {
			for _, at := range batch {
				errs[at] = err
			}
			return
		}
		var refused []int
		for n, at := range batch {
			errs[at] = nil
			if code := aws.ToString(out.Entries[n].ErrorCode); code != "" {
				// The message may repeat the entry; the code does not.
				errs[at] = fmt.Errorf("eventbus: the bus refused the entry: %s", code)
				refused = append(refused, at)
			}
		}
		if len(refused) == 0 || try == maxAttempts {
			return
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return
		}
		batch, pause = refused, 2*pause
	}
}

// entry returns what an event is on the bus. The org is in the source because the source is the one thing by which IAM
// can tell one org's events from another's.
func (b *Bus) entry(doc event.Encoded) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		EventBusName: &b.name,
		Source:       aws.String(b.sourcePrefix + "." + doc.Event.Org),
		DetailType:   &doc.Event.EventType,
		Detail:       aws.String(string(doc.JSON)),
		Resources:    []string{doc.Event.InstanceLink},
		Time:         &doc.Event.At,
	}
}

// entrySize is the size of an entry as the bus counts it: 14 bytes for the time, and the rest as UTF-8.
func entrySize(entry types.PutEventsRequestEntry) int {
	size := 14 + len(*entry.Source) + len(*entry.DetailType) + len(*entry.Detail)
	for _, resource := range entry.Resources {
		size += len(resource)
	}
	return size
}
