package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

// addOrphan stores an orphan with an orphan check that is older than the grace period.
func addOrphan(t *testing.T, api *apitest.API) {
	t.Helper()
	i := api.Add(t, apitest.InstanceSpec{})
	content := api.Upload(t, i, "019a0000-0000-7000-8000-000000000001", "<a/>")
	check := i.OrphanCheck(time.Now().Add(-sweep.GracePeriod-time.Minute), content.Revision)
	if err := api.Instances.ScheduleOrphanChecks(t.Context(), check); err != nil {
		t.Fatal(err)
	}
}

func TestSweepDeletesOrphans(t *testing.T) {
	api := apitest.New(t)
	addOrphan(t, api)
	if err := handler(api.Instances, api.Blobs)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := api.Blobs.Keys(); len(keys) != 0 {
		t.Errorf("the remaining blobs are %v", keys)
	}
}

func TestFailedSweepIsAnError(t *testing.T) {
	api := apitest.New(t)
	addOrphan(t, api)
	broken := errors.New("no response")
	err := handler(api.Instances, failing{api.Blobs, broken})(t.Context())
	if !errors.Is(err, broken) {
		t.Errorf("the sweep returned %v: the error metric would not show the failure", err)
	}
	if left, err := instancetest.AllOrphanChecks(t.Context(), api.Instances, time.Now()); err != nil || len(left) != 1 {
		t.Errorf("%d orphan checks remain (%v), want the one whose deletion failed", len(left), err)
	}
}

func TestSweepEndsBeforeTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New(t)
		addOrphan(t, api)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if err := handler(api.Instances, stuck{api.Blobs})(ctx); err == nil {
			t.Error("an incomplete sweep reports success")
		}
		if duration := time.Since(start); duration != 10*time.Second-margin {
			t.Errorf("the sweep ended after %v of 10s", duration)
		}
	})
}

// failing is a blob store whose deletions fail.
type failing struct {
	*blobtest.Memory
	err error
}

func (f failing) Delete(context.Context, blob.Key) error { return f.err }

// stuck is a blob store that does not respond.
type stuck struct{ *blobtest.Memory }

func (stuck) Delete(ctx context.Context, _ blob.Key) error {
	<-ctx.Done()
	return ctx.Err()
}
