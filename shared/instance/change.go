package instance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// ErrUnchanged is returned by a change if the document already has the requested state. Nothing is
// written, and the caller gets the same response as after a change.
var ErrUnchanged = errors.New("unchanged")

// Content describes the stored content of a data element.
type Content struct {
	ContentType string
	FileName    string
	Size        int64
	SHA256      string // lower-case hex
	Revision    string
	Scanning    application.Scanning `json:",omitempty"` // how the content was stored
}

// extensions are the file name extensions by content type, for uploads without a file name.
var extensions = map[string]string{
	"application/xml": ".xml", "text/xml": ".xml", "application/json": ".json", "application/pdf": ".pdf",
	"application/zip": ".zip", "image/png": ".png", "image/jpeg": ".jpg", "text/plain": ".txt", "text/csv": ".csv",
}

// DefaultFileName returns the file name of an upload without one: the formId and the usual
// extension of the content type.
func DefaultFileName(formID, contentType string) string {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return formID + extensions[strings.ToLower(strings.TrimSpace(mediaType))]
}

// CheckDataWritable returns nil if the actor by may add data with the formId to the instance. It
// returns Forbidden if the data type does not let the actor write (code "form-id-forbidden"), and a
// Conflict if the instance accepts no new or changed data.
func (i *Instance) CheckDataWritable(app *application.Application, formID, by string) error {
	dataType, _ := app.DataType(formID)
	if err := i.checkWriter(dataType.OnlyWriter(), by); err != nil {
		return err
	}
	return i.checkDataOpen(app, dataType)
}

// checkWriter returns Forbidden if only the other role than that of the actor by may write.
func (i *Instance) checkWriter(only application.Role, by string) error {
	role, writer := application.User, "the application owner"
	if i.isOwner(by) {
		role, writer = application.Owner, "a user"
	}
	if only == "" || only == role {
		return nil
	}
	return fault.New(fault.Forbidden, "form-id-forbidden", "Only %s can add, replace and delete data elements with this formId.", writer)
}

// checkDataOpen returns a Conflict if no data element of the type can change in the current state.
func (i *Instance) checkDataOpen(app *application.Application, dataType application.DataType) error {
	step, known := app.Workflow.Step(i.Workflow.CurrentStep)
	open := dataType.OpenIn(i.Workflow.CurrentStep)
	switch {
	case i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete:
		return fault.New(fault.Conflict, "instance-deleted", "The instance is deleted. Restore it with POST …/undelete before you change its data.")
	case i.Status.IsArchived && !open:
		return fault.New(fault.Conflict, "instance-archived", "The instance is archived. Its data cannot be changed.")
	case known && step.LocksData && !open:
		return fault.New(fault.Conflict, "data-locked", "The step %s locks the data. The data can be changed after the instance is moved back to an earlier step.", step.Name)
	}
	return nil
}

// CheckElementWritable is CheckDataWritable for an existing data element, which may be locked, and
// whose content a legal hold keeps.
func (i *Instance) CheckElementWritable(app *application.Application, element *DataElement, by string, now time.Time) error {
	if err := i.checkWriter(element.OnlyWriter, by); err != nil {
		return err
	}
	if err := i.checkNotHeld(now); err != nil { // moving the instance back does not help
		return err
	}
	dataType, _ := app.DataType(element.FormID)
	if err := i.checkDataOpen(app, dataType); err != nil {
		return err
	}
	if element.IsLocked {
		return fault.New(fault.Conflict, "data-locked", "The data element is locked. It cannot be replaced or deleted.")
	}
	return nil
}

// AddData adds a data element with a new id. It returns ErrUnchanged if an element with the id
// exists, as after a write whose response was lost. It returns the fault of CheckDataWritable, or
// a Conflict if the instance or the formId has its maximum number of elements (code
// "data-count").
func (i *Instance) AddData(app *application.Application, id, formID string, content Content, by string, now time.Time) error {
	if id != "" && i.Element(id) != nil {
		return ErrUnchanged
	}
	if err := i.CheckDataWritable(app, formID, by); err != nil {
		return err
	}
	if len(i.Data) >= MaxDataElements {
		return fault.New(fault.Conflict, "data-count", "An instance can have at most %d data elements.", MaxDataElements)
	}
	dataType, _ := app.DataType(formID)
	if dataType.MaxCount > 0 && count(i.Data, formID) >= dataType.MaxCount {
		return fault.New(fault.Conflict, "data-count",
			"The instance already has %d data elements with this formId, the maximum for the application. Replace one instead.", dataType.MaxCount)
	}
	i.touchData(app, dataType.OwnerOnly(), by, TruncateTime(now))
	now = i.LastChangedDateTime
	if i.isOwner(by) && !dataType.OwnerOnly() {
		i.markUpdated()
	}
	i.Data = append(i.Data, DataElement{
		ID: id, FormID: formID, ContentType: content.ContentType, FileName: content.FileName, FileSize: content.Size,
		SHA256: content.SHA256, Revision: content.Revision, OnlyWriter: dataType.OnlyWriter(), OwnerOnly: dataType.OwnerOnly(),
		CreatedDateTime: now, CreatedBy: by, LastChangedDateTime: now, LastChangedBy: by,
	})
	i.Data[len(i.Data)-1].setScan(content.Scanning, now)
	return nil
}

