package instance

import (
	"slices"
	"testing"

	"altinn.no/instanceapi/shared/filltest"
)

// TestStepEventHasEveryField fails if StepEvent lacks a field of the event that is not of another
// type.
func TestStepEventHasEveryField(t *testing.T) {
	i := &Instance{}
	filltest.Fill(t, i)
	i.AppID = "nav/app2018"
	links := Links{Apps: "https://nav.apps.altinn.no/x", Platform: "https://platform.altinn.no/storage/x"}
	missing := filltest.Zero(i.StepEvent("FormFilling", "1001", links))
	others := []string{"Event.Hard", "Event.Cause", "Event.DueDateTime", "Event.Before", "Event.VisibleDateTime", "Event.Held"}
	if !slices.Equal(missing, others) {
		t.Errorf("the event lacks %q, want only %q", missing, others)
	}
}
