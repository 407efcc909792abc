package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/rfc3339"
)

// response is the response body: the workflow state of an instance.
type response struct {
	CurrentStep string       `json:"currentStep"`
	IsCompleted bool         `json:"isCompleted"`
	Since       rfc3339.Time `json:"since"`     // when the instance entered the step
	Reachable   []string     `json:"reachable"` // the steps that the caller can move the instance to; never null
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
		if httpapi.NotModified(r, etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return httpapi.WriteJSON(w, http.StatusOK, response{
			CurrentStep: i.Workflow.CurrentStep, IsCompleted: i.Workflow.IsCompleted, Since: rfc3339.Time{Time: i.StepEntered},
			Reachable: app.Workflow.Reachable(i.Workflow.CurrentStep, access.Role()),
		})
	})
}
