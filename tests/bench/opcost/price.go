package opcost

import (
	"fmt"
	"io"
)

// Dollars per million requests, on demand, in us-east-1.
const (
	writeUnits = 0.625
	readUnits  = 0.125
	s3Put      = 5.00
	s3Get      = 0.40
	busEvent   = 1.00
	// perRequest is the price of an HTTP API request, and of 10 ms of a function with 512 MB on
	// arm64.
	perRequest = 1.00 + 0.20 + 0.067
)

// writing and reading are the shares of the operations in the requests that write, and in those
// that read.
var writing = map[string]float64{"create": 0.2, "replace a data element": 0.4, "move to the next step": 0.4}

var reading = map[string]float64{"read": 0.7, "download, by the owner": 0.2, "page of 100, by step": 0.05, "page of 100, by step and label": 0.05}

// Design is a design of the storage of instances.
type Design int

// The designs: the project's, the plain one with the same guarantees, and the plain one without
// guarantees (on paper).
const (
	Own Design = iota
	Plain
	OnPaper
)

// Price returns the dollars for a million requests, of which one in 1+readsPerWrite writes: for
// DynamoDB alone, and in total. It includes the later work that a request causes: the delivery of
// its events and the deletion of its orphan checks.
func (l *Ledger) Price(design Design, readsPerWrite float64) (dynamo, total float64) {
	for _, part := range []struct {
		mix   map[string]float64
		share float64
	}{{writing, 1 / (1 + readsPerWrite)}, {reading, readsPerWrite / (1 + readsPerWrite)}} {
		for name, each := range part.mix {
			d, e := l.cost(l.row(name), design)
			dynamo += part.share * each * d
			total += part.share * each * e
		}
	}
	return dynamo, total
}

// row returns the row of an operation. It panics if there is none.
func (l *Ledger) row(name string) *Row {
	for n := range l.Rows {
		if l.Rows[n].Name == name {
			return &l.Rows[n]
		}
	}
	panic("opcost: no operation is called " + name)
}

// cost returns the dollars for a million runs of an operation.
func (l *Ledger) cost(r *Row, design Design) (dynamo, total float64) {
	c := [...]Cost{{Reads: r.Reads, Writes: float64(r.Writes)}, r.Plain, r.OnPaper}[design]
	if design != OnPaper {
		c.Writes += float64(r.Events*l.Event.Writes + r.OrphanChecks) // an orphan check is deleted
		c.Reads += float64(r.Events)*l.Event.Reads + float64(r.OrphanChecks)*(1+1)
	}
	dynamo = c.Writes*writeUnits + c.Reads*readUnits
	total = dynamo + perRequest + float64(r.Puts)*s3Put + float64(r.Gets)*s3Get + float64(r.Events)*busEvent
	return dynamo, total
}

// PrintPrices writes the prices of both mixes as a Markdown table.
func (l *Ledger) PrintPrices(out io.Writer) {
	fmt.Fprintln(out, "| dollars per million requests: DynamoDB, total | one read per write | ten reads per write |")
	fmt.Fprintln(out, "|---|--:|--:|")
	var own [2]float64
	for design, name := range []string{"this project", "plain design, same guarantees", "plain design on paper: no events, no transactions, no work queue"} {
		fmt.Fprintf(out, "| %s |", name)
		for n, reads := range []float64{1, 10} {
			dynamo, total := l.Price(Design(design), reads)
			fmt.Fprintf(out, " %.2f, %.2f", dynamo, total)
			if design == 0 {
				own[n] = total
			} else {
				fmt.Fprintf(out, " (%.2fx)", own[n]/total)
			}
			fmt.Fprint(out, " |")
		}
		fmt.Fprintln(out)
	}
}
