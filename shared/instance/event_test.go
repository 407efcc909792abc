package instance

import (
	"slices"
	"strconv"
	"testing"

	"altinn.no/instanceapi/shared/application"
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
	others := []string{"Event.OwnerOnly", "Event.Change", "Event.DataElementID", "Event.FormID", "Event.ScanStatus", "Event.Members", "Event.All", "Event.Hard", "Event.Cause", "Event.DueDateTime", "Event.Before", "Event.VisibleDateTime", "Event.Held"}
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

// TestEventsOfOwnersElements counts the links of instances whose elements only the owner may see in
// part. For users, an event is as if those elements did not exist.
func TestEventsOfOwnersElements(t *testing.T) {
	for _, shown := range []int{0, 1, event.MaxDataLinks - 1, event.MaxDataLinks, event.MaxDataLinks + 7} {
		for _, hidden := range []int{0, 1, event.MaxDataLinks, event.MaxDataLinks + 9} {
			i, without := &Instance{ID: "692ee7df-82a9-4bba-b2f2-c8c4dac69aff", AppID: "nav/app2018", EventCount: 1}, &Instance{}
			i.Workflow.CurrentStep, i.StepEntered = "Submit", noon
			for n := range hidden {
				i.Data = append(i.Data, DataElement{ID: "hidden" + strconv.Itoa(n), FormID: "note", OwnerOnly: true})
			}
			for n := range shown {
				i.Data = append(i.Data, DataElement{ID: strconv.Itoa(n), FormID: "default"})
			}
			*without = *i
			without.Data = i.DataFor(application.User)
			doc, err := event.Encode(i.StepEvent("", "1001", Links{}))
			if err != nil {
				t.Fatal(err)
			}
			want, err := event.Encode(without.StepEvent("", "1001", Links{}))
			if err != nil {
				t.Fatal(err)
			}
			if ev := doc.Event; len(ev.DataLinks)+ev.DataLinksOmitted != shown+hidden {
				t.Errorf("%d and %d elements: %d links, %d omitted", shown, hidden, len(ev.DataLinks), ev.DataLinksOmitted)
			}
			got, visible, err := doc.ForUsers()
			if err != nil || !visible || string(got.JSON) != string(want.JSON) || got.Number != 1 {
				t.Errorf("%d and %d elements: users see\n%s\nwant\n%s, %v", shown, hidden, got.JSON, want.JSON, err)
			}
		}
	}
}
