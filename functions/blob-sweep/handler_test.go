package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

// noteOld notes a revision that nothing points at, as of longer ago than the sweep waits.
func noteOld(t *testing.T, api *apitest.API) {
	t.Helper()
	i := api.Add(t, apitest.InstanceSpec{})
	bytes := api.Upload(t, i, "019a0000-0000-7000-8000-000000000001", "<a/>")
	note := i.OrphanCheck("019a0000-0000-7000-8000-000000000001", bytes.Revision, time.Now().Add(-sweep.GracePeriod-time.Minute))
	if err := api.Instances.ScheduleOrphanChecks(t.Context(), note); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRemovesWhatNothingPointsAt(t *testing.T) {
	api := apitest.New(t)
	noteOld(t, api)
	if err := handler(api.Instances, api.Blobs)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := api.Blobs.Keys(); len(keys) != 0 {
		t.Errorf("left are %v", keys)
	}
}

func TestAFailedSweepIsAnError(t *testing.T) {
	api := apitest.New(t)
	noteOld(t, api)
	broken := errors.New("no answer")
	err := handler(api.Instances, failing{broken})(t.Context())
	if !errors.Is(err, broken) {
		t.Errorf("the sweep ends with %v: the error metric would not show it", err)
	}
	if left, err := instancetest.OrphanCheck(t.Context(), api.Instances, time.Now()); err != nil || len(left) != 1 {
		t.Errorf("%d notes left (%v), want the one that could not be acted on", len(left), err)
	}
}

func TestSweepStopsBeforeItsTimeIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New(t)
		noteOld(t, api)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if err := handler(api.Instances, stuck{})(ctx); err == nil {
			t.Error("a sweep that came to no end reports success")
		}
		if took := time.Since(began); took != 10*time.Second-margin {
			t.Errorf("it ended after %v of 10s", took)
		}
	})
}

// failing is a blob store that deletes nothing.
type failing struct{ err error }

func (f failing) Delete(context.Context, blob.Key) error { return f.err }

// stuck is a blob store that does not answer.
type stuck struct{}

func (stuck) Delete(ctx context.Context, _ blob.Key) error {
	<-ctx.Done()
	return ctx.Err()
}
