// Command feed computes how many events per second event-record stores. It simulates event-record
// at a full queue: workers append batches of events of one or of a hundred applications, and
// contend with each other. It compares the slot log of package eventtable with a baseline that
// appends in transactions. It is deterministic and calls no server: a local server has other
// service times than DynamoDB. With -load it measures the ratio of both designs at DynamoDB Local
// instead.
//
//	go run ./tests/bench/feed
//	go run ./tests/bench/feed -load
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

const seconds = 60 // of each simulation

// table returns the result of the simulations in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| events per batch | one application, 2 workers | 20 workers | 100 applications, 20 workers | baseline: one application, 2 workers | 100 applications, 2 workers |\n|--:|--:|--:|--:|--:|--:|\n")
	for _, batch := range []int{1, 10, 100, 500} {
		fmt.Fprintf(&b, "| %d", batch)
		for _, l := range []load{{2, batch, 1, false}, {20, batch, 1, false}, {20, batch, 100, false}, {2, batch, 1, true}, {2, batch, 100, true}} {
			fmt.Fprintf(&b, " | %.0f/s", simulate(l, seconds))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func main() {
	measure := flag.Bool("load", false, "measure both designs at DynamoDB Local")
	flag.Parse()
	if *measure {
		result, err := runLoad(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(result)
		return
	}
	began := time.Now()
	fmt.Print(table())
	fmt.Fprintf(os.Stderr, "simulated a minute per cell in %v\n", time.Since(began).Round(time.Millisecond))
}
