// Command docs-get serves GET /storage/docs, the documentation page of the API, together with the
// OpenAPI document and the script that the page loads. It also serves one OpenAPI document for each
// API, in YAML and in JSON, for client generators. No access token is needed. The program contains
// the files, and serves no others.
package main

import (
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(newSite(httpapi.OpenBaseURLs(env))))
}
