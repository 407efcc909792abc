// Command feed computes how many events a second one application's feed takes, by a simulation of event-record at a full
// queue: its workers read the end of the feed, append a batch in one transaction, and meet each other there. It is
// deterministic. It touches no server: the service times are published measurements of DynamoDB from inside a Lambda
// function, since a local server has others.
//
//	go run ./tests/bench/feed
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"time"
)

// Service times in milliseconds. TransactWriteItems: https://github.com/alexdebrie/dynamodb-performance-testing (400 calls
// each from Lambda; a transaction that fails takes as long). GetItem is taken to be as fast as the PutItem there.
var (
	transaction5  = quantiles{19.4, 25.3, 30.7, 92.5, 218}
	transaction25 = quantiles{23.5, 32.1, 40.5, 97.5, 258}
	single        = quantiles{5.47, 7.55, 11.3, 16.2, 29}
)

// quantiles is the least, the 50th, 90th and 99th percentile, and the most.
type quantiles [5]float64

var ranks = [5]float64{0, 0.5, 0.9, 0.99, 1}

// at returns the quantile of a rank, by straight lines between those known.
func (q quantiles) at(rank float64) float64 {
	for n := 1; n < len(ranks); n++ {
		if rank <= ranks[n] {
			return q[n-1] + (q[n]-q[n-1])*(rank-ranks[n-1])/(ranks[n]-ranks[n-1])
		}
	}
	return q[4]
}

// What the code and the template say.
const (
	maxPerTransaction = 24  // shared/event/eventtable
	itemsPerEvent     = 4   // and one for the end of the feed
	firstPause        = 20. // ms, shared/event/eventtable
	longPause         = 500.
	betweenBatches    = 5. // ms that a worker is idle between two batches of a full queue
)

// A partition key takes 1,000 write units a second; a transaction costs two for each item of up to a kilobyte. Under the
// feed's key are the events and its end.
const writeUnits = 1000.

// worker is one of event-record's invocations after another.
type worker struct {
	at    float64 // ms, when it does its next step
	left  int     // events of its batch that are not recorded
	chunk int     // events of the transaction under way; 0 for none
	began float64
	saw   int // the feed's version that the transaction is conditional on
	lost  bool
	pause float64
}

// simulate returns how many events a second come into the feed.
func simulate(workers, batch int, seconds float64) float64 {
	rng := rand.New(rand.NewPCG(uint64(workers), uint64(batch)))
	draw := func(items int) float64 {
		rank := rng.Float64()
		a, b := transaction5.at(rank), transaction25.at(rank)
		return a + (b-a)*float64(items-5)/20
	}
	all := make([]*worker, workers)
	for n := range all {
		all[n] = &worker{at: float64(n), left: batch, pause: firstPause}
	}
	version, recorded := 0, 0
	for {
		w := all[0]
		for _, other := range all {
			if other.at < w.at {
				w = other
			}
		}
		if w.at > seconds*1000 {
			return float64(recorded) / seconds
		}
		begin := func() {
			w.began, w.lost = w.at, false
			for _, other := range all { // DynamoDB refuses the transaction that meets another one under way
				w.lost = w.lost || other != w && other.chunk > 0 && !other.lost && other.began <= w.at
			}
			w.at += draw(1 + itemsPerEvent*w.chunk)
		}
		switch {
		case w.chunk == 0: // a new transaction: read the end of the feed, and go
			w.at += single.at(rng.Float64())
			w.chunk, w.saw = min(w.left, maxPerTransaction), version
			begin()
		case w.lost || w.saw != version: // refused: it is told where the feed ends, waits a moment and tries again
			w.at += rng.Float64() * w.pause
			w.pause = min(2*w.pause, longPause)
			w.saw = version
			begin()
		default:
			version++
			recorded += w.chunk
			w.left -= w.chunk
			w.chunk, w.pause = 0, firstPause
			if w.left == 0 {
				w.left = batch
				w.at += betweenBatches
			}
		}
	}
}

// table returns the result in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| events per batch | one worker | two workers | limit by write units |\n|---|---|---|---|\n")
	for _, batch := range []int{1, 10, 24, 50} {
		perTransaction := float64(min(batch, maxPerTransaction))
		fmt.Fprintf(&b, "| %d | %.0f/s | %.0f/s | %.0f/s |\n", batch,
			simulate(1, batch, 600), simulate(2, batch, 600), writeUnits/(2+2/perTransaction))
	}
	return b.String()
}

func main() {
	began := time.Now()
	fmt.Print(table())
	var times []string
	for name, q := range map[string]quantiles{"5 items": transaction5, "25 items": transaction25} {
		times = append(times, fmt.Sprintf("%s: p50 %.1f ms, p99 %.1f ms", name, q[1], q[3]))
	}
	sort.Strings(times)
	fmt.Fprintf(os.Stderr, "ten minutes each, in %v; transactions of %s\n", time.Since(began).Round(time.Millisecond), strings.Join(times, "; of "))
}
