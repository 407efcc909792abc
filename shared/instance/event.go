package instance

import (
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
)

// StepEvent returns the event of a change, by the given actor, that has moved i from previousStep
// to its current step. previousStep is "" for a new instance; links are those of the instance. Call
// it on the changed document before the write: the event names the version that the write creates.
func (i *Instance) StepEvent(previousStep, by string, links Links) event.Event {
	org, app, _ := application.SplitID(i.AppID)
	ev := event.Event{
		ID: event.ID(i.ID, i.EventCount), At: i.StepEntered, AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID,
		InstanceLink: links.Platform, DataLinks: make([]event.DataLink, 0, len(i.Data)),
		EventType: event.WorkflowStateChange, WorkflowStep: i.Workflow.CurrentStep, UserID: by,
		Org: org, App: app, PreviousStep: previousStep, InstanceVersion: i.Version + 1, SchemaVersion: event.SchemaVersion,
	}
	for _, d := range i.Data {
		ev.DataLinks = append(ev.DataLinks, event.DataLink{FormID: d.FormID, DataLink: links.Data(d.ID).Platform})
	}
	return ev
}

// Data returns the links of a data element of the instance that l belongs to.
func (l Links) Data(id string) Links {
	return Links{Apps: l.Apps + "/data/" + id, Platform: l.Platform + "/data/" + id}
}
