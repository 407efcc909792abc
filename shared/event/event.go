// Package event provides the event document. Application owners read it in the feed and receive it
// from EventBridge as the detail of an entry. Both have the same shape, so an owner needs only one
// decoder.
//
// The document carries links and codes only, never content and never an identity number.
package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/rfc3339"
)

// WorkflowStateChange is the type of the events that report that an instance has entered a workflow
// step, including the first step. It is the eventType of the document and the DetailType of the
// EventBridge entry.
const WorkflowStateChange = "WorkflowStateChange"

// SchemaVersion is the version of the document's shape. Adding a member keeps the version. Removing
// a member or changing its meaning requires the next version.
const SchemaVersion = 1

// ClockSkew is the largest difference between the clocks of two functions for which a poller misses
// nothing. The positions of the feed allow for all of it. A query's resume must allow for a slow
// write as well, out of the same time. The clocks of Lambda differ by milliseconds.
const ClockSkew = time.Minute

// Event is one workflow change of one instance.
//
// Add a new field in these places too. Tests fail if you forget one of the first two:
//   - StepEvent in shared/instance, which fills it
//   - events/owner/workflow-state-change.schema.json, the schema for owners
//   - Event in shared/httpapi/openapi.yaml, with its version, the samples in events/, and
//     tests/model/workflow.go
type Event struct {
	ID              string       `json:"id"` // "<instance guid>.<number>", opaque to clients
	At              rfc3339.Time `json:"at"` // when the change was made, UTC, microseconds
	AppID           string       `json:"appId"`
	InstanceOwnerID string       `json:"instanceOwnerId"`
	InstanceLink    string       `json:"instanceLink"`
	DataLinks       []DataLink   `json:"dataLinks"` // never null
	EventType       string       `json:"eventType"`
	WorkflowStep    string       `json:"workflowStep"` // the step entered
	UserID          string       `json:"userId"`       // who made the change: a user's id, or the org

	Org             string `json:"org"`
	App             string `json:"app"`
	PreviousStep    string `json:"previousStep,omitempty"` // the step left; absent on creation
	InstanceVersion int64  `json:"instanceVersion"`        // the instance's version after the change
	SchemaVersion   int    `json:"schemaVersion"`
}

// DataLink refers to one data element that the instance had at the time of the change.
type DataLink struct {
	FormID   string `json:"formId"`
	DataLink string `json:"dataLink"` // absolute URL on the storage API
}

// ID returns the id of the number-th event of an instance. The numbers of one instance are
// consecutive from 1.
func ID(instanceGuid string, number int) string {
	return instanceGuid + "." + strconv.Itoa(number)
}

// ParseID returns the parts of an id. It fails if id does not have the form that ID returns.
func ParseID(id string) (instanceGuid string, number int, err error) {
	guid, digits, ok := strings.Cut(id, ".")
	n, convErr := strconv.Atoi(digits)
	if !ok || len(guid) != 36 || convErr != nil || n < 1 || strconv.Itoa(n) != digits {
		return "", 0, fmt.Errorf("not an event id: want <instance guid>.<number>")
	}
	return guid, n, nil
}
