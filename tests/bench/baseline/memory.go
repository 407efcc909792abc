package baseline

import (
	"context"
	"fmt"

	"altinn.no/instanceapi/tests/bench/report"
)

// peak returns the peak memory of a program after it has handled an event a few times, in bytes.
func (b *Bench) peak(ctx context.Context, program string, event []byte) (int64, error) {
	e, err := b.start(ctx, program, b.plain())
	if err != nil {
		return 0, err
	}
	defer e.Stop()
	for range 5 {
		if err := invoke(ctx, e, event); err != nil {
			return 0, err
		}
	}
	return resident(e.Process().Pid)
}

// MemoryTable measures the peak memory of large transfers.
func MemoryTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Peak memory of a transfer, as a ratio to one of 1 KB",
		Note:    "Resident memory of the function. The client exchanges content over 4,400,000 bytes with S3 directly, by a presigned request.",
		Columns: []string{"transfer", "peak"},
	}
	if err := b.store(ctx, b.cloud.plain); err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		program, name string
		event         func(size) ([]byte, error)
		sizes         []size
	}{
		{"data-get", "download", b.downloadEvent, []size{inline, large}},
		{"upload-create", "upload", b.uploadEvent, []size{large}},
	} {
		medians := map[size]float64{}
		for _, s := range append(kind.sizes, small) {
			event, err := kind.event(s)
			if err != nil {
				return nil, err
			}
			var peaks []float64
			for range 3 {
				n, err := b.peak(ctx, kind.program, event)
				if err != nil {
					return nil, fmt.Errorf("%s of %d bytes: %w", kind.name, s, err)
				}
				peaks = append(peaks, float64(n))
			}
			medians[s] = report.Median(peaks)
		}
		for _, s := range kind.sizes {
			t.Add(fmt.Sprintf("%s of %.1f MB", kind.name, float64(s)/1e6), report.Ratio(medians[s]/medians[small]))
		}
	}
	return t, nil
}
