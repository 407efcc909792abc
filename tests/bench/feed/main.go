// Command feed computes how many events per second one application's feed accepts. It simulates
// event-record at a full queue: workers read the end of the feed, append a batch in one
// transaction, and contend with each other. It is deterministic and calls no server. The service
// times are published measurements of DynamoDB from a Lambda function: a local server has other
// times.
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

// Service times in milliseconds. TransactWriteItems:
// https://github.com/alexdebrie/dynamodb-performance-testing (400 calls each from Lambda; a
// failing transaction takes as long). GetItem is assumed to be as fast as PutItem in that
// measurement.
var (
	transaction5  = quantiles{19.4, 25.3, 30.7, 92.5, 218}
	transaction25 = quantiles{23.5, 32.1, 40.5, 97.5, 258}
	single        = quantiles{5.47, 7.55, 11.3, 16.2, 29}
)

// quantiles are the minimum, the 50th, 90th and 99th percentile, and the maximum.
type quantiles [5]float64

var ranks = [5]float64{0, 0.5, 0.9, 0.99, 1}

// at returns the quantile of a rank, by linear interpolation.
func (q quantiles) at(rank float64) float64 {
	for n := 1; n < len(ranks); n++ {
		if rank <= ranks[n] {
			return q[n-1] + (q[n]-q[n-1])*(rank-ranks[n-1])/(ranks[n]-ranks[n-1])
		}
	}
	return q[4]
}

// Constants of the code and the template.
const (
	maxPerTransaction = 24  // shared/event/eventtable
	itemsPerEvent     = 4   // plus one item for the end of the feed
	initialBackoff    = 20. // ms, shared/event/eventtable
	maxBackoff        = 500.
	betweenBatches    = 5. // ms between two batches of a worker at a full queue
)

// writeUnits is the limit of a partition key in write units per second. A transaction costs two
// units for each item of up to a kilobyte. The events of a feed and its end have the same key.
const writeUnits = 1000.

// worker is a sequence of invocations of event-record.
type worker struct {
	at       float64 // ms, the time of its next step
	left     int     // events of its batch that are not recorded yet
	chunk    int     // events of the transaction in progress; 0 for none
	began    float64
	expected int // version of the feed in the condition of the transaction
	rejected bool
	backoff  float64
}

// simulate returns how many events per second are appended to the feed.
func simulate(workers, batch int, seconds float64) float64 {
	rng := rand.New(rand.NewPCG(uint64(workers), uint64(batch)))
	draw := func(items int) float64 {
		rank := rng.Float64()
		a, b := transaction5.at(rank), transaction25.at(rank)
		return a + (b-a)*float64(items-5)/20
	}
	all := make([]*worker, workers)
	for n := range all {
		all[n] = &worker{at: float64(n), left: batch, backoff: initialBackoff}
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
			w.began, w.rejected = w.at, false
			for _, other := range all { // DynamoDB rejects a transaction that conflicts with one in progress
				w.rejected = w.rejected || other != w && other.chunk > 0 && !other.rejected && other.began <= w.at
			}
			w.at += draw(1 + itemsPerEvent*w.chunk)
		}
		switch {
		case w.chunk == 0: // a new transaction: read the end of the feed, then start
			w.at += single.at(rng.Float64())
			w.chunk, w.expected = min(w.left, maxPerTransaction), version
			begin()
		case w.rejected || w.expected != version: // rejected: the error returns the end of the feed; retry after a backoff
			w.at += rng.Float64() * w.backoff
			w.backoff = min(2*w.backoff, maxBackoff)
			w.expected = version
			begin()
		default:
			version++
			recorded += w.chunk
			w.left -= w.chunk
			w.chunk, w.backoff = 0, initialBackoff
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
	fmt.Fprintf(os.Stderr, "simulated ten minutes per cell in %v; transactions of %s\n", time.Since(began).Round(time.Millisecond), strings.Join(times, "; of "))
}
