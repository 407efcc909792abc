package instancehttp

import (
	"context"
	"net/http"
	"sync"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// Reader reads one instance; *instancetable.Table is one.
type Reader interface {
	// Get returns the instance, including every completed write, or fault.NoSuchResource.
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
}

// Load returns the instance that the path names, or NotFound if the caller has no access to it.
func (a *Access) Load(ctx context.Context, instances Reader) (*instance.Instance, error) {
	i, err := instances.Get(ctx, a.InstanceOwnerID, a.Guid)
	if err != nil {
		return nil, err
	}
	return i, a.check(i)
}

// Applications finds applications; *applicationtable.Table is one.
type Applications interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

// LoadWithApplication is Load, and also returns the instance's application. A path on the
// Application API names the application, so the two reads run in parallel.
func (a *Access) LoadWithApplication(ctx context.Context, instances Reader, applications Applications) (*instance.Instance, *application.Application, error) {
	if a.App == "" {
		i, err := a.Load(ctx, instances)
		if err != nil {
			return nil, nil, err
		}
		app, err := applications.Get(ctx, i.AppID)
		return i, app, err
	}
	var app *application.Application
	var appErr error
	var read sync.WaitGroup
	read.Go(func() { app, appErr = applications.Get(ctx, a.AppID()) })
	i, err := a.Load(ctx, instances)
	read.Wait()
	if err != nil {
		return nil, nil, err
	}
	return i, app, appErr
}

// GetHandler returns the handler for GET instance, which both APIs use.
func GetHandler(authorizer Authorizer, instances Reader, view View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		return access.serve(w, r, instances, view)
	})
}

// serve responds with the instance that the path names.
func (a *Access) serve(w http.ResponseWriter, r *http.Request, instances Reader, view View) error {
	i, err := a.Load(r.Context(), instances)
	if err != nil {
		return err
	}
	return view.For(a.Caller).Write(w, r, http.StatusOK, i)
}
