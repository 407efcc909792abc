package instancetest

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/instance"
)

// Litter returns the notes of all parts that were made before the time given, as many as a test has.
func Litter(ctx context.Context, store interface {
	Litter(ctx context.Context, part int, after *instance.Litter, before time.Time, limit int) ([]instance.Litter, error)
}, before time.Time) (notes []instance.Litter, err error) {
	for part := range instance.LitterParts {
		some, err := store.Litter(ctx, part, nil, before, 1000)
		if err != nil {
			return nil, err
		}
		notes = append(notes, some...)
	}
	return notes, nil
}
