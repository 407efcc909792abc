package instance

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// ErrUnchanged is returned by a change that finds the document already as it should be: nothing is written, and
// the caller is answered as if it had been.
var ErrUnchanged = errors.New("unchanged")

// Content is what is known of a data element's content once it is stored.
type Content struct {
	ContentType string
	FileName    string
	Size        int64
	SHA256      string // lower-case hex
	Revision    string
}

// extensions are those that a file name is given when its sender named none.
var extensions = map[string]string{
	"application/xml": ".xml", "text/xml": ".xml", "application/json": ".json", "application/pdf": ".pdf",
	"application/zip": ".zip", "image/png": ".png", "image/jpeg": ".jpg", "text/plain": ".txt", "text/csv": ".csv",
}

// DefaultFileName returns the name of a file whose sender gave none: the formId, and the extension that is usual
// for the content type.
func DefaultFileName(formID, contentType string) string {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return formID + extensions[strings.ToLower(strings.TrimSpace(mediaType))]
}

// CheckDataWritable returns a Conflict that says why the instance takes no new or changed data, or nil.
func (i *Instance) CheckDataWritable(app *application.Application) error {
	step, known := app.Workflow.Step(i.Workflow.CurrentStep)
	switch {
	case i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete:
		return fault.New(fault.Conflict, "instance-deleted", "The instance is deleted; undelete it before you change its data.")
	case i.Status.IsArchived:
		return fault.New(fault.Conflict, "instance-archived", "The instance is archived; its data can no longer be changed.")
	case known && step.LocksData:
		return fault.New(fault.Conflict, "data-locked", "Data is locked in the step %s; it can be changed after the instance is sent back.", step.Name)
	}
	return nil
}

// checkElementWritable is CheckDataWritable for a data element that is there.
func (i *Instance) checkElementWritable(app *application.Application, element *DataElement) error {
	if err := i.CheckDataWritable(app); err != nil {
		return err
	}
	if element.IsLocked {
		return fault.New(fault.Conflict, "data-locked", "The data element is locked.")
	}
	return nil
}

// AddData adds a data element under a new id; ErrUnchanged when it is there already, as after a write whose answer was
// lost. It refuses when data cannot be written (Conflict), or when there are as many elements of the formId as the
// application allows (Conflict, code "data-count").
func (i *Instance) AddData(app *application.Application, id, formID string, b Content, by string, now time.Time) error {
	if id != "" && i.Element(id) != nil {
		return ErrUnchanged
	}
	if err := i.CheckDataWritable(app); err != nil {
		return err
	}
	if len(i.Data) >= MaxDataElements {
		return fault.New(fault.Conflict, "data-count", "An instance has at most %d data elements.", MaxDataElements)
	}
	dataType, _ := app.DataType(formID)
	if dataType.MaxCount > 0 && i.count(formID) >= dataType.MaxCount {
		return fault.New(fault.Conflict, "data-count",
			"The instance already has %d data elements with this formId, as many as the application allows; replace one instead.", dataType.MaxCount)
	}
	i.touch(app, by, TruncateTime(now))
	now = i.LastChangedDateTime
	i.Data = append(i.Data, DataElement{
		ID: id, FormID: formID, ContentType: b.ContentType, FileName: b.FileName, FileSize: b.Size,
		SHA256: b.SHA256, Revision: b.Revision,
		CreatedDateTime: now, CreatedBy: by, LastChangedDateTime: now, LastChangedBy: by,
	})
	return nil
}

// ReplaceData gives a data element new bytes. What the owner had downloaded and confirmed was the old ones, so both
// start anew. An empty file name keeps the old one.
func (i *Instance) ReplaceData(app *application.Application, id string, b Content, by string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if err := i.checkElementWritable(app, element); err != nil {
		return err
	}
	i.touch(app, by, TruncateTime(now))
	element.ContentType, element.FileSize, element.SHA256, element.Revision = b.ContentType, b.Size, b.SHA256, b.Revision
	if b.FileName != "" {
		element.FileName = b.FileName
	}
	element.ApplicationOwner = nil
	element.LastChangedDateTime, element.LastChangedBy = i.LastChangedDateTime, by
	return nil
}

