package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// answer is where an instance is in its workflow.
type answer struct {
	CurrentStep string    `json:"currentStep"`
	IsCompleted bool      `json:"isCompleted"`
	Since       time.Time `json:"since"`     // when the step was entered
	Reachable   []string  `json:"reachable"` // the steps that the caller may name next; never null
}

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

func handler(authorizer instancehttp.Authorizer, applications applicationStore, instances instancehttp.Reader) http.Handler {
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
		return httpapi.WriteJSON(w, http.StatusOK, answer{
			CurrentStep: i.Workflow.CurrentStep, IsCompleted: i.Workflow.IsCompleted, Since: i.StepEntered,
			Reachable: app.Workflow.Reachable(i.Workflow.CurrentStep, access.Role()),
		})
	})
}
