package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
)

// applyTo applies the change to the document, in order, and returns its events. It has no effect
// but on i. It returns the fault of the first part that is rejected, instance.ErrUnchanged if i
// has the requested state already, and validation.ErrNotValidated if found does not cover the
// data that a transition must validate.
func (c *change) applyTo(i *instance.Instance, found validation.Findings) ([]event.Event, error) {
	now := time.Now()
	var events []event.Event
	changed := false
	apply := func(field string, do func() ([]event.Event, error)) error {
		made, err := do()
		switch {
		case err == nil:
			changed = true
			events = append(events, made...)
		case !errors.Is(err, instance.ErrUnchanged):
			return rejected(field, err)
		}
		return nil
	}
	i.IdempotencyRecord = c.record
	for n := range c.body.Data {
		if err := apply(dataField(n), func() ([]event.Event, error) { return c.operate(i, n, now) }); err != nil {
			return nil, err
		}
	}
	if c.body.Metadata != nil {
		if err := apply(metadataField, func() ([]event.Event, error) { return c.updateMetadata(i, now) }); err != nil {
			return nil, err
		}
	}
	events = append(events, i.ApplyKnownScans(c.app, c.infected, now, c.view.Links(i))...)
	if c.body.Workflow != nil {
		if err := apply(stepField, func() ([]event.Event, error) { return c.transition(i, found, now) }); err != nil {
			return nil, err
		}
	}
	if !changed {
		return nil, instance.ErrUnchanged
	}
	return events, nil
}

// operate applies the n-th operation to i.
func (c *change) operate(i *instance.Instance, n int, now time.Time) ([]event.Event, error) {
	o := &c.body.Data[n]
	if o.Op == opAdd {
		return c.add(i, o, c.contents[n], now)
	}
	element, err := c.access.ElementOf(i, o.ID)
	if err != nil {
		return nil, err
	}
	if o.Op == opDelete {
		return c.remove(i, o, element, now)
	}
	return c.replace(i, o, element, c.contents[n], now)
}

func (c *change) add(i *instance.Instance, o *operation, to *content, now time.Time) ([]event.Event, error) {
	if done, err := c.commit(i, o, to, o.FormID, to.id); err != nil {
		return nil, err
	} else if done && c.access.SeesDeletion(i, c.app, to.upload) {
		return nil, to.upload.DeletedError()
	} else if done {
		return nil, instance.ErrUnchanged
	}
	if err := i.CheckDataWritable(c.app, o.FormID, c.access.ActorName()); err != nil {
		return nil, err
	}
	if err := c.checkContent(o.FormID, to); err != nil {
		return nil, err
	}
	added := to.content
	if added.FileName == "" {
		added.FileName = instance.DefaultFileName(o.FormID, added.ContentType)
	}
	if err := i.AddData(c.app, to.id, o.FormID, added, c.access.ActorName(), now); err != nil {
		return nil, err
	}
	return i.DataEvent(c.app, event.DataCreated, *i.Element(to.id), c.access.ActorName(), now, c.view.Links(i)), nil
}

func (c *change) replace(i *instance.Instance, o *operation, element *instance.DataElement, to *content, now time.Time) ([]event.Event, error) {
	if to.upload != nil && element.ID == to.upload.NewDataGuid() { // an operation add has committed the upload
		return nil, to.upload.CommittedError()
	}
	if done, err := c.commit(i, o, to, element.FormID, element.ID); err != nil {
		return nil, err
	} else if done {
		return nil, instance.ErrUnchanged
	}
	if err := i.CheckElementWritable(c.app, element, c.access.ActorName(), now); err != nil {
		return nil, err
	}
	if err := o.checkIfMatch(element); err != nil {
		return nil, err
	}
	if err := c.checkContent(element.FormID, to); err != nil {
		return nil, err
	}
	if err := i.ReplaceData(c.app, element.ID, to.content, c.access.ActorName(), now); err != nil {
		return nil, err
	}
	return i.DataEvent(c.app, event.DataReplaced, *element, c.access.ActorName(), now, c.view.Links(i)), nil
}

func (c *change) remove(i *instance.Instance, o *operation, element *instance.DataElement, now time.Time) ([]event.Event, error) {
	if err := o.checkIfMatch(element); err != nil {
		return nil, err
	}
	removed := *element
	if err := i.RemoveData(c.app, o.ID, c.access.ActorName(), now); err != nil {
		return nil, err
	}
	return i.DataEvent(c.app, event.DataDeleted, removed, c.access.ActorName(), now, c.view.Links(i)), nil
}

// checkIfMatch returns PreconditionFailed if the operation has an ifMatch that does not name the
// content of the element.
func (o *operation) checkIfMatch(element *instance.DataElement) error {
	if o.IfMatch == nil {
		return nil
	}
	return httpapi.CheckTag(*o.IfMatch, instancehttp.ContentETag(element))
}

// commit adds the record of committing the operation's upload, if it has one, to those of the
// change. done reports that an earlier request has committed the upload as the same data element.
func (c *change) commit(i *instance.Instance, o *operation, to *content, formID, dataGuid string) (done bool, err error) {
	if o.Upload == "" {
		return false, nil
	}
	if to.upload == nil {
		return false, to.err
	}
	done, err = instancehttp.UploadCommit{Upload: to.upload, FormID: formID, DataGuid: dataGuid}.Check(to.committed)
	if err == nil && !done {
		i.IdempotencyRecord = to.upload.IdempotencyRecord(dataGuid, i.IdempotencyRecord, time.Now())
	}
	return done, err
}

// checkContent returns a fault if the application does not accept the content, or if the content of
// the upload is not stored.
func (c *change) checkContent(formID string, to *content) error {
	if err := c.app.CheckUpload(formID, to.content.ContentType, to.content.Size); err != nil {
		return err
	}
	return to.err
}

func (c *change) updateMetadata(i *instance.Instance, now time.Time) ([]event.Event, error) {
	if err := c.access.Caller.MustBeOwner(); err != nil {
		return nil, err
	}
	return c.body.Metadata.Apply(i, c.app, c.access.ActorName(), now, c.view)
}

func (c *change) transition(i *instance.Instance, found validation.Findings, now time.Time) ([]event.Event, error) {
	to := c.body.Workflow
	left, err := found.Transition(i, c.app, to.CurrentStep, to.Reason, c.access.Role(), c.access.ActorName(), now)
	if err != nil {
		return nil, c.locate(err)
	}
	return []event.Event{i.StepEvent(left, c.access.ActorName(), c.view.Links(i))}, nil
}

// locate returns a copy of err, if it is a fault, whose issues about an element that the change
// adds name the operation: the client does not know the id of the element, and the element does
// not exist.
func (c *change) locate(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	located := *f
	located.Issues = slices.Clone(f.Issues)
	for k := range located.Issues {
		issue := &located.Issues[k]
		n := slices.IndexFunc(c.contents, func(to *content) bool { return to != nil && to.id == issue.DataElementID })
		if issue.DataElementID == "" || n < 0 || c.body.Data[n].Op != opAdd || c.contents[n].committed != nil {
			continue
		}
		if issue.Field != "" {
			issue.Description = fmt.Sprintf("At %s: %s", issue.Field, issue.Description)
		}
		issue.DataElementID, issue.Field = "", dataField(n)
	}
	return &located
}

// unlessFault returns err unless it is a fault that the client can fix.
func unlessFault(err error) error {
	if instancehttp.NotApplied(err) {
		return nil
	}
	return err
}
