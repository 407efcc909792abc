// Package report prints measurements as Markdown tables, in the form in which the documents show
// them.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Table is the result of one measurement. Its first column is text, the others are numbers.
type Table struct {
	Title   string
	Note    string // the method, and what was not measured and why
	Columns []string
	Rows    [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Print writes the table.
func (t *Table) Print(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", t.Title)
	if t.Note != "" {
		fmt.Fprintf(w, "%s\n\n", t.Note)
	}
	fmt.Fprintf(w, "| %s |\n|---%s|\n", strings.Join(t.Columns, " | "), strings.Repeat("|--:", len(t.Columns)-1))
	for _, row := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// Ratio formats a ratio for a table.
func Ratio(x float64) string { return fmt.Sprintf("%.2f", x) }

// Median returns the median of values, which must not be empty.
func Median[T int64 | float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
