package instance

import (
	"testing"

	"altinn.no/instanceapi/shared/filltest"
)

// TestStepEventHasEveryField fails if StepEvent lacks a field of the event.
func TestStepEventHasEveryField(t *testing.T) {
	i := &Instance{}
	filltest.Fill(t, i)
	i.AppID = "nav/app2018"
	links := Links{Apps: "https://nav.apps.altinn.no/x", Platform: "https://platform.altinn.no/storage/x"}
	if missing := filltest.Zero(i.StepEvent("FormFilling", "1001", links)); len(missing) > 0 {
		t.Errorf("the event lacks %q", missing)
	}
}
