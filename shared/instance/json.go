package instance

import "altinn.no/instanceapi/shared/appendjson"

// AppendJSON appends the document to b, as encoding/json/v2 would write it. It fails for a time
// that RFC 3339 cannot express.
func (i *Instance) AppendJSON(b []byte) ([]byte, error) {
	w := appendjson.Writer{Buf: b}
	w.Raw("{")
	i.AppendMembers(&w)
	w.Raw(`,"data":[`)
	for n := range i.Data {
		w.Raw(appendjson.Separator(n))
		w.Raw("{")
		i.Data[n].AppendMembers(&w)
		w.Raw("}")
	}
	w.Raw("]}")
	return w.Buf, w.Err
}

// AppendMembers appends all members except data, without braces, so that the caller can add
// members.
func (i *Instance) AppendMembers(w *appendjson.Writer) {
	w.String(`"id":`, i.ID)
	if links := i.SelfLinks; links != nil {
		w.String(`,"selfLinks":{"apps":`, links.Apps)
		w.String(`,"platform":`, links.Platform)
		w.Raw("}")
	}
	w.String(`,"appId":`, i.AppID)
	w.Strings(`,"labels":`, i.Labels)
	w.String(`,"instanceOwnerId":`, i.InstanceOwnerID)
	w.Time(`,"createdDateTime":`, i.CreatedDateTime)
	w.String(`,"createdBy":`, i.CreatedBy)
	w.Time(`,"lastChangedDateTime":`, i.LastChangedDateTime)
	w.String(`,"lastChangedBy":`, i.LastChangedBy)
	if i.DueDateTime != nil {
		w.Time(`,"dueDateTime":`, *i.DueDateTime)
	}
	if i.VisibleDateTime != nil {
		w.Time(`,"visibleDateTime":`, *i.VisibleDateTime)
	}
	if i.PresentationField != "" {
		w.String(`,"presentationField":`, i.PresentationField)
	}
	w.String(`,"workflow":{"currentStep":`, i.Workflow.CurrentStep)
	w.Bool(`,"isCompleted":`, i.Workflow.IsCompleted)
	if i.Workflow.SubmittedDateTime != nil {
		w.Time(`,"submittedDateTime":`, *i.Workflow.SubmittedDateTime)
	}
	if i.Workflow.Reason != "" {
		w.String(`,"reason":`, i.Workflow.Reason)
	}
	appendNotes(w, i.Workflow.Notes)
	w.Bool(`},"status":{"isArchived":`, i.Status.IsArchived)
	w.Bool(`,"isSoftDeleted":`, i.Status.IsSoftDeleted)
	w.Bool(`,"isMarkedForHardDelete":`, i.Status.IsMarkedForHardDelete)
	if i.Status.ArchivedDateTime != nil {
		w.Time(`,"archivedDateTime":`, *i.Status.ArchivedDateTime)
	}
	if i.Status.SoftDeletedDateTime != nil {
		w.Time(`,"softDeletedDateTime":`, *i.Status.SoftDeletedDateTime)
	}
	if i.Status.ReadStatus != "" {
		w.String(`,"readStatus":`, i.Status.ReadStatus)
	}
	if s := i.Status.Substatus; s != nil {
		w.String(`,"substatus":{"label":`, s.Label)
		if s.Description != "" {
			w.String(`,"description":`, s.Description)
		}
		w.Time(`,"changedDateTime":`, s.ChangedDateTime)
		w.Raw("}")
	}
	w.Raw("}")
	if hold := i.LegalHold; hold != nil {
		w.Time(`,"legalHold":{"since":`, hold.Since)
		w.String(`,"by":`, hold.By)
		if hold.Until != nil {
			w.Time(`,"until":`, *hold.Until)
		}
		if hold.Reason != "" {
			w.String(`,"reason":`, hold.Reason)
		}
		w.Raw("}")
	}
}

// appendNotes appends the member notes, unless the list is empty.
func appendNotes(w *appendjson.Writer, notes []Note) {
	if len(notes) == 0 {
		return
	}
	w.Raw(`,"notes":[`)
	for n, note := range notes {
		w.Raw(appendjson.Separator(n))
		w.Time(`{"at":`, note.At)
		w.String(`,"by":`, note.By)
		w.String(`,"step":`, note.Step)
		w.String(`,"reason":`, note.Reason)
		w.Raw("}")
	}
	w.Raw("]")
}

// readNotes reads the member that appendNotes appends.
func readNotes(r *appendjson.Reader) (notes []Note) {
	if !r.Accept(`,"notes":[`) {
		return nil
	}
	for r.More(len(notes)) {
		notes = append(notes, Note{At: r.Time(`{"at":`), By: r.String(`,"by":`), Step: r.String(`,"step":`), Reason: r.String(`,"reason":`)})
		r.Expect("}")
	}
	return notes
}

