package apitest

import (
	"errors"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/instance"
)

// CheckNoteFirst checks that a request that changes i schedules a check of i at the given time, at
// most a minute later, and stores the note before it changes i. A crash in between must leave a
// note without effect, never a change without a note.
func (api *API) CheckNoteFirst(t *testing.T, i *instance.Instance, at time.Time, request func() Response) {
	t.Helper()
	notes := len(api.Instances.AllAgendaNotes())
	crash := errors.New("no response")
	for completed := range 2 { // writes before the crash
		writes := 0
		api.Instances.Fail = func() error {
			if writes++; writes > completed {
				return crash
			}
			return nil
		}
		api.AssertUnchanged(t, i, func() { request().Want(500, "internal") })
		if found := len(api.Instances.AllAgendaNotes()) - notes; (found > 0) != (completed > 0) {
			t.Errorf("after %d writes: %d notes", completed, found)
		}
	}
	api.Instances.Fail = nil
	before := api.Stored(t, i)
	if request().Want(200, ""); api.Stored(t, i).Version != before.Version+1 {
		t.Error("the request changed nothing")
	}
	for _, note := range api.Instances.AllAgendaNotes() {
		if late := note.At.Sub(at); note.InstanceID == i.ID && note.InstanceOwnerID == i.InstanceOwnerID && late > -time.Second && late < time.Minute {
			return
		}
	}
	t.Errorf("no note for %s at %v: %+v", i.ID, at, api.Instances.AllAgendaNotes())
}