// Metadata is what an owner can change about an instance at any time.
type Metadata struct {
	Labels            []string
	DueDateTime       *time.Time
	VisibleDateTime   *time.Time
	PresentationField string
}

// Metadata returns the instance's description.
func (i *Instance) Metadata() Metadata {
	return Metadata{i.Labels, i.DueDateTime, i.VisibleDateTime, i.PresentationField}
}

// UpdateMetadata gives the instance another description. It does not count as a change of the instance: lastChanged stays.
// It returns ErrUnchanged when it has that description, and a Conflict when the instance is deleted.
func (i *Instance) UpdateMetadata(d Metadata) error {
	if i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete {
		return fault.New(fault.Conflict, "instance-deleted", "The instance is deleted; undelete it before you change it.")
	}
	labels, err := CheckLabels(d.Labels)
	if err != nil {
		return err
	}
	if err := checkMetadata(d.DueDateTime, d.VisibleDateTime, d.PresentationField); err != nil {
		return err
	}
	before := i.Metadata()
	i.Labels, i.PresentationField = labels, d.PresentationField
	i.DueDateTime, i.VisibleDateTime = stampOf(d.DueDateTime), stampOf(d.VisibleDateTime)
	if reflect.DeepEqual(before, i.Metadata()) {
		return ErrUnchanged
	}
	return nil
}

// Transition moves the instance to a step of its application's workflow, and returns the step it left. It returns
// ErrUnchanged when it is there already, and a Conflict when the step cannot be reached from here by this role
// (code "step-unreachable", naming those that can) or when the step to leave validates and the data is not valid
// (code "data-invalid", with issues).
func (i *Instance) Transition(app *application.Application, name string, role application.Role, by string, now time.Time) (left string, err error) {
	left = i.Workflow.CurrentStep
	if i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete {
		return left, fault.New(fault.Conflict, "instance-deleted", "The instance is deleted; undelete it before you move it.")
	}
	if left == name {
		return left, ErrUnchanged
	}
	step, known := app.Workflow.Step(name)
	if !known {
		return left, fault.New(fault.Invalid, "step-unknown", "The application's workflow has no such step. It has: %s.", strings.Join(stepNames(app), ", "))
	}
	reachable := app.Workflow.Reachable(left, role)
	if !slices.Contains(reachable, name) {
		possible := "none"
		if len(reachable) > 0 {
			possible = strings.Join(reachable, ", ")
		}
		return left, fault.New(fault.Conflict, "step-unreachable", "The step %s cannot be reached from %s by you. Reachable: %s.", name, left, possible)
	}
	if from, ok := app.Workflow.Step(left); ok && from.ValidateOnExit {
		if issues := i.Validate(app); len(issues) > 0 {
			f := fault.New(fault.Conflict, "data-invalid", "The data is not valid, so the step %s cannot be left; see issues.", left)
			f.Issues = issues
			return left, f
		}
	}
	i.touch(app, by, TruncateTime(now))
	i.enter(app, step, i.LastChangedDateTime)
	return left, nil
}

// Validate returns what is wrong with the instance's data as a whole; never nil.
func (i *Instance) Validate(app *application.Application) []fault.Issue {
	issues := []fault.Issue{}
	for _, t := range app.DataTypes {
		n := i.count(t.FormID)
		switch {
		case n < t.MinCount:
			issues = append(issues, countIssue("TooFewDataElementsOfType", "%d data elements with formId %q, at least %d are needed.", n, t.FormID, t.MinCount))
		case t.MaxCount > 0 && n > t.MaxCount:
			issues = append(issues, countIssue("TooManyDataElementsOfType", "%d data elements with formId %q, at most %d are allowed.", n, t.FormID, t.MaxCount))
		}
	}
	return issues
}

// RemoveData takes a data element away. Its bytes are removed later, when nobody can still be fetching them.
func (i *Instance) RemoveData(app *application.Application, id, by string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if err := i.checkElementWritable(app, element); err != nil {
		return err
	}
	i.Data = slices.DeleteFunc(i.Data, func(d DataElement) bool { return d.ID == id })
	i.touch(app, by, TruncateTime(now))
	return nil
}

