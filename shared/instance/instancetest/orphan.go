package instancetest

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/instance"
)

// AllOrphanChecks returns the checks of all shards that are older than before, at most 1,000 per
// shard.
func AllOrphanChecks(ctx context.Context, store interface {
	OrphanChecks(ctx context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
}, before time.Time) (checks []instance.OrphanCheck, err error) {
	for shard := range instance.OrphanCheckShards {
		page, err := store.OrphanChecks(ctx, shard, nil, before, 1000)
		if err != nil {
			return nil, err
		}
		checks = append(checks, page...)
	}
	return checks, nil
}
