package instance

import (
	"slices"
	"strconv"
	"testing"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/filltest"
)

// TestStepEventHasEveryField fails if StepEvent lacks a field of the event that is not of another
// type.
func TestStepEventHasEveryField(t *testing.T) {
	i := &Instance{}
	filltest.Fill(t, i)
	i.AppID = "nav/app2018"
	links := Links{Apps: "https://nav.apps.altinn.no/x", Platform: "https://platform.altinn.no/storage/x"}
	i.Data = slices.Repeat(i.Data, event.MaxDataLinks+1)
	missing := filltest.Zero(i.StepEvent("FormFilling", "1001", links))
	others := []string{"Event.Change", "Event.DataElementID", "Event.FormID", "Event.Members", "Event.All", "Event.Hard", "Event.Cause", "Event.DueDateTime", "Event.Before", "Event.VisibleDateTime", "Event.Held"}
	if !slices.Equal(missing, others) {
		t.Errorf("the event lacks %q, want only %q", missing, others)
	}
}

// TestEventLimitsItsLinks counts the links of instances around the limit, and of the largest.
func TestEventLimitsItsLinks(t *testing.T) {
	for _, count := range []int{0, 1, event.MaxDataLinks - 1, event.MaxDataLinks, event.MaxDataLinks + 1, MaxDataElements} {
		i := &Instance{AppID: "nav/app2018"}
		for n := range count {
			i.Data = append(i.Data, DataElement{ID: strconv.Itoa(n), FormID: "default"})
		}
		ev := i.StepEvent("", "1001", Links{})
		if links := min(count, event.MaxDataLinks); len(ev.DataLinks) != links || ev.DataLinksOmitted != count-links {
			t.Errorf("%d elements: %d links, %d omitted", count, len(ev.DataLinks), ev.DataLinksOmitted)
		}
		for n, link := range ev.DataLinks { // the first ones, in order
			if link.DataLink != "/data/"+strconv.Itoa(n) {
				t.Errorf("%d elements: link %d is %s", count, n, link.DataLink)
			}
		}
	}
}
