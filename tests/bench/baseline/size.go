package baseline

import (
	"archive/zip"
	"context"
	"io"
	"os"

	"altinn.no/instanceapi/tests/bench/report"
)

// zipped returns the size of a program's deployment package in bytes.
func zipped(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var size counter
	archive := zip.NewWriter(&size)
	entry, err := archive.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(entry, file); err != nil {
		return 0, err
	}
	err = archive.Close()
	return int64(size), err
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// touched returns how many bytes of its own file a program has mapped when its initialisation
// ends, counted by page faults.
func (b *Bench) touched(ctx context.Context, program string) (int64, error) {
	e, err := b.start(ctx, program, b.plain())
	if err != nil {
		return 0, err
	}
	defer e.Stop()
	return fileBytes(e.Process().Pid)
}

// SizeTable measures the size of the deployment package, and how much of the binary a cold start
// reads.
func SizeTable(ctx context.Context, b *Bench) (*report.Table, error) {
	t := &report.Table{
		Title:   "Size, as a ratio to hello",
		Note:    "The zip, and the pages of the binary that the kernel has mapped at the end of the initialisation, warm-up calls included.",
		Columns: []string{"function", "zip", "pages touched"},
	}
	helloZip, err := zipped(b.binary(hello))
	if err != nil {
		return nil, err
	}
	helloPages, err := b.touched(ctx, hello)
	if err != nil {
		t.Note += " Pages not measured: " + err.Error() + "."
	}
	for _, f := range b.functions() {
		size, err := zipped(b.binary(f))
		if err != nil {
			return nil, err
		}
		pages := "–"
		if helloPages > 0 {
			n, err := b.touched(ctx, f)
			if err != nil {
				return nil, err
			}
			pages = report.Ratio(float64(n) / float64(helloPages))
		}
		t.Add(f, report.Ratio(float64(size)/float64(helloZip)), pages)
	}
	return t, nil
}
