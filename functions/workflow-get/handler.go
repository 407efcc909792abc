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
	CurrentStep string        `json:"currentStep"`
	IsCompleted bool          `json:"isCompleted"`
	Since       rfc3339.Time  `json:"since"`                 // when the instance entered the step
	DeleteAfter *rfc3339.Time `json:"deleteAfter,omitempty"` // when the retention rules delete the instance; absent: never
	Reachable   []string      `json:"reachable"`             // the steps that the caller can move the instance to; never null
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
		etag := httpapi.VersionTag(i.Version)
		w.Header().Set("ETag", etag)
		state := response{
			CurrentStep: i.Workflow.CurrentStep, IsCompleted: i.Workflow.IsCompleted, Since: rfc3339.Time{Time: i.StepEntered},
			Reachable: app.Workflow.Reachable(i.Workflow.CurrentStep, access.Role()),
		}
		// deleteAfter can change without a new version of the instance.
		if at := i.DeleteAfter(app, time.Now()); at != nil {
			state.DeleteAfter = &rfc3339.Time{Time: *at}
		} else if httpapi.NotModified(r, etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return httpapi.WriteJSON(w, http.StatusOK, state)
	})
}
