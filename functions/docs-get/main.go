// Command docs-get answers GET /storage/docs: the API's documentation, for anybody, and what the page is made of, the
// OpenAPI document and the script that shows it. It reads the files that pack.py has put beside it, and nothing else.
package main

import (
	"log/slog"
	"os"
	"path/filepath"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	site, err := openBeside(os.Executable)
	if err != nil { // built without pack.py
		slog.Error("cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambdahttp.Start(env, handler(site))
}

// openBeside opens the site beside the program.
func openBeside(program func() (string, error)) (site, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	return open(filepath.Join(filepath.Dir(path), "site"))
}
