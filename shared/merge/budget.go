package merge

import (
	"context"
	"sync/atomic"
)

// Budget limits the bytes of values that some unions hold together, and their concurrent reads. The
// size of a value is known only when it was read, so the concurrent reads may exceed the budget by
// what they return. A nil Budget is unlimited.
type Budget struct {
	max    int64        // bytes
	unions int64        // number of unions that share the budget
	held   atomic.Int64 // bytes
	reads  chan struct{}
}

// NewBudget returns a budget of maxBytes and maxReads concurrent reads.
func NewBudget(maxBytes, maxReads int) *Budget {
	return &Budget{max: int64(maxBytes), reads: make(chan struct{}, maxReads)}
}

// startRead waits until the budget allows another read. The caller must call endRead after the read
// if startRead returns no error.
func (b *Budget) startRead(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case b.reads <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endRead ends a read.
func (b *Budget) endRead() {
	if b != nil {
		<-b.reads
	}
}

// add adds bytes, which may be negative, to those held.
func (b *Budget) add(bytes int) {
	if b != nil {
		b.held.Add(int64(bytes))
	}
}

// exhausted reports whether no further value may be read.
func (b *Budget) exhausted() bool { return b != nil && b.held.Load() >= b.max }

// share returns the number of bytes to which a union reduces what it holds when the budget is
// exhausted: half of its part, so that it can read further values.
func (b *Budget) share() int { return int(b.max / b.unions / 2) }
