// Command lock notes the version of the OpenAPI document in shared/httpapi/openapi.lock. It
// refuses when the document has changed and its version has not. It is what `make contract-lock`
// runs.
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
