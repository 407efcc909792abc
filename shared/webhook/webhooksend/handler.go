package webhooksend

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
	"altinn.no/instanceapi/shared/webhook"
)

// maxDue is the maximum number of readers that a run of the schedule takes.
const maxDue = 200

// wakeTime is the longest time of the runs of a batch. The schedule continues what is left, so slow
// endpoints do not keep the senders from the wake-ups of other owners.
const wakeTime = 45 * time.Second

// timeMargin is the part of the invocation's time that is reserved for the response.
const timeMargin = 2 * time.Second

// Handler wakes a sender.
type Handler struct {
	Sender  *Sender
	Metrics metric.Namespace // namespace of webhookLagMs and webhooksPaused
}

// Handle runs the readers that the messages of the wake-up queue name or, without messages, those
// that are due. It returns the messages that the queue must deliver again: those whose event the
// feed does not have yet, and those for which AWS failed.
func (h *Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-timeMargin))
		defer cancel()
	}
	defer h.Sender.Client.CloseIdleConnections() // Lambda freezes the process
	report := &Report{}
	var failures map[string]error
	var err error
	if len(batch.Records) > 0 {
		failures = h.wake(ctx, batch.Records, report)
	} else {
		err = h.due(ctx, report)
	}
	for _, message := range batch.Records {
		if cause := failures[message.MessageId]; cause != nil {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
			if !errors.Is(cause, errNotRecorded) {
				err = cause
			}
		}
	}
	h.log(ctx, report, len(batch.Records), len(response.BatchItemFailures), err)
	if len(batch.Records) > 0 {
		return response, nil // the response names the failed messages
	}
	return response, err
}

// The metrics of a log line.
var (
	paused = metric.Directive{Metrics: []metric.Metric{{Name: "webhooksPaused", Unit: metric.Count}}}
	lag    = metric.Directive{Metrics: []metric.Metric{{Name: "webhookLagMs", Unit: metric.Milliseconds}}}
)

func (h *Handler) log(ctx context.Context, report *Report, messages, again int, err error) {
	if err == nil && again+report.Delivered+report.Failed == 0 {
		return // an idle minute, or events that no subscription wants
	}
	now := time.Now()
	level, cause := slog.LevelInfo, ""
	if err != nil {
		level, cause = slog.LevelError, err.Error()
	}
	line := []slog.Attr{slog.Int("messages", messages), slog.Int("again", again), slog.Int("delivered", report.Delivered),
		slog.Int("failed", report.Failed), slog.Int("webhooksPaused", report.Paused), slog.String("cause", cause)}
	directives := []metric.Directive{paused}
	if len(report.Lags) > 0 {
		line = append(line, slog.Any("webhookLagMs", metric.NewValues(report.Lags)))
		directives = append(directives, lag)
	}
	slog.LogAttrs(ctx, level, "sent webhooks", append(line, h.Metrics.Set(directives...).Attr(now))...)
}

// due runs the readers that are due.
func (h *Handler) due(ctx context.Context, report *Report) error {
	keys, err := h.Sender.Queue.Due(ctx, time.Now(), maxDue)
	if err != nil {
		return err
	}
	runs := make([]run, len(keys))
	for n, key := range keys {
		runs[n] = run{key: key}
	}
	return errors.Join(h.runAll(ctx, runs, report)...)
}

// run is a reader to run, up to a target.
type run struct {
	key    webhook.Key
	target int64
}

// runAll runs readers and returns an error for each. After the verifications it runs the readers of
// their subscriptions that are due.
func (h *Handler) runAll(ctx context.Context, runs []run, report *Report) []error {
	errs := h.runParallel(ctx, runs, report)
	var next []run
	var of []int // the index of the verification
	for n, r := range runs {
		if errs[n] != nil || r.key.AppID != webhook.VerificationApp {
			continue
		}
		s, err := h.Sender.Subscriptions.Get(ctx, r.key.Org, r.key.Subscription)
		if errs[n] = err; err != nil || s == nil || s.State() != webhook.Active {
			continue
		}
		for _, appID := range s.AppIDs {
			next, of = append(next, run{key: webhook.Key{Org: s.Org, Subscription: s.ID, AppID: appID}}), append(of, n)
		}
	}
	for n, err := range h.runParallel(ctx, next, report) {
		errs[of[n]] = errors.Join(errs[of[n]], err)
	}
	return errs
}

// runParallel runs at most maxParallel readers at the same time, and returns an error for each.
func (h *Handler) runParallel(ctx context.Context, runs []run, report *Report) []error {
	errs := make([]error, len(runs))
	slots := make(chan struct{}, maxParallel)
	var wait sync.WaitGroup
	for n, r := range runs {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			errs[n] = h.Sender.Run(ctx, r.key, r.target, report)
		})
	}
	wait.Wait()
	return errs
}

