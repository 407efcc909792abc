package opcost

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Print writes the ledger as a Markdown table.
func (l *Ledger) Print(out io.Writer) {
	fmt.Fprintln(out, "| operation | write units | read units | units / baseline | S3 | calls | in series |")
	fmt.Fprintln(out, "|---|--:|--:|--:|--:|--:|--:|")
	for _, row := range append(l.Rows, l.Event) {
		row.print(out, "")
	}
	for _, row := range l.Batches {
		row.print(out, "")
	}
	for _, row := range l.Webhooks {
		row.print(out, "")
	}
	for _, row := range l.Many {
		row.print(out, "")
	}
	for _, row := range l.Ten {
		row.print(out, ", ten data elements")
	}
	for _, row := range l.Ruled {
		row.print(out, ", with retention and deadlines")
	}
	for _, row := range l.Scanned {
		row.print(out, ", with a malware scan")
	}
}

func (r *Row) print(out io.Writer, suffix string) {
	s3 := strings.TrimSpace(strings.Repeat("PUT ", min(r.Puts, 1)) + strings.Repeat("GET ", r.Gets))
	if r.Puts > 1 {
		s3 = fmt.Sprint(r.Puts, " ", s3)
	}
	series := ""
	if r.Series > 0 {
		series = strconv.Itoa(r.Series)
	}
	fmt.Fprintf(out, "| %s%s | %d | %g | %s | %s | %d | %s |\n", r.Name, suffix, r.Writes, r.Reads, r.ratio(), s3, r.Calls, series)
}

// ratio returns the operation's units divided by those of the baseline.
func (r *Row) ratio() string {
	if r.Baseline == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", (float64(r.Writes)+r.Reads)/(r.Baseline.Writes+r.Baseline.Reads))
}
