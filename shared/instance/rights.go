package instance

import (
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
)

// What users do not see of their instances: the data elements of a data type that only the owner
// reads, labels of an application that keeps them for its owner, and the reason of a legal hold.
// The choice is stored in the instance, so no read needs the registration, and a changed
// registration uncovers nothing.
//
// For users, an element that they may not see does not exist. A change of it moves neither the last
// change nor the read status that they see. Only the entity tag moves, and the numbers of events
// have gaps.

// DataFor returns the data elements that the role may see. Its result may share memory with i.
func (i *Instance) DataFor(role application.Role) []DataElement {
	if role == application.Owner || !slices.ContainsFunc(i.Data, isOwnerOnly) {
		return i.Data
	}
	return slices.DeleteFunc(slices.Clone(i.Data), isOwnerOnly)
}

// ElementFor returns the data element with the given id, or nil if there is none that the role may
// see.
func (i *Instance) ElementFor(role application.Role, id string) *DataElement {
	element := i.Element(id)
	if element != nil && element.OwnerOnly && role != application.Owner {
		return nil
	}
	return element
}

// HideFromUsers removes from i all that users may not see. Use it only on a document for a
// response: the result must not be stored.
func (i *Instance) HideFromUsers() {
	if i.LegalHold != nil {
		i.LegalHold.Reason = ""
	}
	if i.LabelsHidden {
		i.Labels = []string{}
	}
	seen := i.lastChangeFor(application.User)
	i.LastChangedDateTime, i.LastChangedBy = seen.At, seen.By
	i.Data = slices.DeleteFunc(i.Data, isOwnerOnly)
}

// LastChangedFor returns the time of the last change that the role may see.
func (i *Instance) LastChangedFor(role application.Role) time.Time { return i.lastChangeFor(role).At }

func (i *Instance) lastChangeFor(role application.Role) Change {
	if role != application.Owner && i.SeenChange != nil {
		return *i.SeenChange
	}
	return Change{i.LastChangedDateTime, i.LastChangedBy}
}

func isOwnerOnly(d DataElement) bool { return d.OwnerOnly }
