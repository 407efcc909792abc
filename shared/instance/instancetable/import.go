package instancetable

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

const (
	batchItems = 25 // maximum number of items of a BatchWriteItem
	importers  = 8  // concurrent calls
)

// Import writes instances unchanged, each with its label items and its Version (0 is stored as
// 1). Use it to restore an export into a table without other writers, and for volume tests. Its
// writes have no conditions: Import overwrites instances with the same id, and keeps label items
// of labels that they no longer have. It creates no events, so an application owner finds an
// imported instance by its id alone only if its events exist already. The ids must differ. After
// an error some of the instances are stored; repeat the call to store the others.
func (t *Table) Import(ctx context.Context, instances []*instance.Instance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []types.WriteRequest)
	var workers sync.WaitGroup
	for range importers {
		workers.Go(func() {
			for batch := range batches {
				if err := t.importBatch(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := batched(ctx, instances, batches)
	close(batches)
	workers.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// batched sends the puts of all instances to batches, until ctx ends.
func batched(ctx context.Context, instances []*instance.Instance, batches chan<- []types.WriteRequest) error {
	var pending []types.WriteRequest
	for n, i := range instances {
		requests, err := putsOf(i)
		if err != nil {
			return err
		}
		pending = append(pending, requests...)
		for len(pending) >= batchItems || n == len(instances)-1 && len(pending) > 0 {
			size := min(batchItems, len(pending))
			select {
			case batches <- slices.Clone(pending[:size]):
				pending = pending[size:]
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// putsOf returns the writes of the items of an instance.
func putsOf(i *instance.Instance) ([]types.WriteRequest, error) {
	stored, err := itemsOf(i, max(i.Version, 1))
	if err != nil {
		return nil, err
	}
	puts := []types.WriteRequest{{PutRequest: &types.PutRequest{Item: stored.own}}}
	for _, item := range stored.labels {
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	return puts, nil
}

// importBatch writes a batch. An import has no caller that waits, so importBatch repeats
// unprocessed items without a limit, after a wait of up to 400 ms, until ctx ends.
func (t *Table) importBatch(ctx context.Context, batch []types.WriteRequest) error {
	for {
		var err error
		if batch, err = t.writeBatch(ctx, batch); err != nil || len(batch) == 0 {
			return err
		}
		select {
		case <-time.After(rand.N(400 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// writeBatch writes a batch once and returns the unprocessed requests.
func (t *Table) writeBatch(ctx context.Context, batch []types.WriteRequest) ([]types.WriteRequest, error) {
	out, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
		RequestItems: map[string][]types.WriteRequest{t.name: batch},
	})
	if err != nil {
		return nil, err
	}
	return out.UnprocessedItems[t.name], nil
}
