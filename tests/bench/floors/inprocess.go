package floors

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"altinn.no/instanceapi/tests/bench/report"
)

// result is what one Go benchmark has measured: the shortest time of its repetitions, which is the one that the least else
// has disturbed, and what is the same in each.
type result struct{ nanoseconds, allocations float64 }

// benchmarks runs the Go benchmarks of a package whose name fits and returns the results by name. The package has them
// where they can see what they measure.
func (b *Bench) benchmarks(ctx context.Context, pkg, name string) (map[string]result, error) {
	count, during := "7", "200ms"
	if b.quick {
		count, during = "3", "50ms"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench="+name, "-benchmem", "-cpu=1", "-count="+count, "-benchtime="+during, pkg)
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
	}
	times, allocations := map[string][]float64{}, map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for n := 2; n+1 < len(fields); n += 2 {
			value, err := strconv.ParseFloat(fields[n], 64)
			if err != nil {
				return nil, err
			}
			switch fields[n+1] {
			case "ns/op":
				times[fields[0]] = append(times[fields[0]], value)
			case "allocs/op":
				allocations[fields[0]] = value
			}
		}
	}
	results := map[string]result{}
	for name, values := range times {
		results[strings.TrimPrefix(name, "Benchmark")] = result{slices.Min(values), allocations[name]}
	}
	return results, nil
}

// CodecTable measures the writing of documents.
func CodecTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Writing an instance of 2 KB as JSON, as a ratio to encoding/json",
		Columns: []string{"document", "time", "allocations", "encoding/json's"},
	}
	for _, kind := range []struct{ pkg, name, title string }{
		{"./shared/instance", "Encode", "as it is answered"},
		{"./shared/instance/instancetable", "Encode", "as it is stored, before it is deflated"},
	} {
		r, err := b.benchmarks(ctx, kind.pkg, kind.name)
		if err != nil {
			return nil, err
		}
		own, floor := r[kind.name+"/own"], r[kind.name+"/encoding-json"]
		t.Add(kind.title, report.Ratio(own.nanoseconds/floor.nanoseconds), fmt.Sprint(own.allocations), fmt.Sprint(floor.allocations))
	}
	return t, nil
}

// TokenTable measures the check of a token.
func TokenTable(ctx context.Context, b *Bench) (*report.Table, error) {
	r, err := b.benchmarks(ctx, "./shared/auth", "Token")
	if err != nil {
		return nil, err
	}
	t := &report.Table{
		Title:   "Check of a token (RS256, 2048 bits)",
		Note:    "The keys are read during the initialisation: no request waits for them.",
		Columns: []string{"", "ratio"},
	}
	t.Add("first sight / the bare signature check", report.Ratio(r["Token/first"].nanoseconds/r["Token/raw"].nanoseconds))
	t.Add("seen before / first sight", fmt.Sprintf("%.4f", r["Token/again"].nanoseconds/r["Token/first"].nanoseconds))
	return t, nil
}
