package instancetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// testDeleteAgainstConfirm races a user's permanent deletion of a submission against its owner's
// confirmation. The confirmation always succeeds, and the deletion only after it: no submission is
// deleted unconfirmed.
func testDeleteAgainstConfirm(t *testing.T, s suite) {
	app := NewApplication(1)
	outcomes := map[string]int{}
	for n := range 32 {
		i := s.create(t, app, newInstanceOwnerID(), At)
		now := At
		mutate := func(change func(*instance.Instance) error) (*instance.Instance, error) {
			return s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) { return nil, change(i) })
		}
		if _, err := mutate(func(i *instance.Instance) error {
			_, err := i.Transition(app, "Submit", application.User, "1001", now)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		var deleteErr, confirmErr error
		var race sync.WaitGroup
		racers := []func(){
			func() {
				_, deleteErr = mutate(func(i *instance.Instance) error { return i.HardDelete(app, application.User, now) })
			},
			func() { _, confirmErr = mutate(func(i *instance.Instance) error { return i.ConfirmAll(now, true) }) },
		}
		race.Go(racers[n%2])
		race.Go(racers[1-n%2])
		race.Wait()
		stored, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID)
		if err != nil {
			t.Fatal(err)
		}
		deleted := stored.Status.IsMarkedForHardDelete
		if confirmErr != nil || stored.InQueue() || deleted != (deleteErr == nil) || !deleted && !fault.HasCode(deleteErr, "deletion-too-early") {
			t.Errorf("delete: %v, confirm: %v, deleted: %v, in the queue: %v", deleteErr, confirmErr, deleted, stored.InQueue())
		}
		outcomes[fmt.Sprint(deleted)]++
	}
	t.Log("deleted:", outcomes)
}