// ReplaceData replaces the content of a data element. The owner's downloads and confirmation were
// of the old content, so it deletes both. An empty file name keeps the old file name, except that a
// default name follows the content type.
func (i *Instance) ReplaceData(app *application.Application, id string, content Content, by string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if err := i.CheckElementWritable(app, element, by, now); err != nil {
		return err
	}
	i.touchData(app, element.OwnerOnly, by, TruncateTime(now))
	if i.isOwner(by) && !element.OwnerOnly {
		i.markUpdated()
	}
	if content.FileName != "" {
		element.FileName = content.FileName
	} else if element.FileName == DefaultFileName(element.FormID, element.ContentType) {
		element.FileName = DefaultFileName(element.FormID, content.ContentType)
	}
	element.ContentType, element.FileSize, element.SHA256, element.Revision = content.ContentType, content.Size, content.SHA256, content.Revision
	element.ApplicationOwner = nil
	element.LastChangedDateTime, element.LastChangedBy = i.LastChangedDateTime, by
	element.setScan(content.Scanning, i.LastChangedDateTime)
	return nil
}

// Metadata is the part of an instance that the application's owner can change in every step.
type Metadata struct {
	Labels            []string
	DueDateTime       *time.Time
	VisibleDateTime   *time.Time
	PresentationField string
}

// Metadata returns the instance's metadata.
func (i *Instance) Metadata() Metadata {
	return Metadata{i.Labels, i.DueDateTime, i.VisibleDateTime, i.PresentationField}
}

// changedMembers returns the names of the members in which after differs.
func (m Metadata) changedMembers(after Metadata) []string {
	var names []string
	for _, member := range []struct {
		name    string
		changed bool
	}{
		{"labels", !slices.Equal(m.Labels, after.Labels)},
		{"dueDateTime", !equalTimes(m.DueDateTime, after.DueDateTime)},
		{"visibleDateTime", !equalTimes(m.VisibleDateTime, after.VisibleDateTime)},
		{"presentationField", m.PresentationField != after.PresentationField},
	} {
		if member.changed {
			names = append(names, member.name)
		}
	}
	return names
}

// UpdateMetadata replaces the instance's metadata. It does not update LastChangedDateTime and
// LastChangedBy. It returns ErrUnchanged if the metadata is equal, and Invalid if it breaks a
// limit. It returns a Conflict if the instance is deleted, or if the instance would be hidden
// from a user who has changed it (code "instance-in-use").
func (i *Instance) UpdateMetadata(m Metadata, now time.Time) error {
	if err := i.checkNotDeleted(); err != nil {
		return err
	}
	labels, err := CheckLabels(m.Labels)
	if err != nil {
		return err
	}
	if err := checkMetadata(m.DueDateTime, m.VisibleDateTime, m.PresentationField); err != nil {
		return err
	}
	before := i.Metadata()
	due, visible := truncated(m.DueDateTime), truncated(m.VisibleDateTime)
	hides := visible != nil && visible.After(now) && !i.Hidden(now)
	if hides && i.Timeline.UserChanged {
		return fault.New(fault.Conflict, "instance-in-use", "A user has already changed the instance, so it cannot be hidden again.")
	}
	i.Labels, i.PresentationField, i.DueDateTime, i.VisibleDateTime = labels, m.PresentationField, due, visible
	if len(before.changedMembers(i.Metadata())) == 0 {
		return ErrUnchanged
	}
	if !equalTimes(before.DueDateTime, due) {
		i.setDue(now)
	}
	if !equalTimes(before.VisibleDateTime, visible) {
		i.setVisible(before.VisibleDateTime != nil && before.VisibleDateTime.After(now), now)
	}
	return nil
}