// recordDelays are the delays between the lookups of an event that the feed does not have yet. The
// queue delivers a message only again after the visibility timeout.
var recordDelays = []time.Duration{200 * time.Millisecond, 600 * time.Millisecond, 2 * time.Second, 5 * time.Second}

// position returns the position of an event. It returns errNotRecorded if the feed still lacks the
// event after recordDelays.
func (h *Handler) position(ctx context.Context, ev event.Event) (int64, error) {
	for n := 0; ; n++ {
		at, recorded, err := h.Sender.Feed.PositionOfID(ctx, ev.AppID, ev.ID)
		switch {
		case err != nil || recorded:
			return at.Seq, err
		case n == len(recordDelays):
			return 0, errNotRecorded
		}
		if err := sleep(ctx, recordDelays[n]); err != nil {
			return 0, err
		}
	}
}

// errNotRecorded is the error of a message whose event is not in the feed yet.
var errNotRecorded = errors.New("the feed does not have the event yet")

// message is what a message of the queue announces: an event, or a changed subscription.
type message struct {
	id           string
	event        event.Encoded
	org          string
	subscription string // "" for an event
}

// The end of the source, and the type, of the entries that announce a changed subscription. The
// name of an organisation can have the same end.
const (
	changedSource = "-webhooks"
	changedType   = "SubscriptionChanged"
)

// readMessage returns what an EventBridge envelope announces. The policies of the bus allow an
// owner only the source of the owner's own events.
func readMessage(m events.SQSMessage) (message, error) {
	var envelope struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal([]byte(m.Body), &envelope); err != nil {
		return message{}, errors.New("the message is not an envelope")
	}
	if strings.HasSuffix(envelope.Source, changedSource) && envelope.DetailType == changedType {
		var changed webhook.Key
		if err := json.Unmarshal(envelope.Detail, &changed); err != nil || changed.Org == "" || changed.Subscription == "" {
			return message{}, errors.New("the message names no subscription")
		}
		return message{id: m.MessageId, org: changed.Org, subscription: changed.Subscription}, nil
	}
	doc, err := delivery.ReadEnvelope(m.Body)
	if err != nil {
		return message{}, err
	}
	return message{id: m.MessageId, event: doc, org: doc.Event.Org}, nil
}

// wake runs the readers that messages announce events for, and those of changed subscriptions. It
// returns the errors by message id.
func (h *Handler) wake(ctx context.Context, records []events.SQSMessage, report *Report) map[string]error {
	failures := map[string]error{}
	byOrg := map[string][]message{}
	for _, record := range records {
		m, err := readMessage(record)
		if err != nil {
			failures[record.MessageId] = err
			continue
		}
		byOrg[m.org] = append(byOrg[m.org], m)
	}
	var runs []run
	var causes [][]string // of each run, the ids of its messages
	for org, messages := range byOrg {
		subscriptions, err := h.Sender.Subscriptions.List(ctx, org)
		if err != nil {
			for _, m := range messages {
				failures[m.id] = err
			}
			continue
		}
		for key, a := range h.readers(ctx, subscriptions, messages, failures) {
			runs, causes = append(runs, run{key, a.target}), append(causes, a.messages)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wakeTime)
	defer cancel()
	for n, err := range h.runAll(ctx, runs, report) {
		for _, id := range causes[n] {
			if err != nil {
				failures[id] = err
			}
		}
	}
	return failures
}

// announced is what messages announce for one reader.
type announced struct {
	target   int64
	messages []string // ids
}

// readers returns the readers that want the announced events, and the verifications of the changed
// subscriptions. It adds the messages of events that the feed does not have yet to failures.
func (h *Handler) readers(ctx context.Context, subscriptions []*webhook.Subscription, messages []message, failures map[string]error) map[webhook.Key]announced {
	found := map[webhook.Key]announced{}
	targets := make([]int64, len(messages))
	errs := make([]error, len(messages))
	wants := func(s *webhook.Subscription, m message) bool {
		return m.subscription == "" && s.State() == webhook.Active && s.Reads(m.event.Event.AppID) && s.Wants(m.event.Event)
	}
	var wait sync.WaitGroup
	for n, m := range messages {
		if slices.ContainsFunc(subscriptions, func(s *webhook.Subscription) bool { return wants(s, m) }) {
			wait.Go(func() { targets[n], errs[n] = h.position(ctx, m.event.Event) })
		}
	}
	wait.Wait()
	for n, m := range messages {
		if errs[n] != nil {
			failures[m.id] = errs[n]
			continue
		}
		for _, s := range subscriptions {
			key := webhook.Key{Org: s.Org, Subscription: s.ID, AppID: m.event.Event.AppID}
			switch {
			case m.subscription == s.ID:
				key.AppID = webhook.VerificationApp
			case !wants(s, m):
				continue
			}
			a := found[key]
			found[key] = announced{max(a.target, targets[n]), append(a.messages, m.id)}
		}
	}
	return found
}
