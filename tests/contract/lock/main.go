// Command lock records the version of the OpenAPI document in shared/httpapi/openapi.lock. It
// fails if the document has changed but its version has not. `make contract-lock` runs it.
package main

import (
	"fmt"
	"os"

	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/workspace"
)

func main() {
	root, err := workspace.Root()
	if err == nil {
		err = contract.RenewFile(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
}
