// Package eventbus publishes events on the EventBridge bus. It retries entries that the bus
// rejects and reports the events that did not reach the bus. It never drops an event silently. It
// does not keep the order: a retried event arrives after its neighbours, and an event whose
// response was lost arrives twice.
package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/webhook"
)

// Limits of one PutEvents call. EventBridge allows 1 MB; maxBytes leaves a margin for bytes that
// EventBridge counts and entrySize does not.
const (
	maxEntries = 10
	maxBytes   = 1_000_000
)

// maxAttempts is the number of times that Publish sends an entry that the bus rejects. The SDK, not
// Publish, retries a call that fails as a whole.
const maxAttempts = 3

// firstBackoff is the longest backoff before the second attempt; it doubles with each further
// attempt.
const firstBackoff = 100 * time.Millisecond

// ErrTooLarge is the error of an event that exceeds the limit of the bus. Retrying does not help.
var ErrTooLarge = errors.New("eventbus: the event exceeds the size limit of the bus")

// Client is the part of the SDK's client that Bus uses.
type Client interface {
	// PutEvents reports a result for each entry: the call succeeds even if all of its entries fail.
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Bus is one event bus.
type Bus struct {
	client       Client
	name         string
	sourcePrefix string
}

// Open returns the bus that EVENT_BUS names (a name or an ARN). EVENT_SOURCE_PREFIX, such as
// "no.altinn.apps", is the prefix of the source of every event.
func Open(env *coldstart.Env) *Bus {
	client := env.Shared("eventbus", func() any { return eventbridge.NewFromConfig(env.AWS("EVENTBRIDGE")) }).(*eventbridge.Client)
	return New(client, env.String("EVENT_BUS"), env.String("EVENT_SOURCE_PREFIX"))
}

// New returns the bus of that name.
func New(client Client, name, sourcePrefix string) *Bus {
	return &Bus{client: client, name: name, sourcePrefix: sourcePrefix}
}

// Publish sends the events and returns one error for each, in the same order: nil for a published
// event. It sends an entry that the bus rejects at most three times, with a random backoff, until
// ctx ends. After a call that fails with fault.Busy, it sends no further events. ErrTooLarge is
// final. Any other error may be temporary, and the bus may have the event if only the response was
// lost.
func (b *Bus) Publish(ctx context.Context, docs []event.Encoded) []error {
	errs := make([]error, len(docs))
	var batch []int // indexes into docs
	bytes := 0
	var stopped error // the error of a call for which EventBridge is busy
	flush := func() {
		switch {
		case stopped != nil:
			for _, at := range batch {
				errs[at] = stopped
			}
		case len(batch) > 0:
			if err := b.publishBatch(ctx, docs, batch, errs); fault.IsBusy(err) {
				stopped = err
			}
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

// Wake announces to the senders of webhooks that the owner changed a subscription. The source of
// the entry is sourcePrefix-webhooks, which neither the rule of the feed nor the rules of owners
// match.
func (b *Bus) Wake(ctx context.Context, org, subscriptionID string) error {
	detail, err := json.Marshal(webhook.Key{Org: org, Subscription: subscriptionID})
	if err != nil {
		return err
	}
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.name, Source: aws.String(b.sourcePrefix + "-webhooks"), DetailType: aws.String("SubscriptionChanged"), Detail: aws.String(string(detail)),
	}}})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New("eventbus: the bus rejected the entry of a subscription")
	}
	return err
}

// publishBatch sends the events at the given indexes, retries rejected entries, and records the
// failures in errs. It returns the error of a call that failed as a whole.
func (b *Bus) publishBatch(ctx context.Context, docs []event.Encoded, batch []int, errs []error) error {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		entries := make([]types.PutEventsRequestEntry, len(batch))
		for n, at := range batch {
			entries[n] = b.entry(docs[at])
		}
		out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err == nil && len(out.Entries) != len(batch) {
			err = fmt.Errorf("eventbus: %d results for %d entries", len(out.Entries), len(batch))
		}
		if err != nil {
			for _, at := range batch {
				errs[at] = err
			}
			return err
		}
		var rejected []int
		for n, at := range batch {
			errs[at] = nil
			if code := aws.ToString(out.Entries[n].ErrorCode); code != "" {
				// The message may repeat the entry; the code does not.
				errs[at] = fmt.Errorf("eventbus: the bus rejected the entry: %s", code)
				rejected = append(rejected, at)
			}
		}
		if len(rejected) == 0 || attempt == maxAttempts {
			return nil
		}
		select {
		case <-time.After(rand.N(backoff)):
		case <-ctx.Done():
			return nil
		}
		batch, backoff = rejected, 2*backoff
	}
}

// entry returns the bus entry of an event.
func (b *Bus) entry(doc event.Encoded) types.PutEventsRequestEntry {
	var resources []string
	if doc.Event.InstanceLink != "" { // a restoration knows no address of the API
		resources = []string{doc.Event.InstanceLink}
	}
	return types.PutEventsRequestEntry{
		EventBusName: &b.name,
		Source:       aws.String(doc.Source(b.sourcePrefix)),
		DetailType:   &doc.Event.EventType,
		Detail:       aws.String(string(doc.JSON)),
		Resources:    resources,
		Time:         &doc.Event.At.Time,
	}
}

// entrySize returns the size in bytes of an entry as EventBridge counts it: 14 bytes for the
// time, and the UTF-8 length of the other members.
func entrySize(entry types.PutEventsRequestEntry) int {
	size := 14 + len(*entry.Source) + len(*entry.DetailType) + len(*entry.Detail)
	for _, resource := range entry.Resources {
		size += len(resource)
	}
	return size
}
