package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"altinn.no/instanceapi/shared/application"
)

// Document is an event together with its JSON, which is what is stored and sent on: a function of an older version passes a
// member that it does not know on untouched, so that the bus and the feed always say the same.
type Document struct {
	Event        Event
	JSON         json.RawMessage // compact
	InstanceGuid string          // the two halves of Event.ID
	Number       int
}

// NewDocument returns the document of an event. It reports an error for an event that ReadDocument would refuse.
func NewDocument(ev Event) (Document, error) {
	if ev.DataLinks == nil {
		ev.DataLinks = []DataLink{}
	}
	raw, err := json.Marshal(ev)
	if err != nil {
		return Document{}, fmt.Errorf("event: %w", err)
	}
	return newDocument(ev, raw)
}

// ReadDocument takes the JSON of an event apart. It reports an error for JSON that is not an event: the id, the application
// or the time is not what NewDocument writes. The error repeats nothing of the content.
func ReadDocument(raw []byte) (Document, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return Document{}, errors.New("event: not JSON")
	}
	var ev Event
	if err := json.Unmarshal(compact.Bytes(), &ev); err != nil {
		return Document{}, errors.New("event: not the JSON of an event")
	}
	return newDocument(ev, compact.Bytes())
}

func newDocument(ev Event, raw []byte) (Document, error) {
	guid, number, err := ParseID(ev.ID)
	if err != nil {
		return Document{}, fmt.Errorf("event: %w", err)
	}
	org, app, ok := application.SplitID(ev.AppID)
	switch {
	case !ok:
		return Document{}, errors.New("event: appId is not an application's")
	case ev.Org != org || ev.App != app:
		return Document{}, errors.New("event: org and app are not those of appId")
	case ev.EventType == "" || ev.WorkflowStep == "":
		return Document{}, errors.New("event: eventType or workflowStep is missing")
	case ev.At.IsZero():
		return Document{}, errors.New("event: at is missing")
	}
	return Document{Event: ev, JSON: raw, InstanceGuid: guid, Number: number}, nil
}
