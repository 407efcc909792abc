package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/logging"
)

// handler holds the dependencies of POST …/instances.
type handler struct {
	authenticator instancehttp.Authenticator
	applications  instancehttp.Applications
	creator       instancehttp.Creator
}

func newHandler(h *handler) http.Handler {
	return httpapi.HandlerFunc(h.createInstance)
}

func (h *handler) createInstance(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	caller, err := h.authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	if err := caller.MayWrite(); err != nil {
		return err
	}
	if caller.IsOwner() && caller.Org != r.PathValue("org") {
		return fault.NoSuchResource()
	}
	if _, err := httpapi.ParseQuery(r); err != nil {
		return err
	}
	var app *application.Application
	var appErr error
	var reading sync.WaitGroup
	reading.Go(func() { app, appErr = h.applications.Get(ctx, r.PathValue("org")+"/"+r.PathValue("app")) })
	sender, err := h.resolveCaller(ctx, caller)
	reading.Wait()
	switch {
	case appErr != nil:
		return appErr
	case app == nil:
		return fault.NoSuchResource()
	case err == nil && sender.ID == "" && !caller.IsOwner() && r.Header["Idempotency-Key"] != nil:
		// Idempotency-Keys are separate for each party, so this caller needs a party number first.
		sender.ID, err = h.creator.Parties.FindOrAssign(ctx, caller.Identities...)
		sender.Registered = err == nil
	}
	if err != nil {
		return err
	}
	replay := func(earlier *instance.IdempotencyRecord) error {
		i, err := h.creator.LoadCreated(ctx, caller, sender, earlier)
		if err != nil {
			return err
		}
		return h.creator.View.For(caller).Write(w, r, http.StatusCreated, i)
	}
	return instancehttp.Idempotent(r, h.creator.Instances, caller, sender.ID, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		creation, err := decodeBody(r)
		if err != nil {
			return err
		}
		i, err := h.creator.Create(ctx, caller, sender, app, &creation, record)
		if err != nil {
			return err
		}
		logging.Add(ctx, slog.String("app", app.ID), slog.String("instance", i.ID))
		return h.creator.View.For(caller).Write(w, r, http.StatusCreated, i)
	})
}

// resolveCaller returns the caller's party.
func (h *handler) resolveCaller(ctx context.Context, caller auth.Caller) (instancehttp.CallerParty, error) {
	id, known, err := auth.ResolveParty(ctx, caller, h.creator.Parties)
	if known && err == nil && caller.PartyID != "" {
		known, err = h.creator.Parties.Exists(ctx, id)
	}
	return instancehttp.CallerParty{ID: id, Registered: known}, err
}
