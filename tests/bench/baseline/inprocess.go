package baseline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"altinn.no/instanceapi/tests/bench/report"
)

// result is the result of one Go benchmark: the shortest time of its repetitions, which is the
// least disturbed one, and its allocations.
type result struct{ nanoseconds, allocations float64 }

// benchmarks runs the Go benchmarks of a package whose names match and returns the results by
// name. The benchmarks live in that package because they need its unexported names.
func (b *Bench) benchmarks(ctx context.Context, pkg, name string) (map[string]result, error) {
	count, duration := "7", "200ms"
	if b.quick {
		count, duration = "3", "50ms"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench="+name, "-benchmem", "-cpu=1", "-count="+count, "-benchtime="+duration, pkg)
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

// instructionsPerRound returns the instructions of one round of a Go benchmark: those of 3,000
// rounds less those of 1,000.
func (b *Bench) instructionsPerRound(ctx context.Context, pkg, name string) (float64, error) {
	binary := filepath.Join(b.scratch, filepath.Base(pkg)+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", pkg, err, out)
	}
	var rounds [2]int64
	for n, count := range []string{"1000x", "3000x"} {
		out := filepath.Join(b.scratch, "benchmark")
		command, err := callgrind(out, binary, "-test.run=^$", "-test.bench="+name+"$", "-test.benchtime="+count)
		if err != nil {
			return 0, err
		}
		run := exec.CommandContext(ctx, command[0], command[1:]...)
		run.Dir = filepath.Join(b.root, pkg) // as go test does
		run.Env = append(os.Environ(), singleThread...)
		if out, err := run.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s of %s: %w\n%s", name, pkg, err, out)
		}
		all, err := parts(out)
		if err != nil {
			return 0, err
		}
		rounds[n] = all[len(all)-1].instructions
	}
	return float64(rounds[1]-rounds[0]) / 2000, nil
}

// CodecTable measures the JSON that shared/appendjson reads and writes.
func CodecTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title: "JSON by shared/appendjson, as a ratio to encoding/json and to encoding/json/v2",
		Columns: []string{
			"document", "instructions / encoding/json", "/ json/v2", "time / encoding/json", "/ json/v2", "allocations", "encoding/json's", "json/v2's",
		},
	}
	for _, row := range []struct{ pkg, name, title string }{
		{"./shared/instance", "Encode", "write an instance of 2 KB for a response"},
		{"./shared/instance/instancetable", "Encode", "write an instance to store"},
		{"./shared/instance/instancetable", "Decode", "read a stored instance"},
		{"./shared/lambdahttp", "Encode", "write a response of 2 KB to the gateway"},
	} {
		r, err := b.benchmarks(ctx, row.pkg, row.name)
		if err != nil {
			return nil, err
		}
		own, v1, v2 := r[row.name+"/own"], r[row.name+"/encoding-json"], r[row.name+"/json-v2"]
		counts := map[string]float64{}
		for _, kind := range []string{"/own", "/encoding-json", "/json-v2"} {
			counts[kind], err = b.instructionsPerRound(ctx, row.pkg, row.name+kind)
			if err != nil && !errors.Is(err, errNoValgrind) {
				return nil, err
			}
		}
		instructions := func(kind string) string {
			if err != nil {
				return "–"
			}
			return report.Ratio(counts["/own"] / counts[kind])
		}
		t.Add(row.title, instructions("/encoding-json"), instructions("/json-v2"),
			report.Ratio(own.nanoseconds/v1.nanoseconds), report.Ratio(own.nanoseconds/v2.nanoseconds),
			fmt.Sprint(own.allocations), fmt.Sprint(v1.allocations), fmt.Sprint(v2.allocations))
	}
	return t, nil
}

// TokenTable measures the verification of a token.
func TokenTable(ctx context.Context, b *Bench) (*report.Table, error) {
	r, err := b.benchmarks(ctx, "./shared/auth", "Token")
	if err != nil {
		return nil, err
	}
	t := &report.Table{
		Title:   "Verification of a token (RS256, 2048 bits)",
		Note:    "The initialisation reads the keys, so no request waits for them.",
		Columns: []string{"", "ratio"},
	}
	t.Add("new token / signature check alone", report.Ratio(r["Token/first"].nanoseconds/r["Token/raw"].nanoseconds))
	t.Add("known token / new token", fmt.Sprintf("%.4f", r["Token/again"].nanoseconds/r["Token/first"].nanoseconds))
	return t, nil
}
