// Package instance provides the instance document and the rules for changing it. It has no I/O:
// every rule is a function of the document, its application, the caller and the time. Package
// instancetable stores instances.
//
// LastChangedDateTime covers the reported data and the workflow. Deletion, labels, dates and the
// presentation field do not update it.
//
// Users do not see every data element of their instances. HideFromUsers is the one place that
// decides what they see of a document, and DataFor and ElementFor what they can name.
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
	"altinn.no/instanceapi/shared/party"
)

// Instance is one report of a party through an application. The JSON names are those of the public
// API proposal.
//
// Add a new field in these places too. Tests fail if one of the first three lacks it:
//   - AppendMembers and ReadMembers in json.go, in the same order
//   - Clone, if the field is a pointer or a list
//   - package instancetable: document, appendDocument, readDocument and decodeCompatible in
//     codec.go, if its JSON name is "-"; dictionary1.json must stay
//   - Creation in instancehttp, the body of instance-update, and change.go, if callers may set it
//   - responseSize in instancequery/size.go, if its size varies
//   - shared/httpapi/openapi.yaml, with its version, and tests/model/model.go
type Instance struct {
	ID                  string        `json:"id"`                  // UUID version 7: ids sort by creation
	SelfLinks           *Links        `json:"selfLinks,omitempty"` // derived for each response, never stored
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
	LegalHold           *LegalHold    `json:"legalHold,omitempty"`
	Data                []DataElement `json:"data"` // never null

	Version           int64              `json:"-"` // number of writes; 0 before the first
	ScanWrites        int64              `json:"-"` // number of writes that recorded only scan results; see ApplyScans
	EventCount        int                `json:"-"` // number of the latest event
	StepEntered       time.Time          `json:"-"` // time of entering the current step
	Shard             int                `json:"-"` // its shard of the application's indexes
	Submitted         bool               `json:"-"` // whether the current step is one of a submitted instance, see application.Step.Submits
	LabelsHidden      bool               `json:"-"` // whether users do not see the labels; set at creation, so that a later registration shows nothing
	SeenChange        *Change            `json:"-"` // the last change that users may see; nil: LastChangedDateTime and LastChangedBy
	AllConfirmed      time.Time          `json:"-"` // time at which the owner confirmed a submission as a whole; zero: never
	Timeline          Timeline           `json:"-"` // state of the rules that depend on the time
	IdempotencyRecord *IdempotencyRecord `json:"-"` // stored with this change, not part of the document; nil: none
}

// Workflow is the position of an instance in its application's workflow.
type Workflow struct {
	CurrentStep       string     `json:"currentStep"`
	IsCompleted       bool       `json:"isCompleted"`
	SubmittedDateTime *time.Time `json:"submittedDateTime,omitempty"` // of the latest submission; kept when the instance is sent back
	Reason            string     `json:"reason,omitempty"`            // of the transition to the current step
	Notes             []Note     `json:"notes,omitempty"`             // the latest reasons, at most MaxNotes
}

// Status is the state of an instance apart from its workflow: archived, deleted, read, and the
// substatus.
type Status struct {
	IsArchived            bool       `json:"isArchived"`
	IsSoftDeleted         bool       `json:"isSoftDeleted"`
	IsMarkedForHardDelete bool       `json:"isMarkedForHardDelete"`
	ArchivedDateTime      *time.Time `json:"archivedDateTime,omitempty"`    // present if IsArchived
	SoftDeletedDateTime   *time.Time `json:"softDeletedDateTime,omitempty"` // present if IsSoftDeleted
	ReadStatus            string     `json:"readStatus,omitempty"`          // Unread, Read or UpdatedSinceLastReview
	Substatus             *Substatus `json:"substatus,omitempty"`           // nil: the owner has set none
}

// Change is the time and the actor of a change.
type Change struct {
	At time.Time
	By string
}

// Ref identifies an instance.
type Ref struct{ InstanceOwnerID, ID string }

// Links are the absolute URLs of one resource on the two APIs.
type Links struct {
	Apps     string `json:"apps"`
	Platform string `json:"platform"`
}

// DataElement is one document of an instance. Its content is in the blob store under the revision.
//
// Add a new field in the places that Instance lists too. In codec.go, a field with the JSON name
// "-" belongs to the type element.
type DataElement struct {
	ID                  string            `json:"id"`
	FormID              string            `json:"formId"`
	ContentType         string            `json:"contentType"`
	StorageURL          string            `json:"storageUrl,omitempty"` // derived for each response
	DataLinks           *Links            `json:"dataLinks,omitempty"`  // derived for each response
	FileName            string            `json:"fileName"`
	CreatedDateTime     time.Time         `json:"createdDateTime"`
	CreatedBy           string            `json:"createdBy"`
	LastChangedDateTime time.Time         `json:"lastChangedDateTime"`
	LastChangedBy       string            `json:"lastChangedBy"`
	FileSize            int64             `json:"fileSize"` // bytes
	IsLocked            bool              `json:"isLocked"`
	ApplicationOwner    *ApplicationOwner `json:"applicationOwner,omitempty"` // absent until the owner downloads the content
	Scan                *Scan             `json:"scan,omitempty"`             // absent if the content is not scanned

	Revision string `json:"-"` // identifies the immutable blob with the content
	SHA256   string `json:"-"` // of the content, lower-case hex

	// OnlyWriter is the only role that may replace or delete the element, or "" if both may. The
	// data type decides when the element is added; a later registration changes nothing.
	OnlyWriter application.Role `json:"-"`

	// OwnerOnly reports whether only the application's owner may see the element. The data type
	// decides when the element is added; a later registration changes nothing.
	OwnerOnly bool `json:"-"`

	// AllowUnscannable reports whether content that the scanner cannot read is handed out. The data
	// type decides when the content is stored.
	AllowUnscannable bool `json:"-"`
}

