package webhook

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// TestSign compares with the published example of Standard Webhooks.
func TestSign(t *testing.T) {
	key, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	if a, b := NewSecret(), NewSecret(); a == b {
		t.Error("two secrets are equal")
	}
	key, err := ParseSecret(NewSecret())
	if err != nil || len(key) != keyBytes {
		t.Errorf("%d bytes, %v", len(key), err)
	}
	encoded := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	for secret, want := range map[string]bool{
		"": false, "whsec_": false, encoded(32): false, "WHSEC_" + encoded(32): false, "whsec_" + encoded(23): false, "whsec_" + encoded(24): true,
		"whsec_" + encoded(64): true, "whsec_" + encoded(65): false, "whsec_" + strings.Repeat("*", 32): false,
	} {
		if _, err := ParseSecret(secret); (err == nil) != want {
			t.Errorf("%q: %v", secret, err)
		} else if err != nil && len(secret) > 10 && strings.Contains(err.Error(), secret[7:]) {
			t.Error("the error repeats the secret")
		}
	}
}

// TestRotation checks which secrets sign at which time. Rotations whose response was lost end no
// secret before its time.
func TestRotation(t *testing.T) {
	s := Secrets{Current: NewSecret()}
	signedBy := func(at time.Time, secret string) bool {
		key, err := ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		signatures, err := s.Signatures(at, "id", []byte("body"))
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(strings.Split(signatures, " "), Sign(key, "id", at.Unix(), []byte("body")))
	}
	var secrets []string
	for n := range 5 {
		secrets = append(secrets, s.Current)
		s.Rotate(noon.Add(time.Duration(n) * time.Hour))
	}
	secrets = append(secrets, s.Current)
	for hours, want := range map[int][]bool{
		4:  {false, false, true, true, true, true},
		25: {false, false, true, true, true, true},
		26: {false, false, false, true, true, true},
		27: {false, false, false, false, true, true},
		28: {false, false, false, false, false, true},
	} {
		at := noon.Add(time.Duration(hours) * time.Hour)
		for n, secret := range secrets {
			if got := signedBy(at, secret); got != want[n] {
				t.Errorf("after %d hours the secret %d signs: %v", hours, n, got)
			}
		}
		if until := s.OldUntil(at); until.IsZero() != (hours == 28) || hours < 28 && !until.Equal(noon.Add(28*time.Hour)) {
			t.Errorf("after %d hours the old secrets end at %v", hours, until)
		}
	}
}

func TestRetryDelays(t *testing.T) {
	r := Reader{}
	at := noon
	for n, want := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, time.Hour} {
		r.Fail(at)
		if got := r.Due.Sub(at); got != want || r.Failures != n+1 {
			t.Errorf("failure %d: due after %v, want %v", n+1, got, want)
		}
		at = r.Due
	}
	if !r.FailingSince.Equal(noon) || r.GivesUp(noon.Add(GiveUpAfter-time.Second)) || !r.GivesUp(noon.Add(GiveUpAfter)) {
		t.Errorf("got %+v", r)
	}
	if r.Succeed(); r.GivesUp(noon.Add(2 * GiveUpAfter)) {
		t.Error("a reader without failures gives up")
	}
}

func TestWants(t *testing.T) {
	ev := event.Event{EventType: event.DataChanged, WorkflowStep: "Submit"}
	for n, test := range []struct {
		s    Subscription
		ev   event.Event
		want bool
	}{
		{Subscription{}, ev, true},
		{Subscription{EventTypes: []string{event.DataChanged, event.InstanceDeleted}}, ev, true},
		{Subscription{EventTypes: []string{event.InstanceDeleted}}, ev, false},
		{Subscription{Step: "Submit"}, ev, true},
		{Subscription{Step: "Archived"}, ev, false},
		{Subscription{Step: "Submit", EventTypes: []string{event.InstanceDeleted}}, ev, false},
		{Subscription{}, event.Event{EventType: event.InternalDeletion}, false},
	} {
		if got := test.s.Wants(test.ev); got != test.want {
			t.Errorf("%d: got %v", n, got)
		}
	}
}

func TestLatest(t *testing.T) {
	readers := make([]Reader, 2)
	for n := range 3 * MaxDeliveries {
		readers[n%2].Log(Delivery{At: noon.Add(time.Duration(n) * time.Second), Status: n})
	}
	all := Latest(readers)
	if len(all) != MaxDeliveries || all[0].Status != 3*MaxDeliveries-1 || all[MaxDeliveries-1].Status != 2*MaxDeliveries {
		t.Errorf("%d deliveries, the first %+v and the last %+v", len(all), all[0], all[len(all)-1])
	}
}