// Transition moves the instance to a step of its application's workflow, and returns the step it
// left. It returns ErrUnchanged if the instance is in that step already, and Invalid if the
// workflow has no such step. It returns a Conflict if the instance is deleted or the role cannot
// reach the step (code "step-unreachable"). A user who leaves the first step after dueDateTime
// gets a Conflict if the application accepts no late submissions (code "deadline-passed"). If the
// step to leave validates on exit, invalid data is a Conflict too (code "data-invalid", with
// issues).
func (i *Instance) Transition(app *application.Application, name string, role application.Role, by string, now time.Time) (left string, err error) {
	return i.TransitionWithReason(app, name, "", role, by, now)
}

// TransitionWithReason is Transition with the reason that the actor gives, or "". It also returns
// Invalid if the reason is too long (code "text-invalid"), or if the transition requires a reason
// and the reason has no visible character (code "reason-missing").
func (i *Instance) TransitionWithReason(app *application.Application, name, reason string, role application.Role, by string, now time.Time) (left string, err error) {
	left = i.Workflow.CurrentStep
	if i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete {
		return left, fault.New(fault.Conflict, "instance-deleted", "The instance is deleted. Restore it with POST …/undelete before you move it.")
	}
	if left == name {
		return left, ErrUnchanged
	}
	step, known := app.Workflow.Step(name)
	if !known {
		return left, fault.New(fault.Invalid, "step-unknown", "The application's workflow has no such step. Its steps are: %s.", strings.Join(stepNames(app), ", "))
	}
	reachable := app.Workflow.Reachable(left, role)
	if !slices.Contains(reachable, name) {
		possible := "none"
		if len(reachable) > 0 {
			possible = strings.Join(reachable, ", ")
		}
		return left, fault.New(fault.Conflict, "step-unreachable", "You cannot move the instance from %[2]s to %[1]s. You can move it to: %[3]s.", name, left, possible)
	}
	if err := CheckReason(reason, app.Workflow.RequiresReason(left, name, role)); err != nil {
		return left, err
	}
	if role == application.User && left == app.Workflow.Start().Name && app.RefusesLate() && i.DueDateTime != nil && now.After(*i.DueDateTime) {
		return left, fault.New(fault.Conflict, "deadline-passed",
			"The dueDateTime of the instance has passed. Only the application owner can move it now, or set a later dueDateTime.")
	}
	if from, ok := app.Workflow.Step(left); ok && from.ValidateOnExit {
		if issues := i.Validate(app, role); len(issues) > 0 {
			f := fault.New(fault.Conflict, "data-invalid", "The instance cannot leave the step %s because its data is invalid. See issues.", left)
			f.Issues = issues
			return left, f
		}
	}
	i.touch(app, by, TruncateTime(now))
	sentBack := i.Submitted && !step.Submits()
	i.enter(app, step, i.LastChangedDateTime)
	i.addNote(reason, by)
	if sentBack && role == application.Owner {
		i.markUpdated()
	}
	return left, nil
}

// Validate returns the role an issue for each formId with too few or too many data elements. The
// minimum of a type that only the owner may write counts only in the steps of the type, because a
// user cannot reach it, and for a user only if users see the type. The maximum counts the elements
// that the role may see. The slice is never nil.
func (i *Instance) Validate(app *application.Application, role application.Role) []fault.Issue {
	issues := []fault.Issue{}
	for _, t := range app.DataTypes {
		reachable := t.OnlyWriter() != application.Owner ||
			t.OpenIn(i.Workflow.CurrentStep) && (role == application.Owner || !t.OwnerOnly())
		n, shown := count(i.Data, t.FormID), count(i.DataFor(role), t.FormID)
		switch {
		case n < t.MinCount && reachable:
			issues = append(issues, countIssue("TooFewDataElementsOfType", "The number of data elements with formId %[2]q is %[1]d; the minimum is %[3]d.", shown, t.FormID, t.MinCount))
		case t.MaxCount > 0 && shown > t.MaxCount:
			issues = append(issues, countIssue("TooManyDataElementsOfType", "The number of data elements with formId %[2]q is %[1]d; the maximum is %[3]d.", shown, t.FormID, t.MaxCount))
		}
	}
	return issues
}

// RemoveData removes a data element. It returns NotFound if the element does not exist, and a
// Conflict if it is not writable. The sweep deletes the content later, after the grace period for
// running downloads.
func (i *Instance) RemoveData(app *application.Application, id, by string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if err := i.CheckElementWritable(app, element, by, now); err != nil {
		return err
	}
	i.touchData(app, element.OwnerOnly, by, TruncateTime(now))
	i.Data = slices.DeleteFunc(i.Data, func(d DataElement) bool { return d.ID == id })
	return nil
}