// ReadMembers reads the members that AppendMembers writes for a document without links.
func (i *Instance) ReadMembers(r *appendjson.Reader) {
	i.ID = r.String(`"id":`)
	i.AppID = r.String(`,"appId":`)
	r.Expect(`,"labels":[`)
	i.Labels = []string{}
	for r.More(len(i.Labels)) {
		i.Labels = append(i.Labels, r.String(""))
	}
	i.InstanceOwnerID = r.String(`,"instanceOwnerId":`)
	i.CreatedDateTime = r.Time(`,"createdDateTime":`)
	i.CreatedBy = r.String(`,"createdBy":`)
	i.LastChangedDateTime = r.Time(`,"lastChangedDateTime":`)
	i.LastChangedBy = r.String(`,"lastChangedBy":`)
	if r.Accept(`,"dueDateTime":`) {
		due := r.Time("")
		i.DueDateTime = &due
	}
	if r.Accept(`,"visibleDateTime":`) {
		visible := r.Time("")
		i.VisibleDateTime = &visible
	}
	if r.Accept(`,"presentationField":`) {
		i.PresentationField = r.String("")
	}
	i.Workflow.CurrentStep = r.String(`,"workflow":{"currentStep":`)
	i.Workflow.IsCompleted = r.Bool(`,"isCompleted":`)
	if r.Accept(`,"submittedDateTime":`) {
		submitted := r.Time("")
		i.Workflow.SubmittedDateTime = &submitted
	}
	if r.Accept(`,"reason":`) {
		i.Workflow.Reason = r.String("")
	}
	i.Workflow.Notes = readNotes(r)
	i.Status.IsArchived = r.Bool(`},"status":{"isArchived":`)
	i.Status.IsSoftDeleted = r.Bool(`,"isSoftDeleted":`)
	i.Status.IsMarkedForHardDelete = r.Bool(`,"isMarkedForHardDelete":`)
	if r.Accept(`,"archivedDateTime":`) {
		archived := r.Time("")
		i.Status.ArchivedDateTime = &archived
	}
	if r.Accept(`,"softDeletedDateTime":`) {
		deleted := r.Time("")
		i.Status.SoftDeletedDateTime = &deleted
	}
	if r.Accept(`,"readStatus":`) {
		i.Status.ReadStatus = r.String("")
	}
	if r.Accept(`,"substatus":{"label":`) {
		s := &Substatus{Label: r.String("")}
		if r.Accept(`,"description":`) {
			s.Description = r.String("")
		}
		s.ChangedDateTime = r.Time(`,"changedDateTime":`)
		r.Expect("}")
		i.Status.Substatus = s
	}
	r.Expect("}")
	if r.Accept(`,"legalHold":{"since":`) {
		hold := &LegalHold{Since: r.Time(""), By: r.String(`,"by":`)}
		if r.Accept(`,"until":`) {
			until := r.Time("")
			hold.Until = &until
		}
		if r.Accept(`,"reason":`) {
			hold.Reason = r.String("")
		}
		r.Expect("}")
		i.LegalHold = hold
	}
}

// AppendMembers appends the members of the data element, without braces.
func (d *DataElement) AppendMembers(w *appendjson.Writer) {
	w.String(`"id":`, d.ID)
	w.String(`,"formId":`, d.FormID)
	w.String(`,"contentType":`, d.ContentType)
	if d.StorageURL != "" {
		w.String(`,"storageUrl":`, d.StorageURL)
	}
	if links := d.DataLinks; links != nil {
		w.String(`,"dataLinks":{"apps":`, links.Apps)
		w.String(`,"platform":`, links.Platform)
		w.Raw("}")
	}
	w.String(`,"fileName":`, d.FileName)
	w.Time(`,"createdDateTime":`, d.CreatedDateTime)
	w.String(`,"createdBy":`, d.CreatedBy)
	w.Time(`,"lastChangedDateTime":`, d.LastChangedDateTime)
	w.String(`,"lastChangedBy":`, d.LastChangedBy)
	w.Int(`,"fileSize":`, d.FileSize)
	w.Bool(`,"isLocked":`, d.IsLocked)
	d.appendOwner(w)
	if scan := d.Scan; scan != nil {
		w.String(`,"scan":{"status":`, scan.Status)
		w.Time(`,"at":`, scan.At)
		w.Raw("}")
	}
}

// appendOwner appends the member applicationOwner, if it is set.
func (d *DataElement) appendOwner(w *appendjson.Writer) {
	owner := d.ApplicationOwner
	if owner == nil {
		return
	}
	prefix := `,"applicationOwner":{`
	if len(owner.Downloaded) > 0 {
		w.Times(prefix+`"downloaded":`, owner.Downloaded)
		prefix = ","
	}
	if len(owner.DownloadConfirmed) > 0 {
		w.Times(prefix+`"downloadConfirmed":`, owner.DownloadConfirmed)
		prefix = ","
	}
	if prefix == "," {
		w.Raw("}")
	}
}

// ReadMembers reads the members that AppendMembers writes for an element without links.
func (d *DataElement) ReadMembers(r *appendjson.Reader) {
	d.ID = r.String(`"id":`)
	d.FormID = r.String(`,"formId":`)
	d.ContentType = r.String(`,"contentType":`)
	d.FileName = r.String(`,"fileName":`)
	d.CreatedDateTime = r.Time(`,"createdDateTime":`)
	d.CreatedBy = r.String(`,"createdBy":`)
	d.LastChangedDateTime = r.Time(`,"lastChangedDateTime":`)
	d.LastChangedBy = r.String(`,"lastChangedBy":`)
	d.FileSize = r.Int(`,"fileSize":`)
	d.IsLocked = r.Bool(`,"isLocked":`)
	if r.Accept(`,"applicationOwner":{`) {
		d.ApplicationOwner = &ApplicationOwner{}
		if r.Accept(`"downloaded":`) {
			d.ApplicationOwner.Downloaded = r.Times("")
			if r.Accept(`,"downloadConfirmed":`) {
				d.ApplicationOwner.DownloadConfirmed = r.Times("")
			}
		} else if r.Accept(`"downloadConfirmed":`) {
			d.ApplicationOwner.DownloadConfirmed = r.Times("")
		}
		r.Expect("}")
	}
	if r.Accept(`,"scan":{"status":`) {
		d.Scan = &Scan{Status: r.String(""), At: r.Time(`,"at":`)}
		r.Expect("}")
	}
}
