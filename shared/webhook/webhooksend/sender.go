// Package webhooksend sends the events of feeds to the endpoints of subscriptions.
//
// A sender takes the lease of a reader, reads events after the reader's place, sends one after the
// other, and stores the new place, with one write for up to pageSize events. It stops at the first
// event that the endpoint rejects. So an endpoint gets the events of an application in the order of
// the feed. It gets an event again if the sender ends between the response and the write; the
// header webhook-id is then the same.
//
// The bus wakes a sender for each event. The wake-up of an event that the feed does not have yet
// stays in the queue. Another sender that holds the reader gets the position of the event, and
// continues up to there before it frees the reader. So no wake-up is lost. Every reader is also
// read once per webhook.CheckInterval.
package webhooksend

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/webhook"
)

const (
	// pageSize is the maximum number of events between two writes of a reader.
	pageSize = 100
	// maxParallel is the maximum number of readers that one invocation runs at the same time. A
	// page of the largest events has 5 MB.
	maxParallel = 32
	// subscriptionAge is how long a sender uses a subscription that it has read. A pause, a
	// deletion and a rotation take effect after this time.
	subscriptionAge = time.Second
	// maxWait is the longest delay of a retry for which the sender waits with the lease.
	maxWait = 30 * time.Second
	// leaseMargin is how long a lease lasts after the end of the invocation.
	leaseMargin = 5 * time.Second
	// visibleWait is the delay between two reads of a feed that does not show an event yet, and
	// maxVisibleWaits the number of reads.
	visibleWait     = 100 * time.Millisecond
	maxVisibleWaits = 20
)

// Feed reads the feeds; eventtable.Feed implements it.
type Feed interface {
	Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error)
	PositionOfID(ctx context.Context, appID, eventID string) (at event.Position, found bool, err error)
}

// Sender sends events. All fields are required.
type Sender struct {
	Subscriptions webhook.Subscriptions
	Queue         webhook.Queue
	Feed          Feed
	Client        *http.Client
	// CloudEvent returns an event as a CloudEvent.
	CloudEvent func(event.Encoded) (json.RawMessage, error)
}

// Report is what a sender did.
type Report struct {
	mu        sync.Mutex
	Delivered int
	Failed    int
	Paused    int     // subscriptions that the sender paused
	Lags      []int64 // milliseconds from the record of an event to the response
}

// Run runs the reader if it is due or, with a target, if the endpoint lacks events up to there. It
// ends early enough before the deadline of ctx that its last write succeeds. An endpoint that fails
// is no error.
func (s *Sender) Run(ctx context.Context, key webhook.Key, target int64, report *Report) error {
	now := time.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("webhook: the sender needs a deadline")
	}
	r, outcome, err := s.Queue.Lease(ctx, key, rand.Text(), now, deadline.Add(leaseMargin), target)
	if err != nil || outcome != webhook.Leased {
		return err
	}
	t := &turn{Sender: s, reader: r, report: report, deadline: deadline}
	err = t.run(ctx)
	if errors.Is(err, webhook.ErrLost) { // the owner deleted the subscription, or another sender continues
		return nil
	}
	return err
}

// turn is the work of a sender on the reader that it holds.
type turn struct {
	*Sender
	reader   webhook.Reader
	report   *Report
	deadline time.Time

	subscription *webhook.Subscription
	readAt       time.Time // when subscription was read
	waits        int       // for the visibility of events
}

