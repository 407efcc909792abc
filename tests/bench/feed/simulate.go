package main

import (
	"container/heap"
	"math/rand/v2"
)

// Service times in milliseconds. TransactWriteItems and PutItem:
// https://github.com/alexdebrie/dynamodb-performance-testing (400 calls each from Lambda; a failing
// transaction takes as long). Other calls of one item are assumed to be as fast as PutItem.
var (
	transaction5  = quantiles{19.4, 25.3, 30.7, 92.5, 218}
	transaction25 = quantiles{23.5, 32.1, 40.5, 97.5, 258}
	single        = quantiles{5.47, 7.55, 11.3, 16.2, 29}
)

// Assumptions about calls that the measurement does not include.
const (
	batchFactor = 1.5 // of a BatchGetItem or BatchWriteItem, relative to a call of one item
	perKilobyte = 0.1 // ms more for each kilobyte of a slot
)

// Constants of the code and the template.
const (
	maxPerSlot       = 500 // shared/event/eventtable
	keysPerGet       = 100
	itemsPerWrite    = 25
	parallelCalls    = 8
	parallelFeeds    = 32
	bytesPerEvent    = 60.  // of a slot: see package event
	firstRace        = 10.  // ms, shared/busy
	longestRace      = 400. // ms
	betweenBatches   = 5.   // ms between two batches of a worker at a full queue
	endAge           = 10_000.
	predecessorShare = 2. / 3 // events that have a predecessor: two of the three of an instance
)

