package opcost

import (
	"fmt"
	"io"
)

// Dollars for a million, on demand, in us-east-1.
const (
	writeUnits = 0.625
	readUnits  = 0.125
	s3Put      = 5.00
	s3Get      = 0.40
	busEvent   = 1.00
	// request is an HTTP API's, and 10 ms of a function of 512 MB on arm64 that it starts.
	perRequest = 1.00 + 0.20 + 0.067
)

// The share that each operation has of the requests that write, and of those that read.
var writing = map[string]float64{"create": 0.2, "replace a data element": 0.4, "move to the next step": 0.4}

var reading = map[string]float64{"read": 0.7, "download, by the owner": 0.2, "page of 100, by step": 0.05, "page of 100, by step and label": 0.05}

// Design is a way to store instances.
type Design int

// The designs: the project's, the plain one with the same guarantees, and that one on paper, with none of them.
const (
	Own Design = iota
	Plain
	OnPaper
)

// Price returns the dollars for a million requests, of which one in 1+readsPerWrite writes: for DynamoDB alone, and for
// everything. What happens later on account of a request is included: its events' way to the feed, and its notes' end.
func (l *Ledger) Price(design Design, readsPerWrite float64) (dynamo, everything float64) {
	for _, part := range []struct {
		mix   map[string]float64
		share float64
	}{{writing, 1 / (1 + readsPerWrite)}, {reading, readsPerWrite / (1 + readsPerWrite)}} {
		for name, each := range part.mix {
			d, e := l.cost(l.row(name), design)
			dynamo += part.share * each * d
			everything += part.share * each * e
		}
	}
	return dynamo, everything
}

// row returns the row of an operation that there is.
func (l *Ledger) row(name string) *Row {
	for n := range l.Rows {
		if l.Rows[n].Name == name {
			return &l.Rows[n]
		}
	}
	panic("ledger: no operation is called " + name)
}

// cost returns the dollars for a million of an operation.
func (l *Ledger) cost(r *Row, design Design) (dynamo, everything float64) {
	c := [...]Cost{{Reads: r.Reads, Writes: float64(r.Writes)}, r.Plain, r.OnPaper}[design]
	if design != OnPaper {
		c.Writes += float64(r.Events*l.Event.Writes + r.Notes) // a note is deleted
		c.Reads += float64(r.Events)*l.Event.Reads + float64(r.Notes)*(1+1)
	}
	dynamo = c.Writes*writeUnits + c.Reads*readUnits
	everything = dynamo + perRequest + float64(r.Puts)*s3Put + float64(r.Gets)*s3Get + float64(r.Events)*busEvent
	return dynamo, everything
}

// PrintPrices writes the prices of both mixes as a table in Markdown.
func (l *Ledger) PrintPrices(out io.Writer) {
	fmt.Fprintln(out, "| dollars for a million requests: DynamoDB, everything | one read a write | ten reads a write |")
	fmt.Fprintln(out, "|---|--:|--:|")
	var own [2]float64
	for design, name := range []string{"this project", "plain design, same guarantees", "plain design on paper: no events, no transactions, no work queue"} {
		fmt.Fprintf(out, "| %s |", name)
		for n, reads := range []float64{1, 10} {
			dynamo, everything := l.Price(Design(design), reads)
			fmt.Fprintf(out, " %.2f, %.2f", dynamo, everything)
			if design == 0 {
				own[n] = everything
			} else {
				fmt.Fprintf(out, " (%.2fx)", own[n]/everything)
			}
			fmt.Fprint(out, " |")
		}
		fmt.Fprintln(out)
	}
}
