package main

import (
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// store is where instances are; *instancetable.Table is one.
type store interface {
	instancehttp.Reader
	instancequery.Index
}

// handler responds with one instance if the path has its id, else with the instances of a party.
// API Gateway cannot distinguish the two paths.
func handler(authorizer instancehttp.Authorizer, instances store, locator instancehttp.Locator, view instancehttp.View) http.Handler {
	list := &instancehttp.QueryEndpoint{Authorizer: authorizer, Index: instances, View: view}
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if guid := strings.ToLower(r.PathValue("instanceOwnerId")); instance.ValidGuid(guid) {
			return instancehttp.GetByID(w, r, authorizer, guid, locator, instances, view)
		}
		return list.QueryOwn(w, r)
	})
}
