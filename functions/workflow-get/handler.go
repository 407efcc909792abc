package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/rfc3339"
)

// response is the response body: the workflow state of an instance.
type response struct {
	CurrentStep       string        `json:"currentStep"`
	IsCompleted       bool          `json:"isCompleted"`
	Since             rfc3339.Time  `json:"since"`                       // when the instance entered the step
	SubmittedDateTime *rfc3339.Time `json:"submittedDateTime,omitempty"` // of the latest submission
	Reason            string        `json:"reason,omitempty"`            // of the transition to the step
	Substatus         *substatus    `json:"substatus,omitempty"`
	ReadStatus        string        `json:"readStatus,omitempty"`
	DueDateTime       *rfc3339.Time `json:"dueDateTime,omitempty"`
	DeleteAfter       *rfc3339.Time `json:"deleteAfter,omitempty"` // when the retention rules delete the instance; absent: never
	Reachable         []string      `json:"reachable"`             // the steps that the caller can move the instance to; never null
	NeedReason        []string      `json:"needReason,omitempty"`  // those of them that the caller must give a reason for
}

// substatus is the substatus of the instance.
type substatus struct {
	Label           string       `json:"label"`
	Description     string       `json:"description,omitempty"`
	ChangedDateTime rfc3339.Time `json:"changedDateTime"`
}

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.Reader) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		i, err := access.Load(r.Context(), instances)
		if err != nil {
			return err
		}
		app, err := applications.Get(r.Context(), i.AppID)
		if err != nil {
			return err
		}
		etag := instancehttp.ETag(i)
		w.Header().Set("ETag", etag)
		state := response{
			CurrentStep: i.Workflow.CurrentStep, IsCompleted: i.Workflow.IsCompleted, Since: rfc3339.Time{Time: i.StepEntered},
			SubmittedDateTime: optional(i.Workflow.SubmittedDateTime), Reason: i.Workflow.Reason, ReadStatus: i.Status.ReadStatus,
			DueDateTime: optional(i.DueDateTime), Reachable: app.Workflow.Reachable(i.Workflow.CurrentStep, access.Role()),
			NeedReason: app.Workflow.NeedReason(i.Workflow.CurrentStep, access.Role()),
		}
		if s := i.Status.Substatus; s != nil {
			state.Substatus = &substatus{s.Label, s.Description, rfc3339.Time{Time: s.ChangedDateTime}}
		}
		// deleteAfter can change without a new version of the instance.
		state.DeleteAfter = optional(i.DeleteAfter(app, access.Role(), time.Now()))
		if state.DeleteAfter == nil && httpapi.NotModified(r, etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return httpapi.WriteJSON(w, http.StatusOK, state)
	})
}

// optional returns the time for the response, or nil.
func optional(t *time.Time) *rfc3339.Time {
	if t == nil {
		return nil
	}
	return &rfc3339.Time{Time: *t}
}