// WithDownloads returns d with these recorded downloads, which are stored apart from the document.
// It does not change d.
func (d DataElement) WithDownloads(times []time.Time) DataElement {
	var owner ApplicationOwner
	if d.ApplicationOwner != nil {
		owner = *d.ApplicationOwner
	}
	owner.Downloaded, d.ApplicationOwner = times, nil
	if len(times) > 0 || len(owner.DownloadConfirmed) > 0 {
		d.ApplicationOwner = &owner
	}
	return d
}

// RecordDownload records that the owner has downloaded the current content of the element. It keeps
// the first download and the latest nine. If the instance has more than 50 elements, it keeps fewer
// per element, 500 in total. A download does not count as a change of the instance.
// RecordDownload returns ErrUnchanged if the same time is recorded already, so a retry is safe, and
// NotFound if the element does not exist.
func (i *Instance) RecordDownload(id string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if element.ApplicationOwner == nil {
		element.ApplicationOwner = &ApplicationOwner{}
	}
	if slices.Contains(element.ApplicationOwner.Downloaded, TruncateTime(now)) {
		return ErrUnchanged
	}
	element.ApplicationOwner.Downloaded = append(element.ApplicationOwner.Downloaded, TruncateTime(now))
	limit := min(maxDownloads, maxAllDownloads/len(i.Data))
	for _, d := range i.Data {
		if d.ApplicationOwner != nil && len(d.ApplicationOwner.Downloaded) > limit {
			downloaded := d.ApplicationOwner.Downloaded
			d.ApplicationOwner.Downloaded = slices.Delete(downloaded, 1, 1+len(downloaded)-limit)
		}
	}
	return nil
}

// enter moves the instance into a step and sets its locks and status. It increments EventCount,
// because entering a step creates an event.
func (i *Instance) enter(app *application.Application, step application.Step, now time.Time) {
	if i.Workflow.IsCompleted && !step.Completes {
		i.skipReminders(now)
	}
	i.Workflow.CurrentStep, i.Workflow.IsCompleted, i.Workflow.Reason = step.Name, step.Completes, ""
	if step.Submits() && !i.Submitted {
		i.submit(now)
	}
	i.Submitted = step.Submits()
	if !step.Archives {
		i.Status.ArchivedDateTime = nil
	} else if !i.Status.IsArchived {
		i.Status.ArchivedDateTime = &now
	}
	i.Status.IsArchived = step.Archives
	for n := range i.Data {
		dataType, _ := app.DataType(i.Data[n].FormID)
		i.Data[n].IsLocked = (step.LocksData || step.Archives) && !dataType.OpenIn(step.Name)
	}
	i.StepEntered = now
	i.EventCount++
	i.Shard = ShardOf(i.ID, app.IndexShards)
}

// touch records a change of the instance. It also moves the instance into its current index shard
// of the application, so a new value of indexShards takes effect as instances change.
func (i *Instance) touch(app *application.Application, by string, now time.Time) {
	// If the clock went back, the instance must not move behind the position of a client that polls
	// by time.
	if i.Version > 0 && !now.After(i.LastChangedDateTime) {
		now = i.LastChangedDateTime.Add(time.Microsecond)
	}
	if !now.After(i.AllConfirmed) { // nor get the time of a confirmation that came before
		now = i.AllConfirmed.Add(time.Microsecond)
	}
	i.LastChangedDateTime, i.LastChangedBy, i.SeenChange = now, by, nil
	i.Shard = ShardOf(i.ID, app.IndexShards)
}

// touchData is touch for a change of a data element. If only the owner may see the element, the
// last change that users see stays.
func (i *Instance) touchData(app *application.Application, ownerOnly bool, by string, now time.Time) {
	seen := i.lastChangeFor(application.User)
	i.touch(app, by, now)
	if ownerOnly && (seen.By != by || !seen.At.Equal(i.LastChangedDateTime)) {
		i.SeenChange = &seen
	}
}

// count returns the number of elements with the formId.
func count(data []DataElement, formID string) int {
	n := 0
	for _, d := range data {
		if d.FormID == formID {
			n++
		}
	}
	return n
}

func countIssue(code, description string, args ...any) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: code, Description: fmt.Sprintf(description, args...)}
}

func stepNames(app *application.Application) []string {
	names := make([]string, 0, len(app.Workflow.Steps))
	for _, step := range app.Workflow.Steps {
		names = append(names, step.Name)
	}
	return names
}
