package busy

import (
	"context"
	"slices"
	"sync"
)

// InBatches calls do with all values, in batches of at most size and at most parallel at a time.
// do returns the values of its batch that AWS has left unprocessed. InBatches calls do with them
// again, as the budget of ctx allows, or returns fault.Busy. After an error of one batch,
// InBatches begins no other one and returns the error.
func InBatches[T any](ctx context.Context, values []T, size, parallel int, do func(ctx context.Context, batch []T) (unprocessed []T, err error)) error {
	if len(values) == 0 {
		return nil
	}
	ctx = WithBudget(ctx)
	batches := make(chan []T)
	var failed error
	var once sync.Once
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range min(parallel, (len(values)+size-1)/size) {
		workers.Go(func() {
			for batch := range batches {
				if err := untilProcessed(ctx, batch, do); err != nil {
					once.Do(func() { failed = err; close(stop) })
					return
				}
			}
		})
	}
send:
	for batch := range slices.Chunk(values, size) {
		select {
		case batches <- batch:
		case <-stop:
			break send
		}
	}
	close(batches)
	workers.Wait()
	return failed
}

func untilProcessed[T any](ctx context.Context, batch []T, do func(context.Context, []T) ([]T, error)) error {
	for {
		unprocessed, err := do(ctx, batch)
		if err != nil || len(unprocessed) == 0 {
			return err
		}
		if err := Retry(ctx); err != nil {
			return err
		}
		batch = unprocessed
	}
}