// run sends until the reader needs nothing more, waits for a later retry, or the time ends.
func (t *turn) run(ctx context.Context) error {
	for {
		release, wait, err := t.page(ctx)
		if err != nil {
			// So another run does not wait for the lease, and sends fewer events again.
			t.reader.Due = time.Now()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_, _ = t.Queue.Save(last, &t.reader, webhook.ReleaseNow)
			return err
		}
		if wait > 0 && wait <= maxWait && time.Until(t.deadline) > wait+attemptTimeout+leaseMargin {
			release = webhook.Keep
		}
		again, err := t.Queue.Save(ctx, &t.reader, release)
		if err != nil {
			return err
		}
		switch {
		case again, release == webhook.Keep && wait == 0:
		case release == webhook.Keep:
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// page reads the events after the reader's place and sends them. It returns how to store the
// reader, and the delay of the retry if the last attempt failed.
func (t *turn) page(ctx context.Context) (webhook.Release, time.Duration, error) {
	if time.Until(t.deadline) < leaseMargin {
		t.reader.Due = time.Now()
		return webhook.ReleaseNow, 0, nil
	}
	var records []event.Record
	if t.reader.AppID != webhook.VerificationApp {
		var err error
		if records, err = t.Feed.Read(ctx, t.reader.AppID, t.reader.At, pageSize+1); err != nil {
			return 0, 0, err
		}
	}
	// The subscription is read after the events: a filter that the owner changed before an event
	// was recorded applies to the event.
	t.subscription = nil
	active, err := t.refresh(ctx)
	if err != nil || !active {
		t.reader.Due = time.Time{} // the owner's change makes the reader due again
		return webhook.ReleaseNow, 0, err
	}
	if t.reader.AppID == webhook.VerificationApp {
		return t.verify(ctx)
	}
	more := len(records) > pageSize // otherwise this page is the last write
	records = records[:min(len(records), pageSize)]
	for _, record := range records {
		ev := record.Document.Event
		if t.subscription.Wants(ev) && (t.reader.Since.IsZero() || ev.At.After(t.reader.Since)) {
			if time.Until(t.deadline) < attemptTimeout+leaseMargin {
				t.reader.Due = time.Now()
				return webhook.ReleaseNow, 0, nil
			}
			if active, err := t.refresh(ctx); err != nil || !active {
				t.reader.Due = time.Time{}
				return webhook.ReleaseNow, 0, err
			}
			failed, err := t.send(ctx, record)
			if err != nil {
				return 0, 0, err
			}
			if failed {
				return t.failed(ctx)
			}
		}
		t.reader.At = record.Position
	}
	switch {
	case more:
		return webhook.Keep, 0, nil
	case t.reader.At.Seq >= t.reader.Target:
		t.reader.Due = time.Now().Add(webhook.CheckInterval)
		return webhook.ReleaseAtEnd, 0, nil
	case t.waits == maxVisibleWaits:
		t.reader.Due = time.Now()
		return webhook.ReleaseNow, 0, nil
	}
	t.waits++ // the read is eventually consistent
	if err := sleep(ctx, visibleWait); err != nil {
		return 0, 0, err
	}
	return t.page(ctx)
}

// failed returns the results of page after a failed attempt. It pauses a subscription whose
// endpoint is gone, or has failed for too long.
func (t *turn) failed(ctx context.Context) (webhook.Release, time.Duration, error) {
	var err error
	now := time.Now()
	t.reader.Fail(now)
	last := t.reader.Deliveries[len(t.reader.Deliveries)-1]
	switch {
	case last.Status == http.StatusGone:
		err = t.pause(ctx, webhook.PausedGone)
	case t.reader.GivesUp(now):
		err = t.pause(ctx, webhook.PausedFailing)
	default:
		return webhook.ReleaseNow, t.reader.Due.Sub(now), nil
	}
	t.reader.Due = time.Time{}
	return webhook.ReleaseNow, 0, err
}

// pause pauses the subscription, unless the owner has changed its endpoint or paused it.
func (t *turn) pause(ctx context.Context, reason string) error {
	paused := false
	_, err := t.Subscriptions.Change(ctx, t.subscription.Org, t.subscription.ID, func(s *webhook.Subscription) ([]webhook.Move, error) {
		paused = s.Endpoint == t.subscription.Endpoint && s.PausedBy == ""
		if paused {
			s.PausedBy, s.Changed = reason, time.Now().UTC().Truncate(time.Microsecond)
		}
		return nil, nil
	})
	if err == nil && paused {
		t.report.mu.Lock()
		t.report.Paused++
		t.report.mu.Unlock()
	}
	return err
}

// refresh reads the subscription if the one that the sender knows is too old. It reports whether
// the reader may send.
func (t *turn) refresh(ctx context.Context) (bool, error) {
	if now := time.Now(); t.subscription == nil || now.Sub(t.readAt) > subscriptionAge {
		s, err := t.Subscriptions.Get(ctx, t.reader.Org, t.reader.Subscription)
		if err != nil || s == nil {
			return false, err
		}
		t.subscription, t.readAt = s, now
	}
	if t.reader.AppID == webhook.VerificationApp {
		return t.subscription.State() == webhook.Unverified, nil
	}
	// A restored table can have a reader of an application that the owner has removed.
	return t.subscription.State() == webhook.Active && t.subscription.Reads(t.reader.AppID), nil
}

// send sends an event. It reports whether the attempt failed, and logs it in the reader.
func (t *turn) send(ctx context.Context, record event.Record) (failed bool, err error) {
	body, contentType := record.Document.JSON, "application/json"
	if t.subscription.Format == webhook.FormatCloudEvent {
		contentType = "application/cloudevents+json"
		if body, err = t.CloudEvent(record.Document); err != nil {
			return false, err
		}
	}
	d, _, err := t.attempt(ctx, record.Document.Event.ID, contentType, body)
	if err != nil {
		return false, err
	}
	d.EventID = record.Document.Event.ID
	t.log(d)
	if d.Error != "" {
		return true, nil
	}
	t.reader.Succeed()
	t.report.mu.Lock()
	t.report.Lags = append(t.report.Lags, time.Since(record.RecordedAt).Milliseconds())
	t.report.mu.Unlock()
	return false, nil
}

// log adds an attempt to the reader's log and to the report.
func (t *turn) log(d webhook.Delivery) {
	t.reader.Log(d)
	t.report.mu.Lock()
	defer t.report.mu.Unlock()
	if d.Error == "" {
		t.report.Delivered++
	} else {
		t.report.Failed++
	}
}

// verification is the body of the first request to an endpoint.
type verification struct {
	Type           string `json:"type"`
	SubscriptionID string `json:"subscriptionId"`
	Challenge      string `json:"challenge"`
}

// verify sends the challenge. If the endpoint responds with it, the subscription is
// active and its readers are due.
func (t *turn) verify(ctx context.Context) (webhook.Release, time.Duration, error) {
	if time.Until(t.deadline) < attemptTimeout+leaseMargin {
		t.reader.Due = time.Now()
		return webhook.ReleaseNow, 0, nil
	}
	sent := t.subscription
	body, err := json.Marshal(verification{"SubscriptionVerification", sent.ID, sent.Challenge})
	if err != nil {
		return 0, 0, err
	}
	d, response, err := t.attempt(ctx, webhook.VerificationID(sent.Challenge), "application/json", body)
	if err != nil {
		return 0, 0, err
	}
	var answer struct {
		Challenge string `json:"challenge"`
	}
	switch {
	case d.Error != "":
	case d.Status != http.StatusOK:
		d.Error = webhook.ErrorStatus
	case json.Unmarshal(response, &answer) != nil || answer.Challenge != sent.Challenge:
		d.Error = webhook.ErrorChallenge
	}
	t.log(d)
	if d.Error != "" {
		return t.failed(ctx)
	}
	t.reader.Succeed()
	t.reader.Due = time.Time{}
	_, err = t.Subscriptions.Change(ctx, sent.Org, sent.ID, func(s *webhook.Subscription) ([]webhook.Move, error) {
		if s.Challenge != sent.Challenge || s.Verified {
			return nil, nil
		}
		s.Verified, s.Changed = true, time.Now().UTC().Truncate(time.Microsecond)
		moves := make([]webhook.Move, len(s.AppIDs))
		for n, appID := range s.AppIDs {
			moves[n].AppID = appID
		}
		return moves, nil
	})
	return webhook.ReleaseNow, 0, err
}

// attempt sends a signed request and returns the attempt and the start of the response's body. Only
// the end of ctx is an error.
func (t *turn) attempt(ctx context.Context, id, contentType string, body []byte) (webhook.Delivery, []byte, error) {
	began := time.Now()
	d := webhook.Delivery{At: began.UTC().Truncate(time.Millisecond)}
	signatures, err := t.subscription.Secrets.Signatures(began, id, body)
	if err != nil {
		return d, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(limited, http.MethodPost, t.subscription.Endpoint, bytes.NewReader(body))
	if err != nil {
		return d, nil, errors.New("webhook: the endpoint is not a URL") // err has the URL
	}
	r.Header = http.Header{
		"Content-Type":      {contentType},
		"User-Agent":        {"altinn-instance-api"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatInt(began.Unix(), 10)},
		"Webhook-Signature": {signatures},
	}
	var response []byte
	answer, err := t.Client.Do(r)
	if err == nil {
		d.Status = answer.StatusCode
		response, err = io.ReadAll(io.LimitReader(answer.Body, maxResponse))
		answer.Body.Close()
	}
	d.Took = time.Since(began).Truncate(time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return d, nil, ctx.Err()
	case d.Status == 0:
		d.Error = classify(err)
	case d.Status >= 300 && d.Status < 400:
		d.Error = webhook.ErrorRedirect
	case d.Status < 200 || d.Status > 299:
		d.Error = webhook.ErrorStatus
	case err != nil: // the endpoint has the event, but its response is not complete
		d.Error = classify(err)
	}
	return d, response, nil
}

// sleep waits. It returns the error of ctx if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
