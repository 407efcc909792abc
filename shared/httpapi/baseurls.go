package httpapi

import (
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/coldstart"
)

// BaseURLs contains the public base URLs of the two APIs, without a trailing slash. Build links
// from these URLs, never from a request's Host header, which the caller chooses.
type BaseURLs struct {
	Apps     string // Application API, with "{org}" as a placeholder: https://{org}.apps.altinn.no
	Platform string // Storage API: https://platform.altinn.no
}

// OpenBaseURLs returns the base URLs in APPS_BASE_URL and PLATFORM_BASE_URL.
func OpenBaseURLs(env *coldstart.Env) BaseURLs {
	return BaseURLs{
		Apps:     strings.TrimSuffix(env.String("APPS_BASE_URL"), "/"),
		Platform: strings.TrimSuffix(env.String("PLATFORM_BASE_URL"), "/"),
	}
}

// AppsFor returns the base URL of the Application API for an org.
func (b BaseURLs) AppsFor(org string) string { return strings.ReplaceAll(b.Apps, "{org}", org) }

// PlatformURL returns the public URL of the resource that r requests from the Storage API. It
// appends query unless query is "".
func (b BaseURLs) PlatformURL(r *http.Request, query string) string {
	address := b.Platform + r.URL.EscapedPath()
	if query != "" {
		address += "?" + query
	}
	return address
}