// ApplicationOwner records the owner's downloads of the current content of a data element.
// Replacing the content resets it.
type ApplicationOwner struct {
	Downloaded        []time.Time `json:"downloaded,omitempty"`        // the first and the latest downloads, see RecordDownload; empty in the result of a query
	DownloadConfirmed []time.Time `json:"downloadConfirmed,omitempty"` // the first confirmation of each submission, see ConfirmDownload
}

// Limits of an instance.
const (
	MaxLabels            = 20
	MaxLabelLength       = 64  // characters
	MaxDataElements      = 200 // keeps the stored document far below DynamoDB's 400 KB
	MaxPresentationField = 200 // characters
	maxDownloads         = 10  // maximum number of recorded downloads per element

	// maxAllDownloads is the maximum number of recorded downloads of all elements. A recorded
	// download takes about six bytes of the instance's item, so all take at most three write units.
	maxAllDownloads = 500

	// maxConfirmations is the maximum number of recorded confirmations per element, of as many
	// submissions.
	maxConfirmations = 10
)

// Draft is the part of an instance that its creator chooses.
type Draft struct {
	ID                string // "": New generates one
	Application       *application.Application
	InstanceOwnerID   string
	Labels            []string
	DueDateTime       *time.Time
	VisibleDateTime   *time.Time
	PresentationField string
}

// New returns a new instance in the first step of the application's workflow, without data
// elements, or an Invalid fault. New does not store it: its Version is 0, its EventCount 1.
func New(draft Draft, by string, now time.Time) (*Instance, error) {
	labels, err := CheckLabels(draft.Labels)
	if err != nil {
		return nil, err
	}
	if err := checkMetadata(draft.DueDateTime, draft.VisibleDateTime, draft.PresentationField); err != nil {
		return nil, err
	}
	now = TruncateTime(now)
	if draft.ID == "" {
		draft.ID = uuid.NewV7().String()
	}
	i := &Instance{
		ID: draft.ID, AppID: draft.Application.ID, InstanceOwnerID: draft.InstanceOwnerID, Labels: labels,
		CreatedDateTime: now, CreatedBy: by, LastChangedDateTime: now, LastChangedBy: by,
		DueDateTime: truncated(draft.DueDateTime), VisibleDateTime: truncated(draft.VisibleDateTime),
		PresentationField: draft.PresentationField, Data: []DataElement{},
	}
	i.LabelsHidden = draft.Application.LabelsFor == application.LabelsForOwner
	i.Status.ReadStatus = Read
	if i.isOwner(by) {
		i.Status.ReadStatus = Unread
	}
	i.enter(draft.Application, draft.Application.Workflow.Start(), now)
	i.setDue(now)
	i.setVisible(false, now)
	return i, nil
}

func checkMetadata(due, visible *time.Time, presentation string) error {
	for name, t := range map[string]*time.Time{"dueDateTime": due, "visibleDateTime": visible} {
		if err := checkDate(name, t); err != nil {
			return err
		}
	}
	return checkText("presentationField", presentation, MaxPresentationField)
}

// checkDate returns an Invalid fault if t is outside the years that documents can have. It checks
// the year in UTC, which is the stored form: an offset can move a time into another year.
func checkDate(name string, t *time.Time) error {
	if t == nil {
		return nil
	}
	if year := t.UTC().Year(); year < 1900 || year > 9998 {
		return fault.New(fault.Invalid, "date-invalid", "%s must be in the years 1900 to 9998, in UTC.", name)
	}
	return nil
}

// TruncateTime returns t in the form that documents store: in UTC, in microseconds, without a
// monotonic clock reading.
func TruncateTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func truncated(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	stored := TruncateTime(*t)
	return &stored
}

// ShardOf returns the index shard of the instance id, from 0 to shards-1.
func ShardOf(id string, shards int) int {
	if shards <= 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % uint32(shards))
}

