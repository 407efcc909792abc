package merge

import "context"

// afterSeek is how many rows are asked for where a skip has led over most of what was read: often the next skip
// leads away again. Reading on from there doubles it, and so do skips from each row to the next one.
const afterSeek = 8

// cursor is the stream over one range.
type cursor[T any] struct {
	order Order
	read  Range[T]
	limit int      // rows to ask for next
	most  int      // rows to ask for at the most, unless plan says otherwise
	rows  []Row[T] // read and not taken
	from  string   // where the next read begins
	seen  bool     // the row at from has been read before
	skip  string   // rows before it are not wanted
	page  int      // rows that the last read returned
	waste int      // of these, those that a skip has led over: read for nothing
	taken int      // rows that were dropped
	done  bool     // there is nothing after rows
}

func (c *cursor[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		for passed := 0; len(c.rows) > 0 && c.order.before(c.rows[0].Key, c.skip) && c.skip != ""; passed++ {
			c.rows = c.rows[1:]
			if passed > 0 { // the first one is where the stream has been, and was of use
				c.waste++
			}
		}
		if len(c.rows) > 0 {
			return c.rows[0], true, nil
		}
		if c.done {
			return row, false, nil
		}
		if err := c.fill(ctx); err != nil {
			return row, false, err
		}
	}
}

func (c *cursor[T]) Next() {
	c.rows = c.rows[1:]
	c.taken++
}

func (c *cursor[T]) Seek(key string) { c.skip = key }

// seekedPast reports whether a skip has led beyond what was read.
func (c *cursor[T]) seekedPast() bool {
	return c.skip != "" && (c.from == "" || c.order.before(c.from, c.skip))
}

// fill reads on, from where the last read ended or from where a skip has led.
func (c *cursor[T]) fill(ctx context.Context) error {
	if c.seekedPast() {
		c.from, c.seen, c.rows = c.skip, false, nil
		if 2*c.waste >= c.page {
			c.limit = afterSeek
		}
	}
	limit := c.limit
	if c.seen {
		limit++ // for the row that comes again
	}
	rows, more, err := c.read(ctx, c.from, limit)
	if err != nil {
		return err
	}
	if c.seen && len(rows) > 0 && rows[0].Key == c.from {
		rows = rows[1:]
	}
	if len(rows) > 0 {
		c.from, c.seen = rows[len(rows)-1].Key, true
	}
	c.rows, c.done = append(c.rows, rows...), !more
	c.page, c.waste = len(rows), 0
	c.limit = min(2*c.limit, c.most)
	return nil
}
