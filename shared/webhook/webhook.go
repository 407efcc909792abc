// Package webhook provides subscriptions: an application owner's HTTPS endpoint that receives the
// events of the owner's applications.
//
// A subscription reads the feed of each of its applications with a stored cursor, a Reader. So no
// event is lost, the events of an instance arrive in order, and a replay moves the cursor back.
// Later events of an application wait behind one that the endpoint rejects.
package webhook

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/event"
)

// Limits of subscriptions.
const (
	MaxPerOrg        = 20  // subscriptions of an organisation
	MaxApps          = 40  // applications of a subscription; DynamoDB changes at most 100 items in one transaction
	MaxEndpointBytes = 500 // of the URL
)

// The forms of an event in a delivery.
const (
	FormatEvent      = "event"      // the event as the feed has it
	FormatCloudEvent = "cloudevent" // a CloudEvent with the event as its data
)

// The states of a subscription. Only an active one receives events.
const (
	Unverified = "unverified" // the endpoint has not confirmed the verification yet
	Active     = "active"
	Paused     = "paused"
)

// The reasons why a subscription is paused.
const (
	PausedByOwner = "owner"
	PausedGone    = "gone"    // the endpoint responded with 410
	PausedFailing = "failing" // every attempt failed for GiveUpAfter
)

// Subscription is one subscription.
type Subscription struct {
	ID         string // a UUID
	Org        string
	Endpoint   string   // URL
	AppIDs     []string // sorted, at least one
	EventTypes []string // sorted; empty for all types
	Step       string   // the step that the event names; "" for all steps
	Format     string   // FormatEvent or FormatCloudEvent
	Verified   bool     // whether the endpoint has sent Challenge back
	Challenge  string   // the text that the endpoint must send back
	PausedBy   string   // "", PausedByOwner, PausedGone or PausedFailing
	Secrets    Secrets
	Created    time.Time // UTC, microseconds
	Changed    time.Time // UTC, microseconds
	Version    int64     // increases with every change, from 1
}

// State returns the state of the subscription.
func (s *Subscription) State() string {
	switch {
	case s.PausedBy != "":
		return Paused
	case !s.Verified:
		return Unverified
	}
	return Active
}

// Compare orders subscriptions by their creation.
func Compare(a, b *Subscription) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
}

// SameContent reports whether both subscriptions send the same events to the same endpoint.
func (s *Subscription) SameContent(other *Subscription) bool {
	return s.Endpoint == other.Endpoint && s.Format == other.Format && s.Step == other.Step &&
		slices.Equal(s.AppIDs, other.AppIDs) && slices.Equal(s.EventTypes, other.EventTypes)
}

// Reads reports whether the subscription has the application.
func (s *Subscription) Reads(appID string) bool {
	_, found := slices.BinarySearch(s.AppIDs, appID)
	return found
}

// Wants reports whether the subscription sends the event to its endpoint. No subscription sends
// internal events.
func (s *Subscription) Wants(ev event.Event) bool {
	return ev.Passes(s.Step, s.EventTypes)
}

// Clone returns a copy that shares nothing with s.
func (s *Subscription) Clone() *Subscription {
	c := *s
	c.AppIDs, c.EventTypes, c.Secrets.Old = slices.Clone(s.AppIDs), slices.Clone(s.EventTypes), slices.Clone(s.Secrets.Old)
	return &c
}

// Set returns the names sorted and without duplicates.
func Set(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// Key names a Reader.
type Key struct {
	Org          string `json:"org"`
	Subscription string `json:"subscriptionId"`
	AppID        string `json:"appId,omitempty"` // VerificationApp, or the id of an application
}

// VerificationApp is the AppID of the Reader that sends the verification of the endpoint.
const VerificationApp = "VERIFICATION"

// Start is a place in a feed from which a Reader continues.
type Start struct {
	At    event.Position
	Since time.Time // if set, the reader skips the events of changes up to this time
}

// Reader is the state of one application's events on their way to an endpoint, or of the
// verification of the endpoint.
type Reader struct {
	Key
	Start                  // the endpoint has everything before this place
	Failures     int       // failed attempts in a row
	FailingSince time.Time // of the first of them
	Due          time.Time // when the sender reads the feed again without a wake-up; zero for never
	Deliveries   []Delivery
	Version      int64  // increases when the owner moves or resumes the reader
	Lease        string // the token of the sender that holds the reader
	Target       int64  // the feed has this position, and another sender left the events up to it to the holder
}

// Fail records a failed attempt at now.
func (r *Reader) Fail(now time.Time) {
	if r.Failures == 0 {
		r.FailingSince = now
	}
	r.Due = now.Add(RetryDelay(r.Failures))
	r.Failures++
}

// Succeed records a successful attempt.
func (r *Reader) Succeed() { r.Failures, r.FailingSince = 0, time.Time{} }

// GivesUp reports whether every attempt has failed for GiveUpAfter.
func (r *Reader) GivesUp(now time.Time) bool {
	return r.Failures > 0 && now.Sub(r.FailingSince) >= GiveUpAfter
}

// GiveUpAfter is how long a sender repeats a delivery before the subscription is paused.
const GiveUpAfter = 7 * 24 * time.Hour

// CheckInterval is the time between two reads of a feed that the bus announced no event for. It
// bounds the delay of an event whose announcement was lost.
const CheckInterval = time.Hour

// RetryDelay returns the delay before the next attempt after one more failure than failures.
func RetryDelay(failures int) time.Duration {
	delays := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	if failures < len(delays) {
		return delays[failures]
	}
	return time.Hour
}

// MaxDeliveries is the number of attempts that the log of a subscription returns.
const MaxDeliveries = 100

// Delivery is one attempt to send an event or the verification.
type Delivery struct {
	EventID string        // "" for the verification
	At      time.Time     // UTC, milliseconds
	Status  int           // of the response; 0 without a response
	Took    time.Duration // milliseconds
	Error   Error
}

// Error is the class of a failed attempt, "" for a successful one.
type Error string

// The classes of errors. They repeat nothing that the endpoint sent.
const (
	ErrorAddress   Error = "address"   // the name has no public address
	ErrorName      Error = "name"      // the name has no address
	ErrorConnect   Error = "connect"   // no connection
	ErrorTLS       Error = "tls"       // the certificate is not valid for the name, or the handshake failed
	ErrorTimeout   Error = "timeout"   // no response in time
	ErrorClosed    Error = "closed"    // the endpoint closed the connection without a response
	ErrorRedirect  Error = "redirect"  // the status is a redirection, which no sender follows
	ErrorStatus    Error = "status"    // the status is not 2xx
	ErrorChallenge Error = "challenge" // the response to the verification lacks the challenge
)

// Log adds an attempt, and drops the oldest beyond MaxDeliveries.
func (r *Reader) Log(d Delivery) {
	r.Deliveries = append(r.Deliveries, d)
	if extra := len(r.Deliveries) - MaxDeliveries; extra > 0 {
		r.Deliveries = slices.Delete(r.Deliveries, 0, extra)
	}
}

// Latest returns the latest MaxDeliveries attempts of the readers, the newest first.
func Latest(readers []Reader) []Delivery {
	var all []Delivery
	for _, r := range readers {
		all = append(all, r.Deliveries...)
	}
	slices.SortStableFunc(all, func(a, b Delivery) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.EventID, b.EventID))
	})
	return all[:min(len(all), MaxDeliveries)]
}
