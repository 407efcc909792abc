package instance

import "altinn.no/instanceapi/shared/appendjson"

// AppendJSON appends the document to b, as encoding/json writes it: every answer is one document, or a hundred. The
// error is that of a time without a form in RFC 3339.
func (i *Instance) AppendJSON(b []byte) ([]byte, error) {
	w := appendjson.Writer{B: b}
	w.Raw("{")
	i.AppendMembers(&w)
	w.Raw(`,"data":[`)
	for n := range i.Data {
		w.Raw(appendjson.Comma(n))
		w.Raw("{")
		i.Data[n].AppendMembers(&w)
		w.Raw("}")
	}
	w.Raw("]}")
	return w.B, w.Err
}

// AppendMembers appends the document's members, all but data and without braces, for a form of the document that has
// members of its own.
func (i *Instance) AppendMembers(w *appendjson.Writer) {
	w.String(`"id":`, i.ID)
	if links := i.SelfLinks; links != nil {
		w.String(`,"selfLinks":{"apps":`, links.Apps)
		w.String(`,"platform":`, links.Platform)
		w.Raw("}")
	}
	w.String(`,"appId":`, i.AppID)
	w.Raw(`,"labels":[`)
	for n, label := range i.Labels {
		w.String(appendjson.Comma(n), label)
	}
	w.String(`],"instanceOwnerId":`, i.InstanceOwnerID)
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
	w.Bool(`},"status":{"isArchived":`, i.Status.IsArchived)
	w.Bool(`,"isSoftDeleted":`, i.Status.IsSoftDeleted)
	w.Bool(`,"isMarkedForHardDelete":`, i.Status.IsMarkedForHardDelete)
	w.Raw("}")
}

// AppendMembers appends the element's members, without braces.
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
	if owner := d.ApplicationOwner; owner != nil {
		w.Times(`,"applicationOwner":{"downloaded":`, owner.Downloaded)
		if len(owner.DownloadConfirmed) > 0 {
			w.Times(`,"downloadConfirmed":`, owner.DownloadConfirmed)
		}
		w.Raw("}")
	}
}
