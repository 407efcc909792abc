package receive

import (
	"io"
	"time"
)

// progressInterval is the time between two progress messages of a download.
const progressInterval = 2 * time.Second

// progressWriter writes a download to the disk and logs its progress. It keeps disk errors apart
// from network errors.
type progressWriter struct {
	part io.Writer
	disk error

	logf       func(format string, args ...any)
	name       string
	done, size int64
	last       time.Time
}

func (w *progressWriter) Write(b []byte) (int, error) {
	n, err := w.part.Write(b)
	w.done += int64(n)
	w.disk = err
	if now := time.Now(); w.last.IsZero() {
		w.last = now
	} else if now.Sub(w.last) >= progressInterval && w.size > 0 {
		w.last = now
		w.logf("%s: %d %% of %.1f MB", w.name, 100*w.done/w.size, float64(w.size)/1e6)
	}
	return n, err
}
