package runtime

import (
	"context"

	"altinn.no/instanceapi/tests/local/build"
)

// Build makes a bootstrap of every function for this machine.
func Build(ctx context.Context, root string) error { return build.Build(ctx, root) }

// Binary returns the path of the bootstrap that Build has made of a function, named by its folder.
func Binary(root, function string) string { return build.Binary(root, function) }

// Arch is this machine's architecture as Lambda calls it.
func Arch() string { return build.Arch() }
