package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"altinn.no/instanceapi/shared/application"
)

// Encoded is an event together with its JSON. The system stores and sends the JSON itself. An older
// version of a function therefore passes unknown members on unchanged, and the bus and the feed
// always agree.
type Encoded struct {
	Event        Event
	JSON         json.RawMessage // compact
	InstanceGuid string          // InstanceGuid and Number are the parts of Event.ID
	Number       int
}

// Source returns the EventBridge source of the event. prefix is the start of every source, such as
// no.altinn.apps. The source names the org, because IAM can distinguish the events of organisations
// only by their source. Internal events have another source, so that no rule of an owner matches
// them. No org has a dot in its name.
func (e Encoded) Source(prefix string) string {
	if Internal(e.Event.EventType) {
		prefix += ".internal"
	}
	return prefix + "." + e.Event.Org
}

// Encode returns ev with its JSON. It fails for an event that Decode would reject.
func Encode(ev Event) (Encoded, error) {
	if ev.DataLinks == nil {
		ev.DataLinks = []DataLink{}
	}
	raw, err := json.Marshal(ev)
	if err != nil {
		return Encoded{}, fmt.Errorf("event: %w", err)
	}
	return encode(ev, raw)
}

// Decode parses the JSON of an event. It fails if raw is not JSON, or if the id, application, event
// type, step or time is missing or invalid. The error contains nothing of the content.
func Decode(raw []byte) (Encoded, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return Encoded{}, errors.New("event: not JSON")
	}
	var ev Event
	if err := json.Unmarshal(compact.Bytes(), &ev); err != nil {
		return Encoded{}, errors.New("event: not the JSON of an event")
	}
	return encode(ev, compact.Bytes())
}

// ForUsers returns the event as users see it, or false if they do not see it: events of the types
// for the owner, and events about a data element that only the owner may see. The result has no
// link to such an element. It has only the members that this version knows, if any must be removed.
func (e Encoded) ForUsers() (shown Encoded, visible bool, err error) {
	ev := e.Event
	if ev.OwnerOnly || ev.EventType == InstanceChanged || ev.EventType == LegalHoldChanged {
		return Encoded{}, false, nil
	}
	hidden := func(l DataLink) bool { return l.OwnerOnly }
	if ev.OwnerOnlyLinksOmitted == 0 && !slices.ContainsFunc(ev.DataLinks, hidden) {
		return e, true, nil
	}
	ev.DataLinks = slices.DeleteFunc(slices.Clone(ev.DataLinks), hidden)
	ev.DataLinksOmitted, ev.OwnerOnlyLinksOmitted = ev.DataLinksOmitted-ev.OwnerOnlyLinksOmitted, 0
	shown, err = Encode(ev)
	return shown, true, err
}

func encode(ev Event, raw []byte) (Encoded, error) {
	guid, number, err := ParseID(ev.ID)
	if err != nil {
		return Encoded{}, fmt.Errorf("event: %w", err)
	}
	org, app, ok := application.SplitID(ev.AppID)
	switch {
	case !ok:
		return Encoded{}, errors.New("event: appId is not an application id")
	case ev.Org != org || ev.App != app:
		return Encoded{}, errors.New("event: org and app do not match appId")
	case ev.EventType == "" || ev.WorkflowStep == "":
		return Encoded{}, errors.New("event: eventType or workflowStep is missing")
	case ev.At.IsZero():
		return Encoded{}, errors.New("event: at is missing")
	}
	return Encoded{Event: ev, JSON: raw, InstanceGuid: guid, Number: number}, nil
}
