package merge

import "context"

// limitAfterSeek is the limit of the first read after seeks that skipped at least half of the last
// page. Often the next seek skips most of the next page too. The limit then doubles with each read.
// Seeks that only go from each row to the next one do not count.
const limitAfterSeek = 8

// reader reads one range in pages.
type reader[T any] struct {
	order    Order
	read     Range[T]
	budget   *Budget
	limit    int      // of the next read
	maxLimit int      // limit doubles up to maxLimit; a union may set a higher limit
	rows     []Row[T] // read and not consumed
	from     string   // key where the next read begins
	fromRead bool     // the row with the key from was read before
	valued   bool     // the next read must have values, whatever the budget
	seek     string   // rows before it are skipped; "" for none
	pageSize int      // number of rows of the last read
	skipped  int      // number of these rows that a seek skipped, which were read for nothing
	consumed int      // number of rows that Next consumed
	done     bool     // the range has no rows after rows
	unopened bool     // nothing was read; rows has only the bound of the first row, as a key
}

// Peek returns the first row without consuming it, or ok false at the end.
func (r *reader[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		for passed := 0; len(r.rows) > 0 && r.order.before(r.rows[0].Key, r.seek) && r.seek != ""; passed++ {
			r.dropFirst()
			if passed > 0 { // the first row is the stream's last position, so its read was useful
				r.skipped++
			}
		}
		if len(r.rows) > 0 {
			return r.rows[0], true, nil
		}
		if r.done {
			return row, false, nil
		}
		if err := r.readPage(ctx); err != nil {
			return row, false, err
		}
	}
}

// Next consumes the row that Peek returned.
func (r *reader[T]) Next() {
	r.dropFirst()
	r.consumed++
}

// dropFirst removes the first row.
func (r *reader[T]) dropFirst() {
	r.budget.add(-r.rows[0].Size)
	r.rows[0] = Row[T]{} // the slice keeps its array, which must not keep the value
	r.rows = r.rows[1:]
}

// discard reduces the rows to the first n and the key of the row after them.
func (r *reader[T]) discard(n int) {
	key := r.rows[n].Key
	for at := n; at < len(r.rows); at++ {
		r.budget.add(-r.rows[at].Size)
		r.rows[at] = Row[T]{}
	}
	r.rows = append(r.rows[:n], Row[T]{Key: key, KeyOnly: true})
	r.from, r.fromRead, r.done = key, true, false
}

// reload makes the next read return the first row, of which only the key is known, with its value.
func (r *reader[T]) reload() {
	r.discard(0)
	r.rows, r.fromRead, r.valued = nil, false, true
}

// Seek skips the rows before key.
func (r *reader[T]) Seek(key string) { r.seek = key }

// seekedPast reports whether the last seek was to a key after all rows that were read.
func (r *reader[T]) seekedPast() bool {
	return r.seek != "" && (r.from == "" || r.order.before(r.from, r.seek))
}

// needsRead reports whether the reader must read to return its next row.
func (r *reader[T]) needsRead() bool { return len(r.rows) == 0 && !r.done }

// readPage reads the next page, which begins at the last row read or at the key of a later seek.
func (r *reader[T]) readPage(ctx context.Context) error {
	r.unopened = false
	if r.seekedPast() {
		if len(r.rows) > 0 {
			r.discard(0)
		}
		r.from, r.fromRead, r.rows = r.seek, false, nil
		if 2*r.skipped >= r.pageSize {
			r.limit = limitAfterSeek
		}
	}
	limit := r.limit
	if r.fromRead {
		limit++ // the row with the key from is read again
	}
	if err := r.budget.startRead(ctx); err != nil {
		return err
	}
	defer r.budget.endRead()
	keysOnly := r.budget.exhausted() && !r.valued
	rows, more, err := r.read(ctx, r.from, limit, keysOnly)
	if err != nil {
		return err
	}
	r.valued = false
	if r.fromRead && len(rows) > 0 && rows[0].Key == r.from {
		rows = rows[1:]
	}
	if len(rows) > 0 {
		r.from, r.fromRead = rows[len(rows)-1].Key, true
	}
	for _, row := range rows {
		r.budget.add(row.Size)
	}
	r.rows, r.done = append(r.rows, rows...), !more
	r.pageSize, r.skipped = len(rows), 0
	if !keysOnly {
		r.limit = min(2*r.limit, r.maxLimit)
	}
	return nil
}
