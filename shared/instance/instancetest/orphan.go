package instancetest

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/instance"
)

// OrphanCheck returns the notes of all parts that were made before the time given, as many as a test has.
func OrphanCheck(ctx context.Context, store interface {
	OrphanChecks(ctx context.Context, part int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
}, before time.Time) (notes []instance.OrphanCheck, err error) {
	for part := range instance.OrphanCheckShards {
		some, err := store.OrphanChecks(ctx, part, nil, before, 1000)
		if err != nil {
			return nil, err
		}
		notes = append(notes, some...)
	}
	return notes, nil
}
