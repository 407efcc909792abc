package receive

import (
	"io"
	"time"
)

// often is how long a download says nothing of itself.
const often = 2 * time.Second

// counted writes a download to the disk, tells how far it is, and keeps what the disk had against it apart from what the
// network had.
type counted struct {
	part io.Writer
	disk error

	say        func(format string, args ...any)
	name       string
	done, size int64
	last       time.Time
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.part.Write(b)
	c.done += int64(n)
	c.disk = err
	if now := time.Now(); c.last.IsZero() {
		c.last = now
	} else if now.Sub(c.last) >= often && c.size > 0 {
		c.last = now
		c.say("%s: %d %% of %.1f MB", c.name, 100*c.done/c.size, float64(c.size)/1e6)
	}
	return n, err
}
