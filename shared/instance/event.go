package instance

import (
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
)

// StepEvent returns the event of the transition of i from previousStep, or "" for a new instance,
// to its current step. by is the actor, and links are the links of i. Call StepEvent after the
// change and before the write: the event names the version that the write creates.
func (i *Instance) StepEvent(previousStep, by string, links Links) event.Event {
	ev := i.newEvent(event.WorkflowStateChange, by, i.StepEntered, links)
	ev.PreviousStep, ev.HasReason = previousStep, i.Workflow.Reason != ""
	return ev
}

// Event returns the event of a change that is not a transition, and increments EventCount. It
// returns no event if the application does not register events of the type. fill, if not nil, sets
// the members of the type. Call Event once per change, after the change and before the write. The
// result is a slice, because one write can contain several changes.
func (i *Instance) Event(app *application.Application, eventType, by string, now time.Time, links Links, fill func(*event.Event)) []event.Event {
	if !app.Emits(eventType) {
		return nil
	}
	i.EventCount++
	ev := i.newEvent(eventType, by, TruncateTime(now), links)
	if fill != nil {
		fill(&ev)
	}
	return []event.Event{ev}
}

// DataEvent returns the event of a change of a data element, which may be deleted:
// event.DataCreated, DataReplaced or DataDeleted. It returns none as Event does, and must be called
// as Event.
func (i *Instance) DataEvent(app *application.Application, change string, element DataElement, by string, now time.Time, links Links) []event.Event {
	return i.Event(app, event.DataChanged, by, now, links, func(ev *event.Event) {
		ev.Change, ev.DataElementID, ev.FormID, ev.OwnerOnly = change, element.ID, element.FormID, element.OwnerOnly
	})
}

// MetadataEvent returns the event of a change of the metadata. It returns none as Event does, and
// must be called as Event.
func (i *Instance) MetadataEvent(app *application.Application, before Metadata, by string, now time.Time, links Links) []event.Event {
	return i.Event(app, event.InstanceChanged, by, now, links, func(ev *event.Event) {
		ev.Members = before.changedMembers(i.Metadata())
	})
}

// ConfirmedEvent returns the event of a confirmation of the data element with the id, or of all
// elements if id is "". It returns none as Event does, and must be called as Event.
func (i *Instance) ConfirmedEvent(app *application.Application, id, by string, now time.Time, links Links) []event.Event {
	return i.Event(app, event.DownloadConfirmed, by, now, links, func(ev *event.Event) {
		all, element := id == "", i.Element(id)
		ev.All, ev.OwnerOnly = &all, element != nil && element.OwnerOnly
	})
}

func (i *Instance) newEvent(eventType, by string, at time.Time, links Links) event.Event {
	org, app, _ := application.SplitID(i.AppID)
	ev := event.Event{
		ID: event.ID(i.ID, i.EventCount), At: rfc3339.Time{Time: at}, AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID,
		InstanceLink: links.Platform, DataLinks: make([]event.DataLink, 0, min(len(i.Data), event.MaxDataLinks)),
		EventType: eventType, WorkflowStep: i.Workflow.CurrentStep, UserID: by,
		Org: org, App: app, InstanceVersion: i.Version + 1, SchemaVersion: event.SchemaVersion,
	}
	// The links that users see come first, so that the others take no place of theirs.
	for _, ownerOnly := range []bool{false, true} {
		for _, d := range i.Data {
			if d.OwnerOnly != ownerOnly {
				continue
			}
			if len(ev.DataLinks) < event.MaxDataLinks {
				ev.DataLinks = append(ev.DataLinks, event.DataLink{FormID: d.FormID, DataLink: links.Data(d.ID).Platform, OwnerOnly: ownerOnly})
				continue
			}
			ev.DataLinksOmitted++
			if ownerOnly {
				ev.OwnerOnlyLinksOmitted++
			}
		}
	}
	return ev
}

// Data returns the links of a data element of the instance that l belongs to.
func (l Links) Data(id string) Links {
	return Links{Apps: l.Apps + "/data/" + id, Platform: l.Platform + "/data/" + id}
}
