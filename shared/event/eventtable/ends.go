package eventtable

import (
	"sync"
	"time"

	"altinn.no/instanceapi/shared/event"
)

// end is the end of a feed; the zero value is the end of an empty feed.
type end struct {
	seq        int64     // the last position
	recordedAt time.Time // of that position
	counts     event.Counts
}

// The limits of ends. A process that appends to a feed without pause finds the end that it has
// left, and saves a read. After a pause, another process has probably appended.
const (
	endAge  = 10 * time.Second
	maxEnds = 1000
)

// ends has the ends of the feeds to which this process has appended lately. All events up to such
// an end have their positions, and all days that are closed by then have their items. The zero
// value is empty. It is safe for concurrent use.
type ends struct {
	mu   sync.Mutex
	ends map[string]knownEnd // by application
}

type knownEnd struct {
	end
	until  time.Time // the end is known until then
	shared time.Time // other processes append to the feed: no end is known until then
}

// of returns the end of a feed, and whether it is known.
func (e *ends) of(appID string) (at end, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.ends[appID]
	return found.end, time.Now().Before(found.until)
}

// set stores the end of a feed.
func (e *ends) set(appID string, at end) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, now := e.ends[appID], time.Now()
	if now.Before(old.shared) || now.Before(old.until) && at.seq < old.seq {
		return
	}
	e.put(appID, knownEnd{end: at, until: now.Add(endAge)})
}

// outdated forgets the end of a feed, because another process has appended. It will probably do so
// again, and an attempt with an outdated end costs more than a read.
func (e *ends) outdated(appID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(appID, knownEnd{shared: time.Now().Add(endAge)})
}

// forget forgets the end of a feed.
func (e *ends) forget(appID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.ends, appID)
}

func (e *ends) put(appID string, known knownEnd) {
	if e.ends == nil || len(e.ends) >= maxEnds {
		e.ends = map[string]knownEnd{}
	}
	e.ends[appID] = known
}
