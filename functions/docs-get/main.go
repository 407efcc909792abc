// Command docs-get serves GET /storage/docs, the documentation page of the API, together with the
// OpenAPI document and the script that the page loads. It also serves one OpenAPI document for each
// API, in YAML and in JSON, for client generators. No access token is needed. The command serves
// only the files that pack.py adds to its deployment package.
package main

import (
	"log/slog"
	"os"
	"path/filepath"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	site, err := openSite(os.Executable, httpapi.OpenBaseURLs(env))
	if err != nil { // the package was built without pack.py
		slog.Error("cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambdahttp.Start(env, handler(site))
}

// openSite opens the folder site in the folder of the program. It fails if a file of the site is
// missing.
func openSite(program func() (string, error), urls httpapi.BaseURLs) (site, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	return open(filepath.Join(filepath.Dir(path), "site"), urls)
}
