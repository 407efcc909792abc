// Package instance provides the instance document and the rules of changing it. It is pure: every rule is a
// function of the document, the application it belongs to, who asks, and the time; storing is package
// instancetable's work.
package instance

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// Instance is one report of a party through an application. The JSON names are the proposal's.
//
// A new field is also needed in these places. Tests fail if one of the first three is forgotten:
//   - AppendMembers and ReadMembers in json.go, in the same order
//   - Clone, if the field is a pointer or a list
//   - package instancetable: document, appendDocument, readDocument and readOtherDocument in codec.go, if
//     its JSON name is "-"; dictionary1.json must stay
//   - the bodies of instance-create and instance-update, and change.go, if callers may set it
//   - answerSize in instancequery/query.go, if its size varies
//   - shared/httpapi/openapi.yaml, with its version, and tests/model/world.go
type Instance struct {
	ID                  string        `json:"id"`                  // UUID version 7: ids sort by creation
	SelfLinks           *Links        `json:"selfLinks,omitempty"` // derived when it is answered, never stored
	AppID               string        `json:"appId"`
	Labels              []string      `json:"labels"` // never null
	InstanceOwnerID     string        `json:"instanceOwnerId"`
	CreatedDateTime     time.Time     `json:"createdDateTime"`
	CreatedBy           string        `json:"createdBy"`
	LastChangedDateTime time.Time     `json:"lastChangedDateTime"`
	LastChangedBy       string        `json:"lastChangedBy"`
	DueDateTime         *time.Time    `json:"dueDateTime,omitempty"`
	VisibleDateTime     *time.Time    `json:"visibleDateTime,omitempty"`
	PresentationField   string        `json:"presentationField,omitempty"`
	Workflow            Workflow      `json:"workflow"`
	Status              Status        `json:"status"`
	Data                []DataElement `json:"data"` // never null

	Version     int64     `json:"-"` // counts the writes, from 1; 0 before the first
	EventCount  int       `json:"-"` // events so far: the number of the latest one
	StepEntered time.Time `json:"-"` // since when it is in its step
	Shard       int       `json:"-"` // which of the application's index shards it is in
	Receipt     *Receipt  `json:"-"` // to be stored with this change of the document, and no part of it; nil: none
}

// Workflow says where in its workflow an instance is.
type Workflow struct {
	CurrentStep string `json:"currentStep"`
	IsCompleted bool   `json:"isCompleted"`
}

// Status says whether an instance can still be worked on.
type Status struct {
	IsArchived            bool `json:"isArchived"`
	IsSoftDeleted         bool `json:"isSoftDeleted"`
	IsMarkedForHardDelete bool `json:"isMarkedForHardDelete"`
}

// Links are the absolute URLs of one resource on the two APIs.
type Links struct {
	Apps     string `json:"apps"`
	Platform string `json:"platform"`
}

// DataElement is one document of an instance. Its bytes are in the blob store under the revision.
//
// A new field is also needed in the places that Instance names; in codec.go, a field with the JSON name
// "-" belongs to the type element.
type DataElement struct {
	ID                  string            `json:"id"`
	FormID              string            `json:"formId"`
	ContentType         string            `json:"contentType"`
	StorageURL          string            `json:"storageUrl,omitempty"` // derived when it is answered
	DataLinks           *Links            `json:"dataLinks,omitempty"`  // derived when it is answered
	FileName            string            `json:"fileName"`
	CreatedDateTime     time.Time         `json:"createdDateTime"`
	CreatedBy           string            `json:"createdBy"`
	LastChangedDateTime time.Time         `json:"lastChangedDateTime"`
	LastChangedBy       string            `json:"lastChangedBy"`
	FileSize            int64             `json:"fileSize"` // bytes
	IsLocked            bool              `json:"isLocked"`
	ApplicationOwner    *ApplicationOwner `json:"applicationOwner,omitempty"` // absent until the owner has fetched it

	Revision string `json:"-"` // names the immutable blob that holds the bytes
	SHA256   string `json:"-"` // of the bytes, lower-case hex
}

// ApplicationOwner is what the application's owner has done with a data element as it is now. New bytes start anew.
type ApplicationOwner struct {
	Downloaded        []time.Time `json:"downloaded"` // the first download and the latest ones, see LogDownload; never null
	DownloadConfirmed []time.Time `json:"downloadConfirmed,omitempty"`
}

// Limits of an instance.
const (
	MaxLabels            = 20
	MaxLabelLength       = 64  // characters
	MaxDataElements      = 200 // keeps the stored document far below DynamoDB's 400 KB
	MaxPresentationField = 200 // characters
	maxDownloads         = 100 // entries of downloaded that are kept of an element

	// maxAllDownloads is how many are kept of all elements. With twenty labels a document is stored 21 times in one
	// transaction, which has 4 MB.
	maxAllDownloads = 2000
)

// Draft is what the creator of an instance may choose.
type Draft struct {
	ID                string // "": a fresh one
	Application       *application.Application
	InstanceOwnerID   string
	Labels            []string
	DueDateTime       *time.Time
	VisibleDateTime   *time.Time
	PresentationField string
}

