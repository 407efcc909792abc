// Package instancequery runs queries for instances: it parses the parameters, reads as few rows of
// the store's indexes as possible, and returns a page with its cursors.
//
// The package reads through the Index that its caller passes, and stores nothing. The caller
// restricts the filter to the instances that its client may see, and Run checks the filter on every
// row.
//
//	filter.go, timerange.go  the parameters and the filter
//	ranges.go                which index partitions a query reads
//	bounds.go                which of them the next page of a wide query need not read
//	page.go                  one page of the result, and the position of the next page
//	cursor.go                cursors
//	size.go                  the size of a response
//
// # Order and pages
//
// A query by party reads the partition of the party in order of creation. A user sends it to the
// party's own path, and an owner names the party in a parameter. page=last is read from the other
// end. page=3 reads all instances before it, at most MaxSkipped; a cursor costs one page at any
// depth.
//
// # Polling
//
// A poller continues from the link resume, which lags by indexLag. It recognises repeats by id and
// version. An instance in transition may be in the index of neither step, so a crawl ends with one
// request to resume.
package instancequery

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// Limits of one query. A page whose filter has an index stays below them. They stop filters that
// match almost nothing.
const (
	// maxExamined is the maximum number of rows that one page examines.
	maxExamined = 20_000

	// maxRanges is the maximum number of index partitions that a query reads. Each partition costs
	// a read even if it has no rows.
	maxRanges = 5_000

	// maxConcurrentReads is the maximum number of concurrent reads. Each needs a connection, and
	// opening a thousand connections takes longer than waiting for an open one. Decoding
	// DynamoDB's largest response, 1 MB of rows, takes about 5 MB, so the reads take at most 160
	// MB. A function of 512 MB has CPU time for about a thousand reads a second, so more
	// concurrent reads would not be faster.
	maxConcurrentReads = 32

	// maxHeldBytes is the size of the packed documents that a query holds between reads. One round
	// of concurrent reads can exceed it by 32 MB. It is enough for six rows of 1 KB of each of
	// maxRanges partitions.
	//
	// A query therefore takes a bounded number of bytes, whatever the number of its partitions and
	// the size of their rows: these documents, the concurrent reads, and a page of maxPageBytes.
	// TestLargeRows of package instancetable measures them.
	maxHeldBytes = 32 << 20

	// maxExaminedBytes is the maximum size of the packed documents that one page examines. Only
	// rows that are on average larger than 1.6 KB reach it before maxExamined.
	maxExaminedBytes = 32 << 20
)

// Query is a request for one page. For every page but the first, call SetPage before Run.
type Query struct {
	Filter Filter
	Values url.Values // the parameters of the request; a cursor is valid only with the same ones

	// Scope names the caller and the resource. A cursor is valid only in the same scope.
	Scope string

	// Apps are the applications whose instances the filter can match. They are not used if the
	// filter has an InstanceOwnerID.
	Apps []*application.Application

	Size int // maximum number of instances on the page

	cursor string // "": begin with the first row
	skip   int    // number of matching instances before the page
	last   bool   // return the last page

	settled uint64 // ordinal of the settled time of the cursor's bounds; 0: no bounds
}

const (
	// LastPage is the value of page that selects the last page. It is read from the other end.
	LastPage = "last"
	// MaxSkipped is the maximum number of instances before a page that is selected by its number.
	// The query reads all of them.
	MaxSkipped = 10_000
)

// SetPage selects the page: a cursor (Next or Resume of another page), a number from 0, LastPage,
// or "" for the first page. It returns an Invalid fault if the number is not canonical or too
// large; Run checks cursors. Set Size first.
func (q *Query) SetPage(page string) error {
	if page == LastPage {
		q.last = true
		return nil
	}
	number, err := strconv.Atoi(page)
	if err != nil {
		q.cursor = page
		return nil
	}
	if number < 0 || strconv.Itoa(number) != page || number > MaxSkipped/q.Size {
		return fault.InvalidParameter(ParamPage, "use a number from 0 to %d with this size, or better, follow _links.next, which has no limit", MaxSkipped/q.Size)
	}
	q.skip = number * q.Size
	return nil
}

// Page is one page of a query's result.
type Page struct {
	Instances  []*instance.Instance // never nil
	Next       string               // cursor of the next page; "" if this is the last page
	Resume     string               // last page in ascending order only: cursor that precedes all later changes
	Examined   int                  // number of rows that were read and checked
	Unreadable []error              // rows that could not be decoded; the page omits them
}

// Run returns the page that q selects. now is the time of the request. Run returns an Invalid fault
// if the cursor is not valid for the query or if the query needs too many index partitions.
func Run(ctx context.Context, index Index, q Query, now time.Time) (Page, error) {
	order := q.Filter.Order
	if q.last {
		q.Filter.Order = !order
	}
	page, at, more, err := q.readPage(ctx, index, now)
	if err != nil {
		return page, err
	}
	if q.last {
		more = false
		slices.Reverse(page.Instances)
		if at = (position{}); len(page.Instances) > 0 {
			at.key = q.keyOf(page.Instances[len(page.Instances)-1])
		}
	}
	unsettledSince := now.Add(-indexLag)
	switch {
	case more:
		if at.unsettledSince.IsZero() && at.key > q.firstKeyAt(unsettledSince) {
			at.unsettledSince = unsettledSince
		}
		page.Next, err = encodeCursor(q.scope(), at)
	case order == merge.Ascending:
		page.Resume, err = encodeCursor(q.scope(), position{key: q.resumeKey(at, unsettledSince)})
	}
	return page, err
}
