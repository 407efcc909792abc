package opcost

import (
	"fmt"
	"io"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// Hot is what a burst on one step of one application does to the index: how evenly it is spread over the keys, and how
// many changes a second they take together when one key takes a thousand write units.
type Hot struct {
	Shards  int
	Evenly  float64 // the largest share of a key, times the number of keys: 1 is perfect
	Changes float64 // a second, of instances that stay in the step: two writes of the key each
	Arrives float64 // a second, of instances that come into it: one each
}

// perKey is how many write units a second a partition key takes.
const perKey = 1000

// HotStep spreads a burst of instances as they are created.
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
	most := 0
	for _, n := range keys {
		most = max(most, n)
	}
	share := float64(most) / float64(instances)
	return Hot{Shards: shards, Evenly: share * float64(shards), Changes: perKey / 2 / share, Arrives: perKey / share}, nil
}

// PrintHot writes what bursts do as a table in Markdown.
func PrintHot(out io.Writer) error {
	fmt.Fprintln(out, "| indexShards | largest share of a key × shards | changes a second within the step | arrivals a second |")
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
