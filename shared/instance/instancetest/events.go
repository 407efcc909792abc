package instancetest

import (
	"slices"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
)

func testEvents(t *testing.T, s suite) {
	app := NewApplication(1)
	i := s.create(t, app, newInstanceOwnerID(), At, "gr")
	for n, step := range []string{"Submit", "FormFilling", "Submit", "Submit"} {
		_, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			if _, err := i.Transition(app, step, application.Owner, "nav", At.Add(time.Duration(n)*time.Second)); err != nil {
				return nil, err
			}
			return []event.Event{EventOf(i)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) { // two events with one change
		events := make([]event.Event, 2)
		for n := range events {
			i.EventCount++
			events[n] = EventOf(i)
		}
		return events, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{i.ID + ".1", i.ID + ".2", i.ID + ".3", i.ID + ".4", i.ID + ".5", i.ID + ".6"}
	if got := s.outbox(t, i.ID); !slices.Equal(got, want) {
		t.Errorf("outbox: %v, want %v", got, want)
	}
}