// Delete marks the instance as deleted: it can still be read, is left out of queries, and can be undeleted. It returns
// ErrUnchanged when it is already.
func (i *Instance) Delete() error {
	if i.Status.IsSoftDeleted {
		return ErrUnchanged
	}
	i.Status.IsSoftDeleted = true
	return nil
}

// HardDelete marks the instance for removal: from now on it is as if it were not there, and its labels, bytes and
// document go. Its events stay in the feed.
func (i *Instance) HardDelete() {
	i.Status.IsSoftDeleted, i.Status.IsMarkedForHardDelete = true, true
	i.Labels = []string{}
}

// Undelete takes a Delete back. It returns ErrUnchanged when there is none.
func (i *Instance) Undelete() error {
	if !i.Status.IsSoftDeleted {
		return ErrUnchanged
	}
	i.Status.IsSoftDeleted = false
	return nil
}

// RecordDownload records that the owner has fetched the element's bytes: the first download and the latest 99 are
// kept, or of an instance with more than 20 elements as many of each as make 2,000 together. It does not count as a change of
// the instance. The same moment is recorded once, so that it can be repeated.
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
	most := min(maxDownloads, maxAllDownloads/len(i.Data))
	for _, d := range i.Data {
		if d.ApplicationOwner != nil && len(d.ApplicationOwner.Downloaded) > most {
			downloaded := d.ApplicationOwner.Downloaded
			d.ApplicationOwner.Downloaded = slices.Delete(downloaded, 1, 1+len(downloaded)-most)
		}
	}
	return nil
}

// ConfirmDownload records that the owner has the element safely. Before a download it is a Conflict; a repeat
// returns ErrUnchanged.
func (i *Instance) ConfirmDownload(id string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	if element.ApplicationOwner == nil || len(element.ApplicationOwner.Downloaded) == 0 {
		return fault.New(fault.Conflict, "not-downloaded", "A data element can be confirmed only after it was downloaded as it is now; download it first.")
	}
	if element.Confirmed() {
		return ErrUnchanged
	}
	element.ApplicationOwner.DownloadConfirmed = []time.Time{TruncateTime(now)}
	return nil
}

// ConfirmAll confirms every data element, all or none: one that was not downloaded makes it a Conflict. It returns
// ErrUnchanged when there was nothing left to confirm.
func (i *Instance) ConfirmAll(now time.Time) error {
	all := i.Clone()
	changed := false
	for _, d := range i.Data {
		switch err := all.ConfirmDownload(d.ID, now); {
		case err == nil:
			changed = true
		case !errors.Is(err, ErrUnchanged):
			return err
		}
	}
	if !changed {
		return ErrUnchanged
	}
	i.Data = all.Data
	return nil
}

// enter puts the instance into a step, and its locks and status where the step has them. Every step entered is an
// event.
func (i *Instance) enter(app *application.Application, step application.Step, now time.Time) {
	i.Workflow = Workflow{CurrentStep: step.Name, IsCompleted: step.Completes}
	i.Status.IsArchived = step.Archives
	for n := range i.Data {
		i.Data[n].IsLocked = step.LocksData || step.Archives
	}
	i.StepEntered = now
	i.EventCount++
	i.Shard = ShardOf(i.ID, app.IndexShards)
}

// touch notes a change of the instance. It also puts it into the shard that the application now has for it, so
// that raising indexShards takes effect as instances change.
func (i *Instance) touch(app *application.Application, by string, now time.Time) {
	// A clock that went back must not move the instance behind what a poller has already passed.
	if i.Version > 0 && !now.After(i.LastChangedDateTime) {
		now = i.LastChangedDateTime.Add(time.Microsecond)
	}
	i.LastChangedDateTime, i.LastChangedBy = now, by
	i.Shard = ShardOf(i.ID, app.IndexShards)
}

func (i *Instance) count(formID string) int {
	n := 0
	for _, d := range i.Data {
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
