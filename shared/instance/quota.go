package instance

import (
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// Usage is what requests have created or stored.
type Usage struct {
	Instances int64
	Elements  int64 // data elements that were added, replaced or announced
	Bytes     int64 // of their content
}

// Quota is the maximum usage of an organisation or party in a clock hour. 0 in a member means no
// limit.
type Quota Usage

const (
	// countedBytes is the size of content from which an addition or replacement counts.
	countedBytes = 100_000
	// countedElements is the number of elements of an instance from which its additions and
	// replacements count.
	countedElements = 20
)

// CountsContent reports whether an addition or replacement of content of the given size in i counts
// for a quota. To count each one would cost one more write unit. Small contents of usual instances
// are bounded by the quota of instances and by API Gateway's throttling.
func (i *Instance) CountsContent(size int64) bool {
	return size >= countedBytes || len(i.Data) >= countedElements
}

// Limited returns the part of use that the quota limits, which must be counted.
func (q Quota) Limited(use Usage) Usage {
	if q.Instances == 0 {
		use.Instances = 0
	}
	if q.Elements == 0 {
		use.Elements = 0
	}
	if q.Bytes == 0 {
		use.Bytes = 0
	}
	return use
}

// ExceededError returns the fault for a request that would use more than the quota allows, or nil.
// counted is the usage in the hour of now. The fault names the count. Its RetryAfter is the time
// until the next hour begins.
func (q Quota) ExceededError(counted, use Usage, now time.Time) error {
	exceeded := func(limit, counted, use int64) bool { return limit > 0 && use > 0 && counted+use > limit }
	var limit int64
	var what string
	switch {
	case exceeded(q.Instances, counted.Instances, use.Instances):
		limit, what = q.Instances, "new instances"
	case exceeded(q.Elements, counted.Elements, use.Elements):
		limit, what = q.Elements, "added and replaced data elements"
	case exceeded(q.Bytes, counted.Bytes, use.Bytes):
		limit, what = q.Bytes, "bytes of data"
	default:
		return nil
	}
	f := fault.New(fault.TooManyRequests, "quota-exceeded",
		"The request would exceed the limit of %d %s per clock hour. Retry when the next hour begins. Contact the platform if you need a higher limit.", limit, what)
	f.RetryAfter = HourOf(now).Add(time.Hour).Sub(now)
	return f
}

// HourOf returns the start of the hour that contains t, in UTC.
func HourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }
