// Package report provides the tables in which measurements are printed, as Markdown: what is in the README is what make
// bench prints.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Table is what one measurement has found. Its first column is text, the others are numbers.
type Table struct {
	Title   string
	Note    string // how it was measured, and what was left out and why
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

// Ratio returns a ratio as it is printed.
func Ratio(x float64) string { return fmt.Sprintf("%.2f", x) }

// Median returns the middle of values, of which there must be some.
func Median[T int64 | float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
