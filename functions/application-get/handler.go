package main

import (
	"context"
	"encoding/json"
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	Schema(ctx context.Context, id string) (json.RawMessage, error)
}

func handler(authenticator instancehttp.Authenticator, applications applicationStore) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := authenticator.Authenticate(r)
		if err != nil {
			return err
		}
		if err := caller.MayRead(); err != nil {
			return err
		}
		app, err := applications.Get(r.Context(), r.PathValue("org")+"/"+r.PathValue("app"))
		if err != nil {
			return err
		}
		if app == nil {
			return fault.NoSuchResource()
		}
		etag := httpapi.VersionTag(app.Version)
		w.Header().Set("ETag", etag)
		if httpapi.NotModified(r, etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		if err := app.LoadSchemas(r.Context(), applications.Schema); err != nil {
			return err
		}
		return httpapi.WriteJSON(w, http.StatusOK, app)
	})
}