// New returns a fresh instance in the first step of the application's workflow, without data elements, or an
// Invalid fault. It is not stored: its Version is 0, its EventCount 1.
func New(draft Draft, by string, now time.Time) (*Instance, error) {
	labels, err := CheckLabels(draft.Labels)
	if err != nil {
		return nil, err
	}
	if err := checkMetadata(draft.DueDateTime, draft.VisibleDateTime, draft.PresentationField); err != nil {
		return nil, err
	}
	now = Stamp(now)
	if draft.ID == "" {
		draft.ID = uuid.NewV7().String()
	}
	i := &Instance{
		ID: draft.ID, AppID: draft.Application.ID, InstanceOwnerID: draft.InstanceOwnerID, Labels: labels,
		CreatedDateTime: now, CreatedBy: by, LastChangedDateTime: now, LastChangedBy: by,
		DueDateTime: stampOf(draft.DueDateTime), VisibleDateTime: stampOf(draft.VisibleDateTime),
		PresentationField: draft.PresentationField, Data: []DataElement{},
	}
	i.enter(draft.Application, draft.Application.Workflow.Start(), now)
	return i, nil
}

func checkMetadata(due, visible *time.Time, presentation string) error {
	for name, t := range map[string]*time.Time{"dueDateTime": due, "visibleDateTime": visible} {
		if t == nil {
			continue
		}
		// In UTC, as it is kept and checked again: an offset can move it into another year.
		if year := t.UTC().Year(); year < 1900 || year > 9998 {
			return fault.New(fault.Invalid, "date-invalid", "%s must be between the years 1900 and 9998, in UTC.", name)
		}
	}
	return checkText("presentationField", presentation, MaxPresentationField)
}

// Stamp returns t as the documents hold times: UTC, microseconds, never the monotonic clock.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func stampOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	stamped := Stamp(*t)
	return &stamped
}

// ShardOf returns which of shards index partitions the instance id belongs to.
func ShardOf(id string, shards int) int {
	if shards <= 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % uint32(shards))
}

// CheckLabels returns the labels as they are kept, never nil, or an Invalid fault: at most MaxLabels, each 1 to
// MaxLabelLength printable characters without a comma, none twice.
func CheckLabels(labels []string) ([]string, error) {
	if len(labels) > MaxLabels {
		return nil, fault.New(fault.Invalid, "labels-invalid", "An instance has at most %d labels.", MaxLabels)
	}
	for n, label := range labels {
		if label == "" {
			return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot be empty.")
		}
		if err := checkText("a label", label, MaxLabelLength); err != nil {
			return nil, err
		}
		for _, c := range label {
			if c == ',' { // label=a,b asks for two labels: one with a comma in it could never be found
				return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot contain a comma: queries use it to separate labels.")
			}
		}
		if slices.Contains(labels[:n], label) {
			return nil, fault.New(fault.Invalid, "labels-invalid", "A label is given twice.")
		}
	}
	return append([]string{}, labels...), nil
}

func checkText(name, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return fault.New(fault.Invalid, "text-invalid", "%s has at most %d characters.", name, most)
	}
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return fault.New(fault.Invalid, "text-invalid", "%s has only printable characters.", name)
		}
	}
	return nil
}

// Element returns the data element with the id given, or nil.
func (i *Instance) Element(id string) *DataElement {
	for n := range i.Data {
		if i.Data[n].ID == id {
			return &i.Data[n]
		}
	}
	return nil
}

// Unconfirmed reports whether a data element waits for its owner's confirmation.
func (i *Instance) Unconfirmed() bool {
	return slices.ContainsFunc(i.Data, func(d DataElement) bool { return !d.Confirmed() })
}

// Confirmed reports whether the owner has confirmed the download of the element as it is now.
func (d *DataElement) Confirmed() bool {
	return d.ApplicationOwner != nil && len(d.ApplicationOwner.DownloadConfirmed) > 0
}

// ValidGuid reports whether id has the form of an instance's or data element's id: a lower-case UUID.
func ValidGuid(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// ValidOwnerID reports whether id has the form of an instanceOwnerId: a decimal number of at most 15 digits.
func ValidOwnerID(id string) bool {
	return id != "" && len(id) <= 15 && id[0] != '0' && strings.Trim(id, "0123456789") == ""
}

// Clone returns a copy that shares nothing with i.
func (i *Instance) Clone() *Instance {
	c := *i
	c.Receipt = nil
	c.SelfLinks = cloneOf(i.SelfLinks)
	c.DueDateTime, c.VisibleDateTime = cloneOf(i.DueDateTime), cloneOf(i.VisibleDateTime)
	c.Labels = append([]string{}, i.Labels...)
	c.Data = append([]DataElement{}, i.Data...)
	for n := range c.Data {
		d := &c.Data[n]
		d.DataLinks = cloneOf(d.DataLinks)
		if d.ApplicationOwner != nil {
			d.ApplicationOwner = &ApplicationOwner{
				Downloaded:        append([]time.Time{}, d.ApplicationOwner.Downloaded...),
				DownloadConfirmed: append([]time.Time(nil), d.ApplicationOwner.DownloadConfirmed...),
			}
		}
	}
	return &c
}

func cloneOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