// CheckLabels returns the labels in the form that documents store, never nil, or an Invalid fault.
// At most MaxLabels are allowed, each with 1 to MaxLabelLength characters of text, without a comma,
// without white space or an invisible character at its ends, and without duplicates.
func CheckLabels(labels []string) ([]string, error) {
	if len(labels) > MaxLabels {
		return nil, fault.New(fault.Invalid, "labels-invalid", "An instance can have at most %d labels.", MaxLabels)
	}
	for n, label := range labels {
		if label == "" {
			return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot be empty.")
		}
		if err := checkText("A label", label, MaxLabelLength); err != nil {
			return nil, err
		}
		if strings.TrimSpace(label) != label { // queries trim labels, so none could find it
			return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot start or end with white space.")
		}
		if endsInvisibly(label) { // a reader could not distinguish it from another label
			return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot start or end with an invisible character.")
		}
		for _, c := range label {
			if c == ',' { // no query could find it: label=a,b means two labels
				return nil, fault.New(fault.Invalid, "labels-invalid", "A label cannot contain a comma because queries separate labels with commas.")
			}
		}
		if slices.Contains(labels[:n], label) {
			return nil, fault.New(fault.Invalid, "labels-invalid", "The labels must be distinct.")
		}
	}
	return append([]string{}, labels...), nil
}

// endsInvisibly reports whether the first or the last character of text is invisible. A variation
// selector or a tag after a character outside ASCII is not: it changes how an emoji appears.
func endsInvisibly(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	last, size := utf8.DecodeLastRuneInString(text)
	before, _ := utf8.DecodeLastRuneInString(text[:len(text)-size])
	if isInvisible(first) {
		return true
	}
	if unicode.Is(unicode.Variation_Selector, last) || isTag(last) {
		return before < utf8.RuneSelf || isInvisible(before) && !isTag(before)
	}
	return isInvisible(last)
}

// isInvisible reports whether c alone has no ink: white space, joiners, variation selectors, tags,
// fillers and the empty Braille pattern.
func isInvisible(c rune) bool {
	const emptyBraille = '\u2800'
	return c == emptyBraille || unicode.IsSpace(c) ||
		unicode.In(c, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// isTag reports whether c is one of the tags that follow a black flag in the emoji of a region.
func isTag(c rune) bool { return '\U000E0020' <= c && c <= '\U000E007F' }

func checkText(name, text string, maxLength int) error {
	if utf8.RuneCountInString(text) > maxLength {
		return fault.New(fault.Invalid, "text-invalid", "%s can have at most %d characters.", name, maxLength)
	}
	for _, c := range text {
		if !isText(c) {
			return fault.New(fault.Invalid, "text-invalid",
				"%s cannot have control characters, line breaks or characters that change the text direction.", name)
		}
	}
	return nil
}

// isText reports whether texts can have c: every visible character, every space separator such as
// U+00A0, which number formatters write, the joiners U+200C and U+200D, and the tags of flag emoji.
// Control characters, line breaks and direction overrides would let a text disguise the list or
// the log that shows it.
func isText(c rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsPrint(c) || unicode.Is(unicode.Zs, c) || c == nonJoiner || c == joiner || isTag(c)
}

// Element returns the data element with the given id, or nil.
func (i *Instance) Element(id string) *DataElement {
	for n := range i.Data {
		if i.Data[n].ID == id {
			return &i.Data[n]
		}
	}
	return nil
}

// HasRevision reports whether a data element has the given revision of its content.
func (i *Instance) HasRevision(revision string) bool {
	return slices.ContainsFunc(i.Data, func(d DataElement) bool { return d.Revision == revision })
}

// ValidGuid reports whether id is a valid id of an instance or a data element: a lower-case UUID.
func ValidGuid(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// ValidInstanceOwnerID reports whether id is a valid instanceOwnerId, the number of a party.
func ValidInstanceOwnerID(id string) bool { return party.ValidNumber(id) }

// Clone returns a copy that shares no memory with i. The copy has no IdempotencyRecord.
func (i *Instance) Clone() *Instance {
	c := *i
	c.IdempotencyRecord = nil
	c.SelfLinks = cloneOf(i.SelfLinks)
	c.DueDateTime, c.VisibleDateTime = cloneOf(i.DueDateTime), cloneOf(i.VisibleDateTime)
	c.Workflow.SubmittedDateTime, c.Workflow.Notes = cloneOf(i.Workflow.SubmittedDateTime), slices.Clone(i.Workflow.Notes)
	c.Status.Substatus, c.SeenChange = cloneOf(i.Status.Substatus), cloneOf(i.SeenChange)
	c.Status.ArchivedDateTime, c.Status.SoftDeletedDateTime = cloneOf(i.Status.ArchivedDateTime), cloneOf(i.Status.SoftDeletedDateTime)
	if c.LegalHold = cloneOf(i.LegalHold); c.LegalHold != nil {
		c.LegalHold.Until = cloneOf(i.LegalHold.Until)
	}
	c.Labels = append([]string{}, i.Labels...)
	c.Data = append([]DataElement{}, i.Data...)
	for n := range c.Data {
		d := &c.Data[n]
		d.DataLinks, d.Scan = cloneOf(d.DataLinks), cloneOf(d.Scan)
		if d.ApplicationOwner != nil {
			d.ApplicationOwner = &ApplicationOwner{
				Downloaded:        append([]time.Time(nil), d.ApplicationOwner.Downloaded...),
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
