package storage

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

// operation is a read of an instance, or a change conditional on a version, as with If-Match.
type operation struct {
	key     int
	write   bool
	ifMatch int64
	value   string
}

// outcome is the result of an operation: the version and value that it read or wrote, or stale.
type outcome struct {
	stale   bool
	version int64
	value   string
}

// versioned is the specification: a register per key with compare-and-set by version.
var versioned = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(operation).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return outcome{version: 1} },
	Step: func(state, input, output any) (bool, any) {
		now, op, got := state.(outcome), input.(operation), output.(outcome)
		switch {
		case !op.write:
			return got == now, now
		case op.ifMatch != now.version:
			return got.stale, now
		}
		next := outcome{version: now.version + 1, value: op.value}
		return got == next, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// Clients read and conditionally change a few instances concurrently. Their results must be
// possible in some sequential order that respects real time.
func TestChangesAreLinearizable(t *testing.T) {
	const clients, operations, instances = 10, 40, 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	table := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	var all [instances]*instance.Instance
	for n := range all {
		i, err := instance.New(instance.Draft{Application: instancetest.NewApplication(1), InstanceOwnerID: "77001"}, "nav", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		i.Labels = []string{"gr", "x3"} // labels that share an index make every write a transaction
		if n == 0 {
			i.Labels = []string{}
		}
		if err := table.Create(t.Context(), i, instancetest.EventOf(i)); err != nil {
			t.Fatal(err)
		}
		all[n] = i
	}
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			var seen [instances]int64
			for n := range operations {
				op := operation{key: random.IntN(instances), write: random.IntN(2) == 0, value: fmt.Sprint(client, ".", n)}
				if op.ifMatch = seen[op.key]; op.ifMatch == 0 {
					op.write = false
				}
				call := time.Since(began)
				got, err := perform(t, table, all[op.key], op)
				returned := time.Since(began)
				if err != nil {
					t.Error(err)
					return
				}
				if !got.stale {
					seen[op.key] = got.version
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: op, Output: got, Call: int64(call), Return: int64(returned)})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stale := 0
	for _, op := range history {
		if op.Output.(outcome).stale {
			stale++
		}
	}
	if stale == 0 {
		t.Error("no two changes conflicted, so the test proves nothing")
	}
	if result := porcupine.CheckOperationsTimeout(versioned, history, 10*time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(history), result)
	}
}

func perform(t *testing.T, table *instancetable.Table, i *instance.Instance, op operation) (outcome, error) {
	if !op.write {
		got, err := table.Get(t.Context(), i.InstanceOwnerID, i.ID)
		if err != nil {
			return outcome{}, err
		}
		return outcome{version: got.Version, value: got.PresentationField}, nil
	}
	got, err := table.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		if i.Version != op.ifMatch {
			return nil, fault.New(fault.PreconditionFailed, "version-stale", "")
		}
		i.PresentationField = op.value
		return nil, nil
	})
	if fault.Is(err, fault.PreconditionFailed) {
		return outcome{stale: true}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{version: got.Version, value: got.PresentationField}, nil
}
