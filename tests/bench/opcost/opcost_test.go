package opcost

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLedger compares the consumption of every operation with testdata/ledger.md. The figures are
// exact: a difference is caused by a change of the project. Only on a busy machine may parallel
// calls begin late and look sequential, so a ledger that differs is measured again.
func TestLedger(t *testing.T) {
	const file, attempts = "testdata/ledger.md", 3
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var l *Ledger
	for attempt := 0; attempt < attempts && out.String() != string(text); attempt++ {
		again, err := Measure(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l = again.withLeastSeries(l)
		out.Reset()
		l.Print(&out)
		out.WriteString("\n")
		l.PrintPrices(&out)
	}
	checkAgenda(t, l)
	if one, batch := l.Many[0], l.Many[1]; batch.Writes > one.Writes || batch.Reads > one.Reads || batch.Calls > one.Calls {
		t.Errorf("a batch costs %d write units, %g read units and %d calls, single requests %d, %g and %d", batch.Writes, batch.Reads, batch.Calls, one.Writes, one.Reads, one.Calls)
	}
	if os.Getenv("ACCEPT") != "" {
		text = []byte(out.String())
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, is := strings.Split(string(text), "\n"), strings.Split(out.String(), "\n")
	for n := range max(len(was), len(is)) {
		var old, now string
		if n < len(was) {
			old = was[n]
		}
		if n < len(is) {
			now = is[n]
		}
		if old != now && !overlaps(old, now) {
			t.Errorf("want %s\ngot  %s", old, now)
		}
	}
	if t.Failed() {
		t.Log("To accept the new figures run ACCEPT=1 go test ./tests/bench/opcost and commit", file)
	}
}

// overlaps reports whether two rows differ only in the calls in series, of which now has fewer.
// On a loaded machine, calls can overlap that usually follow each other.
func overlaps(old, now string) bool {
	was, is := strings.Split(old, " | "), strings.Split(now, " | ")
	last := len(was) - 1
	if len(is) != len(was) || !slices.Equal(was[:last], is[:last]) {
		return false
	}
	before, err := strconv.Atoi(strings.TrimSuffix(was[last], " |"))
	after, err2 := strconv.Atoi(strings.TrimSuffix(is[last], " |"))
	return err == nil && err2 == nil && after < before
}

// checkAgenda checks that only an application with rules pays for the agenda, and what it pays.
func checkAgenda(t *testing.T, l *Ledger) {
	t.Helper()
	for _, row := range append(l.Rows, l.Ten...) {
		if row.Notes > 0 {
			t.Errorf("%s schedules %d notes in an application without retention and deadlines", row.Name, row.Notes)
		}
	}
	for _, row := range l.Ruled {
		more := 0
		if row.Name == "create" {
			more = 1
		}
		for _, without := range l.Rows {
			if without.Name == row.Name && (row.Notes != more || row.Events == without.Events && row.Writes != without.Writes+more) {
				t.Errorf("%s: %d write units and %d notes with retention and deadlines, %d units without, want %d more", row.Name, row.Writes, row.Notes, without.Writes, more)
			}
		}
	}
}

// TestAmplification checks that no request causes more write units than bound allows, even for the
// largest document with the maximum number of labels.
func TestAmplification(t *testing.T) {
	measured, err := MeasureAmplification(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range measured {
		t.Logf("%-25s %6d bytes %5d write units (at most %d) %4d calls", a.Name, a.Bytes, a.Writes, a.bound(), a.Calls)
		if a.Writes > a.bound() {
			t.Errorf("%s of %d bytes takes %d write units, at most %d are allowed", a.Name, a.Bytes, a.Writes, a.bound())
		}
	}
}

func TestHotStep(t *testing.T) {
	for shards, changes := range map[int]float64{1: 500, 4: 1900, 20: 9000} {
		hot, err := HotStep(shards, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		if hot.Evenly > 1.1 || hot.Changes < changes {
			t.Errorf("%+v, want at least %.0f changes a second", hot, changes)
		}
	}
}
