package instancehttp

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

const (
	batchParallel = 16
	// batchTime is how long RunBatch begins items. The function needs the rest of its time for the
	// last ones and for the response.
	batchTime = 20 * time.Second
)

// RunBatch calls do for each of count items, up to 16 at a time, and failed with the index and the
// error of each item that do fails for. After 20 seconds it begins no further item; those fail with
// Unavailable, code "not-begun". Each item has its own budget for retries, so an item that other
// requests change does not make others fail.
func RunBatch(ctx context.Context, count int, do func(ctx context.Context, n int) error, failed func(n int, err error)) {
	end := time.Now().Add(batchTime)
	slots := make(chan struct{}, batchParallel)
	var running sync.WaitGroup
	for n := range count {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			err := errNotBegun()
			if time.Now().Before(end) && ctx.Err() == nil {
				err = do(busy.WithBudget(ctx), n)
			}
			if err != nil {
				failed(n, err)
			}
		})
	}
	running.Wait()
}

// Shared shares calls among the items of a batch: it makes one call for each key. The zero value is
// ready to use.
type Shared[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]func() (V, error)
}

// Do returns the result of the first call with the key.
func (s *Shared[K, V]) Do(key K, call func() (V, error)) (V, error) {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[K]func() (V, error){}
	}
	first := s.calls[key]
	if first == nil {
		first = sync.OnceValues(call)
		s.calls[key] = first
	}
	s.mu.Unlock()
	return first()
}

func errNotBegun() error {
	return fault.New(fault.Unavailable, "not-begun", "The request ran out of time before this item. Send the item again.")
}

// Owner is an application owner that may write, in a request about several instances.
type Owner struct{ Caller auth.Caller }

// AuthenticateOwner authorizes a request of an application owner that names no instance in its
// path. Its errors are those of WriteAsOwner.
func (z Authorizer) AuthenticateOwner(r *http.Request) (Owner, error) {
	caller, err := z.authenticate(r, mayWriteAsOwner)
	if err == nil {
		_, err = httpapi.ParseQuery(r)
	}
	return Owner{caller}, err
}

// Access returns the owner's access to an instance, or NotFound if no instance can have the ids.
func (o Owner) Access(instanceOwnerID, guid string) (*Access, error) {
	a := &Access{Caller: o.Caller, InstanceOwnerID: instanceOwnerID, Guid: strings.ToLower(guid)}
	if !instance.ValidInstanceOwnerID(a.InstanceOwnerID) || !instance.ValidGuid(a.Guid) {
		return nil, fault.NoSuchResource()
	}
	return a, nil
}
