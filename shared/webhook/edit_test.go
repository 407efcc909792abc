package webhook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event"
)

// describe returns moves as text: "+" starts a reader at a place, "-" removes it, and ">" resumes
// it.
func describe(moves []Move) string {
	var all []string
	for _, m := range moves {
		switch {
		case m.Remove:
			all = append(all, "-"+m.AppID)
		case m.Start != nil:
			all = append(all, fmt.Sprintf("+%s@%d", m.AppID, m.Start.At.Seq))
		default:
			all = append(all, ">"+m.AppID)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestApply applies each kind of edit to each state of a subscription to nav/a and nav/b.
func TestApply(t *testing.T) {
	const url = "https://hooks.example.com/"
	endpoint, step, format := func(e *Edit) { e.Endpoint = new(url + "new") }, func(e *Edit) { e.Step = new("Submit") }, func(e *Edit) { e.Format = new(FormatCloudEvent) }
	same := func(e *Edit) {
		e.Endpoint, e.AppIDs, e.Format, e.Step = new(url), &[]string{"nav/b", "nav/a", "nav/b"}, new(FormatEvent), new("")
	}
	apps := func(e *Edit) { e.AppIDs = &[]string{"nav/c", "nav/b"} }
	pause, resume := func(e *Edit) { e.Paused = new(true) }, func(e *Edit) { e.Paused = new(false) }
	const allResume = ">VERIFICATION >nav/a >nav/b"
	for n, test := range []struct {
		pausedBy string
		edits    []func(*Edit)
		state    string
		reason   string
		moves    string
		changed  bool
	}{
		{"", nil, Active, "", "", false},
		{"", []func(*Edit){same}, Active, "", "", false},
		{"", []func(*Edit){step}, Active, "", "", true},
		{"", []func(*Edit){format}, Active, "", "", true},
		{"", []func(*Edit){apps}, Active, "", "+nav/c@7 -nav/a", true},
		{"", []func(*Edit){endpoint}, Unverified, "", "+VERIFICATION@0", true},
		{"", []func(*Edit){pause}, Paused, PausedByOwner, "", true},
		{"", []func(*Edit){resume}, Active, "", "", false},
		{"", []func(*Edit){endpoint, pause}, Paused, PausedByOwner, "+VERIFICATION@0", true},
		{PausedByOwner, []func(*Edit){pause}, Paused, PausedByOwner, "", false},
		{PausedByOwner, []func(*Edit){resume}, Active, "", allResume, true},
		{PausedByOwner, []func(*Edit){apps}, Paused, PausedByOwner, "+nav/c@7 -nav/a", true},
		{PausedByOwner, []func(*Edit){apps, resume}, Active, "", "+nav/c@7 -nav/a >VERIFICATION >nav/b", true},
		{PausedByOwner, []func(*Edit){endpoint}, Paused, PausedByOwner, "+VERIFICATION@0", true},
		{PausedByOwner, []func(*Edit){endpoint, resume}, Unverified, "", "+VERIFICATION@0 >nav/a >nav/b", true},
		{PausedGone, []func(*Edit){resume}, Active, "", allResume, true},
		{PausedGone, []func(*Edit){pause}, Paused, PausedGone, "", false},
		{PausedFailing, []func(*Edit){resume}, Active, "", allResume, true},
		{PausedFailing, []func(*Edit){endpoint}, Unverified, "", "+VERIFICATION@0 >nav/a >nav/b", true},
		{PausedFailing, []func(*Edit){endpoint, pause}, Paused, PausedByOwner, "+VERIFICATION@0", true},
	} {
		s := New("nav", Edit{Endpoint: new(url), AppIDs: &[]string{"nav/a", "nav/b"}}, noon)
		s.Verified, s.PausedBy = true, test.pausedBy
		before := s.Clone()
		var edit Edit
		for _, set := range test.edits {
			set(&edit)
		}
		moves := s.Apply(edit, map[string]event.Position{"nav/c": {Seq: 7}}, noon.Add(time.Hour))
		if s.State() != test.state || s.PausedBy != test.reason || describe(moves) != test.moves {
			t.Errorf("%d: %s %q with the moves %q, want %s %q with %q", n, s.State(), s.PausedBy, describe(moves), test.state, test.reason, test.moves)
		}
		if changed := !s.Changed.Equal(before.Changed); changed != test.changed {
			t.Errorf("%d: the edit sets the time of the change: %v", n, changed)
		}
		if again := s.Challenge != before.Challenge; again != (edit.Endpoint != nil && *edit.Endpoint != url) || s.Secrets.Current != before.Secrets.Current {
			t.Errorf("%d: another challenge: %v; the secret must stay", n, again)
		}
	}
}

// TestNew creates a subscription whose readers start at the ends of their feeds.
func TestNew(t *testing.T) {
	s := New("nav", Edit{Endpoint: new("https://hooks.example.com/"), AppIDs: &[]string{"nav/b", "nav/a", "nav/b"}}, noon)
	if s.State() != Unverified || s.Format != FormatEvent || !slices.Equal(s.AppIDs, []string{"nav/a", "nav/b"}) || s.Challenge == "" || !s.Created.Equal(noon) || !s.Changed.Equal(noon) {
		t.Errorf("got %+v", s)
	}
	if got := describe(s.Moves(map[string]event.Position{"nav/a": {Seq: 3}})); got != "+VERIFICATION@0 +nav/a@3 +nav/b@0" {
		t.Errorf("got the moves %s", got)
	}
}
