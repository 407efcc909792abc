package instancehttp

import (
	"context"
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// Reader reads one instance; *instancetable.Table is one.
type Reader interface {
	// Get returns the instance, as of all answered writes, or instance.NotFound.
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
}

// Load returns the instance that the path names, if the caller may see it; otherwise NotFound.
func (a *Access) Load(ctx context.Context, instances Reader) (*instance.Instance, error) {
	i, err := instances.Get(ctx, a.InstanceOwnerID, a.Guid)
	if err != nil {
		return nil, err
	}
	return i, a.Check(i)
}

// Show returns the handler that answers a GET with the instance. Both APIs have it.
func Show(gate Gate, instances Reader, view View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := gate.Reader(r)
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
