package event

import (
	"encoding/json"
	"fmt"

	"altinn.no/instanceapi/shared/rfc3339"
)

// cloudEvent is an event in the form of CloudEvents 1.0, with the extensions dataref and sequence.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            rfc3339.Time    `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DataSchema      string          `json:"dataschema"`
	DataRef         string          `json:"dataref"`
	Sequence        string          `json:"sequence"` // text order is the order within the subject
	Data            json.RawMessage `json:"data"`
}

// CloudEvent returns the event as a CloudEvent whose data is the JSON of the event. appsBase is the
// base URL of the Application API for the event's organisation, and schema the URL of the schema of
// events.
func (e Encoded) CloudEvent(appsBase, schema string) (json.RawMessage, error) {
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.Event.ID, Source: appsBase + "/" + e.Event.AppID,
		Type:    "no.altinn.instance." + e.Event.EventType + ".v1",
		Subject: e.Event.InstanceOwnerID + "/" + e.InstanceGuid, Time: e.Event.At,
		DataContentType: "application/json", DataSchema: schema, DataRef: e.Event.InstanceLink,
		Sequence: fmt.Sprintf("%010d", e.Number), Data: e.JSON,
	})
}
