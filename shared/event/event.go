// Package event provides the event document. Application owners read it in the feed and receive it
// from EventBridge as the detail of an entry. Both have the same shape, so an owner needs only one
// decoder.
//
// The document carries links and codes only, never content and never an identity number.
package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/rfc3339"
)

// The types of events. A type is the eventType of the document and the DetailType of the
// EventBridge entry. Every application has WorkflowStateChange. It has the other types only if its
// registration names them.
const (
	WorkflowStateChange = "WorkflowStateChange" // the instance entered a workflow step, including the first step
	DataChanged         = "DataChanged"         // a data element was added, replaced or deleted
	DataScanned         = "DataScanned"         // the malware scan found that content is infected or cannot be scanned
	InstanceChanged     = "InstanceChanged"     // the owner changed metadata of the instance
	DownloadConfirmed   = "DownloadConfirmed"   // the owner confirmed that it has received data
	InstanceDeleted     = "InstanceDeleted"     // the instance was deleted, softly or permanently
	InstanceUndeleted   = "InstanceUndeleted"   // the instance was restored
	InstanceVisible     = "InstanceVisible"     // the visibleDateTime of the instance has passed
	DeadlineNear        = "DeadlineNear"        // the dueDateTime of the instance is near
	DeadlinePassed      = "DeadlinePassed"      // the dueDateTime of the instance has passed
	LegalHoldChanged    = "LegalHoldChanged"    // the owner set, changed or lifted the legal hold
	SubstatusChanged    = "SubstatusChanged"    // the owner set or cleared the substatus
	ReadStatusChanged   = "ReadStatusChanged"   // a user marked the instance as read or unread
)

// The types of internal events. The feed counts them; see Counts. Owners and users never see them,
// and no registration can name these types.
const (
	InternalDeletion    = "InternalDeletion"    // a permanent deletion, if the application does not register InstanceDeleted
	InternalRestoration = "InternalRestoration" // a permanently deleted instance came back from a backup
)

// Internal reports whether events of the type are for the system alone.
func Internal(eventType string) bool {
	return eventType == InternalDeletion || eventType == InternalRestoration
}

// Types returns all types of events that owners can see.
func Types() []string {
	return []string{WorkflowStateChange, DataChanged, DataScanned, InstanceChanged, DownloadConfirmed, InstanceDeleted, InstanceUndeleted, InstanceVisible, DeadlineNear, DeadlinePassed, LegalHoldChanged, SubstatusChanged, ReadStatusChanged}
}

// The changes of a data element, in the event DataChanged.
const (
	DataCreated  = "created"
	DataReplaced = "replaced"
	DataDeleted  = "deleted"
)

// The causes of a deletion: who deleted the instance, or the retention rules of its application.
const (
	CauseUser      = "user"
	CauseOwner     = "owner"
	CauseRetention = "retention"
)

// MaxDataLinks is the maximum number of links in an event. An event is stored and sent several
// times, so an instance with many small data elements must not make it large.
const MaxDataLinks = 50

// SchemaVersion is the version of the document's shape. Adding a member keeps the version. Removing
// a member or changing its meaning requires the next version.
const SchemaVersion = 1

// ClockSkew is the largest difference between the clocks of two functions for which a poller misses
// nothing. The positions of the feed allow for all of it. A query's resume must allow for a slow
// write as well, out of the same time. The clocks of Lambda differ by milliseconds.
const ClockSkew = time.Minute

// Event is one change of one instance.
//
// Add a new field in these places too. Tests fail if you forget one of the first two:
//   - event.go in shared/instance, which fills it
//   - the schema in events/owner: event.schema.json, or that of the type which has the field
//   - Event in shared/httpapi/openapi.yaml, with its version, the samples in events/, and
//     tests/model/workflow.go
type Event struct {
	ID              string       `json:"id"` // "<instance guid>.<number>", opaque to clients
	At              rfc3339.Time `json:"at"` // when the change was made, UTC, microseconds
	AppID           string       `json:"appId"`
	InstanceOwnerID string       `json:"instanceOwnerId"`
	InstanceLink    string       `json:"instanceLink"`
	DataLinks       []DataLink   `json:"dataLinks"` // never null, at most MaxDataLinks
	// DataLinksOmitted is the number of further data elements, which have no link. Only an instance
	// with more than MaxDataLinks elements has any.
	DataLinksOmitted int `json:"dataLinksOmitted,omitempty"`
	// OwnerOnlyLinksOmitted is the number of those that only the application's owner may see.
	OwnerOnlyLinksOmitted int `json:"ownerOnlyLinksOmitted,omitempty"`

	EventType    string `json:"eventType"`
	WorkflowStep string `json:"workflowStep"` // the step of the instance after the change
	UserID       string `json:"userId"`       // who made the change: a user's id, the org, or "platform"

	Org             string `json:"org"`
	App             string `json:"app"`
	PreviousStep    string `json:"previousStep,omitempty"` // WorkflowStateChange: the step left; absent on creation
	HasReason       bool   `json:"hasReason,omitempty"`    // WorkflowStateChange: the actor gave a reason, which the instance has
	InstanceVersion int64  `json:"instanceVersion"`        // the instance's version after the change
	SchemaVersion   int    `json:"schemaVersion"`

	// OwnerOnly is set if the event is about a data element that only the application's owner may
	// see.
	OwnerOnly bool `json:"ownerOnly,omitempty"`

	Change          string        `json:"change,omitempty"`          // DataChanged: DataCreated, DataReplaced or DataDeleted
	DataElementID   string        `json:"dataElementId,omitempty"`   // DataChanged, DataScanned
	FormID          string        `json:"formId,omitempty"`          // DataChanged, DataScanned: of the data element
	ScanStatus      string        `json:"scanStatus,omitempty"`      // DataScanned: infected or unscannable
	Members         []string      `json:"members,omitempty"`         // InstanceChanged: names of the changed members, at least one
	All             *bool         `json:"all,omitempty"`             // DownloadConfirmed: whether the owner confirmed all data elements
	Hard            *bool         `json:"hard,omitempty"`            // InstanceDeleted: whether the deletion is permanent
	Cause           string        `json:"cause,omitempty"`           // InstanceDeleted: CauseUser, CauseOwner or CauseRetention
	DueDateTime     *rfc3339.Time `json:"dueDateTime,omitempty"`     // DeadlineNear, DeadlinePassed
	Before          string        `json:"before,omitempty"`          // DeadlineNear: the registered period of the reminder, such as P7D
	VisibleDateTime *rfc3339.Time `json:"visibleDateTime,omitempty"` // InstanceVisible
	Held            *bool         `json:"held,omitempty"`            // LegalHoldChanged: whether the instance is held now
}

// Passes reports whether a reader that wants events of a step and of some types gets the event. An
// empty step and no types mean all. No reader gets an internal event.
func (e Event) Passes(step string, types []string) bool {
	return !Internal(e.EventType) && (step == "" || e.WorkflowStep == step) && (len(types) == 0 || slices.Contains(types, e.EventType))
}

// DataLink refers to one data element that the instance had at the time of the change. The links
// that only the application's owner may see follow the others.
type DataLink struct {
	FormID    string `json:"formId"`
	DataLink  string `json:"dataLink"`            // absolute URL on the storage API
	OwnerOnly bool   `json:"ownerOnly,omitempty"` // only the application's owner may see it
}

// Subject is what all events of an instance have in common.
type Subject struct{ AppID, InstanceOwnerID string }

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
