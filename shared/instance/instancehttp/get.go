package instancehttp

import (
	"context"
	"net/http"
	"sync"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// Read reads one instance; *instancetable.Table is one.
type Reader interface {
	// Get returns the instance, as of all answered writes, or fault.NoSuchResource.
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
}

// Import returns the instance that the path names, if the caller may see it; otherwise NotFound.
func (a *Access) Load(ctx context.Context, instances Reader) (*instance.Instance, error) {
	i, err := instances.Get(ctx, a.InstanceOwnerID, a.Guid)
	if err != nil {
		return nil, err
	}
	return i, a.Check(i)
}

// Applications finds applications; *applicationtable.Table is one.
type Applications interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

// LoadWithApplication is Load, and returns the application of the instance as well: a path of the Application API names
// it, so neither read waits for the other.
func (a *Access) LoadWithApplication(ctx context.Context, instances Reader, applications Applications) (*instance.Instance, *application.Application, error) {
	var app *application.Application
	var failed error
	var read sync.WaitGroup
	read.Go(func() { app, failed = applications.Get(ctx, a.AppID()) })
	i, err := a.Load(ctx, instances)
	read.Wait()
	if err != nil {
		return nil, nil, err
	}
	return i, app, failed
}

// GetHandler returns the handler that answers a GET with the instance. Both APIs have it.
func GetHandler(authorizer Authorizer, instances Reader, view View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		i, err := access.Load(r.Context(), instances)
		if err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
