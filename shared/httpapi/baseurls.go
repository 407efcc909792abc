package httpapi

import (
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/coldstart"
)

// BaseURLs are the public addresses of the two APIs. Links are made of these, never of a request's Host header,
// which the caller chooses.
type BaseURLs struct {
	Apps     string // of the Application API; "{org}" in it stands for the org: https://{org}.apps.altinn.no
	Platform string // of the Storage API: https://platform.altinn.no
}

// OpenBaseURLs reads APPS_BASE_URL and PLATFORM_BASE_URL.
func OpenBaseURLs(env *coldstart.Env) BaseURLs {
	return BaseURLs{
		Apps:     strings.TrimSuffix(env.String("APPS_BASE_URL"), "/"),
		Platform: strings.TrimSuffix(env.String("PLATFORM_BASE_URL"), "/"),
	}
}

// AppsFor returns the address of the Application API for an org.
func (b BaseURLs) AppsFor(org string) string { return strings.ReplaceAll(b.Apps, "{org}", org) }

// PlatformURL returns the absolute URL under which the request's own resource, a path of the Storage API, is
// public, with the query given.
func (b BaseURLs) PlatformURL(r *http.Request, query string) string {
	address := b.Platform + r.URL.EscapedPath()
	if query != "" {
		address += "?" + query
	}
	return address
}
