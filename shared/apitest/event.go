package apitest

import (
	"testing"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
)

// CheckEvent checks that a change makes one event of the type in an application that registers the
// type, and none in another application. change makes the change with a new API, and returns the
// changed instance. members returns the members of the type that the event must have, in an
// otherwise empty event.
func CheckEvent(t *testing.T, newAPI func(*testing.T) *API, eventType, by string, change func(api *API) *instance.Instance, members func(i *instance.Instance) event.Event) {
	t.Helper()
	for _, registers := range []bool{false, true} {
		api := newAPI(t)
		events := ""
		if registers {
			events = `"` + eventType + `"`
		}
		api.Register(t, App, `{"events":[`+events+`],"dataTypes":[{"formId":"default","minCount":0,"maxCount":0},{"formId":"attachment","minCount":0,"maxCount":0}]}`)
		i := change(api)
		var found []event.Event
		for _, ev := range api.Instances.Outbox() {
			if ev.EventType == eventType {
				found = append(found, ev)
			}
		}
		if !registers {
			if len(found) != 0 {
				t.Errorf("an application without %s has %+v", eventType, found)
			}
			continue
		}
		if len(found) != 1 {
			t.Errorf("%d events of type %s", len(found), eventType)
			continue
		}
		ev, want := found[0], members(i)
		if ev.ID != event.ID(i.ID, i.EventCount) || ev.InstanceVersion != i.Version || ev.UserID != by || ev.WorkflowStep != i.Workflow.CurrentStep || len(ev.DataLinks) != len(i.Data) {
			t.Errorf("%+v of %+v", ev, i)
		}
		want.EventType = eventType
		got, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		want.ID, want.At, want.AppID, want.InstanceOwnerID, want.InstanceLink, want.DataLinks = ev.ID, ev.At, ev.AppID, ev.InstanceOwnerID, ev.InstanceLink, ev.DataLinks
		want.WorkflowStep, want.UserID, want.Org, want.App, want.InstanceVersion, want.SchemaVersion = ev.WorkflowStep, ev.UserID, ev.Org, ev.App, ev.InstanceVersion, ev.SchemaVersion
		if expected, err := event.Encode(want); err != nil || string(got.JSON) != string(expected.JSON) {
			t.Errorf("got  %s\nwant %s, %v", got.JSON, expected.JSON, err)
		}
	}
}
