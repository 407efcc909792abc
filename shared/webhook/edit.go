package webhook

import (
	"crypto/rand"
	"slices"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
)

// New returns a subscription of an organisation with a new id, secret and challenge, and with the
// members of content. Its format is FormatEvent if content has none.
func New(org string, content Edit, now time.Time) *Subscription {
	s := &Subscription{ID: uuid.NewV7().String(), Org: org, Format: FormatEvent, Secrets: Secrets{Current: NewSecret()}}
	s.Apply(content, nil, now)
	s.Challenge, s.Created, s.Changed = rand.Text(), now.UTC().Truncate(time.Microsecond), now.UTC().Truncate(time.Microsecond)
	return s
}

// Moves returns the moves that create the readers of a new subscription. ends has the ends of its
// feeds, where the readers start.
func (s *Subscription) Moves(ends map[string]event.Position) []Move {
	moves := []Move{{AppID: VerificationApp, Start: &Start{}}}
	for _, appID := range s.AppIDs {
		moves = append(moves, Move{AppID: appID, Start: &Start{At: ends[appID]}})
	}
	return moves
}

// Edit is a change of a subscription by its owner. A nil field changes nothing.
type Edit struct {
	Endpoint   *string
	AppIDs     *[]string
	EventTypes *[]string
	Step       *string
	Format     *string
	Paused     *bool
}

// Apply applies an edit and returns the moves of the readers. ends has the ends of the feeds of
// applications that the edit adds. A new endpoint must be verified again; if the system had paused
// the subscription, it is no longer paused. The readers of a resumed subscription continue where
// they stopped. An edit without an effect changes nothing.
func (s *Subscription) Apply(e Edit, ends map[string]event.Position, now time.Time) []Move {
	before := s.Clone()
	var moves []Move
	if e.AppIDs != nil {
		s.AppIDs = Set(*e.AppIDs)
		for _, appID := range s.AppIDs {
			if !slices.Contains(before.AppIDs, appID) {
				moves = append(moves, Move{AppID: appID, Start: &Start{At: ends[appID]}})
			}
		}
		for _, appID := range before.AppIDs {
			if !slices.Contains(s.AppIDs, appID) {
				moves = append(moves, Move{AppID: appID, Remove: true})
			}
		}
	}
	if e.EventTypes != nil {
		s.EventTypes = Set(*e.EventTypes)
	}
	if e.Step != nil {
		s.Step = *e.Step
	}
	if e.Format != nil {
		s.Format = *e.Format
	}
	moved := e.Endpoint != nil && *e.Endpoint != s.Endpoint
	if moved {
		s.Endpoint, s.Verified, s.Challenge = *e.Endpoint, false, rand.Text()
		if s.PausedBy != PausedByOwner {
			s.PausedBy = ""
		}
	}
	if e.Paused != nil && *e.Paused != (s.PausedBy != "") {
		s.PausedBy = ""
		if *e.Paused {
			s.PausedBy = PausedByOwner
		}
	}
	resumed := before.PausedBy != "" && s.PausedBy == ""
	switch {
	case moved:
		moves = append(moves, Move{AppID: VerificationApp, Start: &Start{}})
	case resumed:
		moves = append(moves, Move{AppID: VerificationApp})
	}
	if resumed {
		for _, appID := range s.AppIDs {
			if slices.Contains(before.AppIDs, appID) {
				moves = append(moves, Move{AppID: appID})
			}
		}
	}
	if len(moves) > 0 || !s.SameContent(before) || s.PausedBy != before.PausedBy {
		s.Changed = now.UTC().Truncate(time.Microsecond)
	}
	return moves
}