// The baseline appends the batch of each feed in one transaction, one feed after the other: it
// increments the end of the feed, puts each event and its position, and deletes it from the outbox.
const (
	maxPerTransaction = 24
	itemsPerEvent     = 4
	firstBackoff      = 20. // ms
	longestBackoff    = 500.
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

// load is the load of a simulation: workers receive batches of events of some applications, as fast
// as they can store them.
type load struct {
	workers, batch, applications int
	baseline                     bool // the transactions instead of the slot log
}

// simulation is a run of event-record at a full queue.
type simulation struct {
	load
	rng      *rand.Rand
	queue    flows
	feeds    []feed
	recorded int
}

// feed is the state of one application's feed.
type feed struct {
	version    int // number of commits
	positioned int // the commit up to which all events have their positions
	writing    []*flow
}

// worker is a sequence of invocations of event-record.
type worker struct {
	waiting []*flow // feeds of its batch that it has not begun
	running int
	ends    map[int]knownEnd // by application
}

type knownEnd struct {
	version int
	until   float64 // the end is known until then
	shared  float64 // no end is known until then
}

// flow is the work of one invocation on one feed. next continues it at the time at.
type flow struct {
	at       float64
	next     func(*flow)
	worker   *worker
	app      int
	events   int
	expected int // version of the feed in the condition of the write
	rejected bool
	races    int
	backoff  float64
}

// flows is a heap, the earliest first.
type flows []*flow

func (f flows) Len() int           { return len(f) }
func (f flows) Less(a, b int) bool { return f[a].at < f[b].at }
func (f flows) Swap(a, b int)      { f[a], f[b] = f[b], f[a] }
func (f *flows) Push(x any)        { *f = append(*f, x.(*flow)) }
func (f *flows) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// simulate returns how many events per second are appended.
func simulate(l load, seconds float64) float64 {
	s := &simulation{load: l, rng: rand.New(rand.NewPCG(uint64(l.workers), uint64(l.batch))), feeds: make([]feed, l.applications)}
	for n := range l.workers {
		s.receive(&worker{ends: map[int]knownEnd{}}, float64(n))
	}
	for s.queue[0].at <= seconds*1000 {
		f := heap.Pop(&s.queue).(*flow)
		f.next(f)
	}
	return float64(s.recorded) / seconds
}

// receive begins the next batch of a worker.
func (s *simulation) receive(w *worker, at float64) {
	counts := make([]int, s.applications)
	for range s.batch {
		counts[s.rng.IntN(s.applications)]++
	}
	for app, events := range counts {
		for most := s.most(); events > 0; events -= most {
			w.waiting = append(w.waiting, &flow{worker: w, app: app, events: min(events, most), next: s.begin})
		}
	}
	s.start(w, at)
}

func (s *simulation) most() int {
	if s.baseline {
		return maxPerTransaction
	}
	return maxPerSlot
}

// start starts flows of a worker, as many as it runs at a time, or the next batch.
func (s *simulation) start(w *worker, at float64) {
	limit := parallelFeeds
	if s.baseline {
		limit = 1
	}
	for ; w.running < limit && len(w.waiting) > 0; w.running++ {
		f := w.waiting[0]
		w.waiting = w.waiting[1:]
		s.after(f, at, f.next)
	}
	if w.running == 0 {
		s.receive(w, at+betweenBatches)
	}
}

// after continues a flow with next at a time.
func (s *simulation) after(f *flow, at float64, next func(*flow)) {
	f.at, f.next = at, next
	heap.Push(&s.queue, f)
}

func (s *simulation) end(f *flow) {
	f.worker.running--
	s.start(f.worker, f.at)
}

func (s *simulation) single() float64 { return single.at(s.rng.Float64()) }

// batches returns the time of calls with a number of items.
func (s *simulation) batches(items float64, size int) (total float64) {
	for calls := int(items+float64(size)-1) / size; calls > 0; calls -= parallelCalls {
		var slowest float64
		for range min(calls, parallelCalls) {
			slowest = max(slowest, s.single()*batchFactor)
		}
		total += slowest
	}
	return total
}

func (s *simulation) begin(f *flow) {
	if s.baseline {
		s.after(f, f.at+s.single(), s.transact) // reads the end
		return
	}
	known := f.worker.ends[f.app]
	if known.until > f.at {
		f.expected = known.version
		s.readPositions(f, 0)
		return
	}
	s.after(f, f.at+s.single(), s.haveEnd)
}

// haveEnd continues when the last slot is read.
func (s *simulation) haveEnd(f *flow) {
	f.expected = s.feeds[f.app].version
	s.readPositions(f, float64(f.events)) // the last slot has about as many events
}

func (s *simulation) readPositions(f *flow, ofLastSlot float64) {
	took := s.batches(float64(f.events)*(1+predecessorShare)+ofLastSlot, keysPerGet)
	if ofLastSlot > 0 && s.feeds[f.app].positioned < f.expected {
		took += s.batches(ofLastSlot, itemsPerWrite) // another worker has not written all of them yet
	}
	s.after(f, f.at+took, s.putSlot)
}

func (s *simulation) putSlot(f *flow) {
	s.after(f, f.at+s.single()+perKilobyte*bytesPerEvent*float64(f.events)/1000, s.haveSlot)
}

// haveSlot continues when the response to the write of the slot arrives.
func (s *simulation) haveSlot(f *flow) {
	feed := &s.feeds[f.app]
	if feed.version != f.expected {
		if f.worker.ends[f.app].until > f.at {
			f.worker.ends[f.app] = knownEnd{shared: f.at + endAge}
		}
		backoff := s.rng.Float64() * min(firstRace*float64(int(1)<<min(f.races, 10)), longestRace)
		f.races++
		s.after(f, f.at+backoff+s.single(), s.haveEnd)
		return
	}
	feed.version++
	f.expected = feed.version
	s.recorded += f.events
	s.after(f, f.at+s.batches(float64(f.events), itemsPerWrite), s.havePositions)
}

func (s *simulation) havePositions(f *flow) {
	feed := &s.feeds[f.app]
	feed.positioned = max(feed.positioned, f.expected)
	if f.worker.ends[f.app].shared < f.at {
		f.worker.ends[f.app] = knownEnd{version: f.expected, until: f.at + endAge}
	}
	s.after(f, f.at+s.batches(float64(f.events), itemsPerWrite), s.end) // of the outbox
}

// transact begins a transaction of the baseline. DynamoDB rejects a transaction that conflicts with
// one in progress.
func (s *simulation) transact(f *flow) {
	feed := &s.feeds[f.app]
	if f.backoff == 0 {
		f.backoff, f.expected = firstBackoff, feed.version
	}
	f.rejected = false
	for _, other := range feed.writing {
		f.rejected = f.rejected || !other.rejected
	}
	feed.writing = append(feed.writing, f)
	rank, items := s.rng.Float64(), 1+itemsPerEvent*f.events
	a, b := transaction5.at(rank), transaction25.at(rank)
	s.after(f, f.at+a+(b-a)*float64(items-5)/20, s.haveTransaction)
}

func (s *simulation) haveTransaction(f *flow) {
	feed := &s.feeds[f.app]
	for n, other := range feed.writing {
		if other == f {
			feed.writing = append(feed.writing[:n:n], feed.writing[n+1:]...)
			break
		}
	}
	if f.rejected || f.expected != feed.version { // the error has the end of the feed
		backoff := s.rng.Float64() * f.backoff
		f.backoff, f.expected = min(2*f.backoff, longestBackoff), feed.version
		s.after(f, f.at+backoff, s.transact)
		return
	}
	feed.version++
	s.recorded += f.events
	s.end(f)
}
