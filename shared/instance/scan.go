package instance

import (
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
)

// The statuses of a scan. Results arrive at least once and in any order. The status with the
// greatest severity wins, so the order does not matter.
const (
	ScanPending     = "pending"     // no result has arrived
	ScanUnscannable = "unscannable" // the scanner cannot read the content, for example because it is encrypted
	ScanClean       = "clean"
	ScanInfected    = "infected"
)

// ScanSeverity returns the order of the scan statuses: 0 for ScanPending, more for each of the
// following. It returns -1 for another text.
func ScanSeverity(status string) int {
	return slices.Index([]string{ScanPending, ScanUnscannable, ScanClean, ScanInfected}, status)
}

// Scan is the state of the malware scan of the present content of a data element.
type Scan struct {
	Status string    `json:"status"`
	At     time.Time `json:"at"` // when the content became pending, or when its result was recorded
}

// ScanResult is the result of a scan of a revision.
type ScanResult struct {
	Status string
	At     time.Time // when the scanner published it; UTC, microseconds
}

// ScanResultLifetime is how long a store keeps a scan result. Content can be committed until
// UploadLifetime and MaxTransferTime have passed since its announcement.
const ScanResultLifetime = 48 * time.Hour

// ScanPatience is the time after which a pending scan is overdue. The agenda then looks for a
// result that a writer has not applied. It repeats this once per ScanPatience for
// ScanResultLifetime, and then once a day.
const ScanPatience = time.Hour

// MaxScansPerChange is the maximum number of results that one change of an instance records. Each
// can have an event, and a transaction of DynamoDB has at most 100 items.
const MaxScansPerChange = 50

// setScan sets the scan state of an element that has new content.
func (d *DataElement) setScan(scanning application.Scanning, now time.Time) {
	d.Scan, d.AllowUnscannable = nil, scanning == application.ScanningLenient
	if scanning.Scans() {
		d.Scan = &Scan{ScanPending, now}
	}
}

// ScanStatus returns the status of the scan, or "" if the content is not scanned.
func (d *DataElement) ScanStatus() string {
	if d.Scan == nil {
		return ""
	}
	return d.Scan.Status
}

// IsUnavailable reports whether a system that blocks content does not hand out this content,
// because of the result of its scan. The owner cannot confirm the download of such content.
func (d *DataElement) IsUnavailable() bool {
	status := d.ScanStatus()
	return status == ScanInfected || status == ScanUnscannable && !d.AllowUnscannable
}

// PendingScans returns the revisions of the elements that became pending at or after since.
func (i *Instance) PendingScans(since time.Time) (revisions []string) {
	return i.pendingScans(func(at time.Time) bool { return !at.Before(since) })
}

// OverdueScans returns the revisions of the elements that have been pending for ScanPatience at
// now.
func (i *Instance) OverdueScans(now time.Time) (revisions []string) {
	return i.pendingScans(func(at time.Time) bool { return !at.Add(ScanPatience).After(now) })
}

// pendingScans returns the revisions of the elements that became pending at a wanted time.
func (i *Instance) pendingScans(wanted func(at time.Time) bool) (revisions []string) {
	for _, d := range i.Data {
		if d.ScanStatus() == ScanPending && wanted(d.Scan.At) {
			revisions = append(revisions, d.Revision)
		}
	}
	return revisions
}

// nextScanCheck returns the first time after now at which a pending scan is overdue, and zero if no
// scan is pending. The checks of an element have fixed times, so that two notes become one.
func (i *Instance) nextScanCheck(now time.Time) (first time.Time) {
	for _, d := range i.Data {
		if d.ScanStatus() != ScanPending {
			continue
		}
		past, interval := max(now.Sub(d.Scan.At), 0), ScanPatience
		if past >= ScanResultLifetime {
			interval = 24 * time.Hour
		}
		if at := d.Scan.At.Add(past.Truncate(interval) + interval); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// ApplyScans records scan results, by revision, and returns their events. It ignores the results of
// other content, and results that are not more severe than the present status. It records at most
// MaxScansPerChange of them; call it again for the others. It returns ErrUnchanged if no result
// changes i.
//
// A result is no change that a client made, so it does not update LastChangedDateTime. It
// increments ScanWrites.
func (i *Instance) ApplyScans(app *application.Application, results map[string]ScanResult, now time.Time, links Links) ([]event.Event, error) {
	events, changed := i.applyScans(app, results, now, links)
	if !changed {
		return nil, ErrUnchanged
	}
	i.ScanWrites++
	return events, nil
}

// ApplyKnownScans is ApplyScans for results that are known when a client commits the content, as
// part of the client's change.
func (i *Instance) ApplyKnownScans(app *application.Application, results map[string]ScanResult, now time.Time, links Links) []event.Event {
	events, _ := i.applyScans(app, results, now, links)
	return events
}

func (i *Instance) applyScans(app *application.Application, results map[string]ScanResult, now time.Time, links Links) (events []event.Event, changed bool) {
	applied := 0
	for n := range i.Data {
		if applied == MaxScansPerChange {
			break
		}
		d := &i.Data[n]
		result, found := results[d.Revision]
		if !found || d.Scan == nil || ScanSeverity(result.Status) <= ScanSeverity(d.Scan.Status) {
			continue
		}
		d.Scan = &Scan{result.Status, TruncateTime(result.At)}
		applied++
		if result.Status != ScanClean {
			events = append(events, i.scannedEvent(app, *d, now, links)...)
		}
	}
	return events, applied > 0
}

// scannedEvent returns the event of a scan result. It returns none as Event does, and must be
// called as Event.
func (i *Instance) scannedEvent(app *application.Application, element DataElement, now time.Time, links Links) []event.Event {
	return i.Event(app, event.DataScanned, Platform, now, links, func(ev *event.Event) {
		ev.ScanStatus, ev.DataElementID, ev.FormID, ev.OwnerOnly = element.Scan.Status, element.ID, element.FormID, element.OwnerOnly
	})
}
