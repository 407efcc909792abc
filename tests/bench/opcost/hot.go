package opcost

import (
	"fmt"
	"io"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// Hot is the effect of a burst on one step of one application: how evenly the index keys share the
// burst, and how many changes per second they accept together. One key accepts a thousand write
// units.
type Hot struct {
	Shards  int
	Evenly  float64 // largest share of a key times the number of keys: 1 is perfect
	Changes float64 // per second, of instances that stay in the step: two writes to the key each
	Arrives float64 // per second, of instances that enter the step: one write each
}

// perKey is the limit of a partition key in write units per second.
const perKey = 1000

// HotStep distributes a burst of new instances over the index keys.
func HotStep(shards, instances int) (Hot, error) {
	app := &application.Application{ID: app, Org: "nav", IndexShards: shards}
	app.SetDefaults()
	keys := map[string]int{}
	for range instances {
		i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: party}, "1001", time.Now())
		if err != nil {
			return Hot{}, err
		}
		step, _, _ := instancetable.IndexKeys(i)
		keys[step]++
	}
	largest := 0
	for _, n := range keys {
		largest = max(largest, n)
	}
	share := float64(largest) / float64(instances)
	return Hot{Shards: shards, Evenly: share * float64(shards), Changes: perKey / 2 / share, Arrives: perKey / share}, nil
}

// PrintHot writes the effect of bursts as a Markdown table.
func PrintHot(out io.Writer) error {
	fmt.Fprintln(out, "| indexShards | largest share of a key × shards | changes per second within the step | arrivals per second |")
	fmt.Fprintln(out, "|--:|--:|--:|--:|")
	for _, shards := range []int{1, 4, 20} {
		hot, err := HotStep(shards, 100_000)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| %d | %.2f | %.0f | %.0f |\n", hot.Shards, hot.Evenly, hot.Changes, hot.Arrives)
	}
	return nil
}
