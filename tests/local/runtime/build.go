package runtime

import (
	"context"

	"altinn.no/instanceapi/tests/local/build"
)

// Build builds a bootstrap of every function for this machine.
func Build(ctx context.Context, root string) error { return build.Build(ctx, root) }

// Binary returns the path of a function's bootstrap that Build has written, by the function's
// folder.
func Binary(root, function string) string { return build.Binary(root, function) }
