package instancetable

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

const (
	batchItems = 25 // the most that one BatchWriteItem takes
	loaders    = 8  // calls in flight
)

// Import writes instances as they are, each with its label items and its Version (0 is stored as 1). It is for restoring
// an export into a table that nobody else writes to, and for tests of volume: no write has a condition, so what is
// there under the same id is overwritten, label items of labels that it no longer has stay, and no event is made. The
// ids must differ. After an error part of the instances is stored; the same call again completes it.
func (t *Table) Import(ctx context.Context, instances []*instance.Instance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []types.WriteRequest)
	var working sync.WaitGroup
	for range loaders {
		working.Go(func() {
			for batch := range batches {
				if err := t.writeBatch(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := batched(ctx, instances, batches)
	close(batches)
	working.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// batched sends the items of all instances in batches, until ctx ends.
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

// putsOf returns the writes of the items that an instance consists of.
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

// writeBatch writes a batch, and what DynamoDB leaves unprocessed again, until all of it is written or ctx ends.
func (t *Table) writeBatch(ctx context.Context, batch []types.WriteRequest) error {
	for attempt := 0; ; attempt++ {
		out, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{t.name: batch},
		})
		if err != nil {
			return err
		}
		if batch = out.UnprocessedItems[t.name]; len(batch) == 0 {
			return nil
		}
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
	}
}
