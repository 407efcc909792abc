package main

import (
	"encoding/json"
	"reflect"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
)

const path = "/storage/applications/nav/app2018"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /storage/applications/{org}/{app}", handler(api.Authorizer.Authenticator, api.Applications))
	return api
}

// TestWhoMayRead checks that every caller with a read scope may read: applications are not secret.
func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	for _, test := range []struct {
		name, caller, path string
		status             int
		code               string
	}{
		{"its owner", apitest.NavReader, path, 200, ""},
		{"another owner", apitest.Skd, path, 200, ""},
		{"a user", apitest.KariReader, path, 200, ""},
		{"a user without a party number", apitest.Newcomer, path, 200, ""},
		{"no token", apitest.Nobody, path, 401, "token-missing"},
		{"a forged token", apitest.Forged, path, 401, "token-invalid"},
		{"an owner without the scope", apitest.NavWriter, path, 403, "scope-missing"},
		{"a user without the scope", apitest.KariWriter, path, 403, "scope-missing"},
		{"a user without the scope, for an unknown application", apitest.KariWriter, path + "x", 403, "scope-missing"},
		{"its owner, for an unknown application", apitest.Nav, path + "x", 404, "not-found"},
		{"its owner, for a malformed id", apitest.Nav, "/storage/applications/nav/A", 404, "not-found"},
		{"its owner, under another org", apitest.Nav, "/storage/applications/skd/other", 404, "not-found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api.Do(t, test.caller, "GET", test.path).Want(test.status, test.code)
		})
	}
}

// TestDocument compares the response with the registration, its id and org, and checks the ETag.
func TestDocument(t *testing.T) {
	api := newAPI(t)
	var got, want map[string]any
	response := api.Do(t, apitest.Kari, "GET", path).Want(200, "")
	response.JSON(&got)
	if err := json.Unmarshal([]byte(apitest.Registration), &want); err != nil {
		t.Fatal(err)
	}
	want["id"], want["org"] = "nav/app2018", "nav"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if response.ETag() != `"1"` {
		t.Errorf("ETag %s", response.ETag())
	}
	api.CheckConditionalGet(t, apitest.Kari, path)
}

// TestDefaults checks that the response contains the defaults of absent members, and no null lists.
func TestDefaults(t *testing.T) {
	api := newAPI(t)
	var got struct {
		DataTypes   []application.DataType
		Workflow    application.Workflow
		IndexShards int
	}
	api.Do(t, apitest.Kari, "GET", "/storage/applications/nav/other").Want(200, "").JSON(&got)
	if got.DataTypes == nil || len(got.DataTypes) != 0 || got.IndexShards != 1 || !reflect.DeepEqual(got.Workflow, application.DefaultWorkflow()) {
		t.Errorf("got %+v", got)
	}
}

// TestETagOfReplacedRegistration checks that replacing a registration changes the ETag.
func TestETagOfReplacedRegistration(t *testing.T) {
	api := newAPI(t)
	etag := api.Do(t, apitest.Kari, "GET", path).Want(200, "").ETag()
	app, err := api.Applications.Get(t.Context(), apitest.App)
	if err != nil {
		t.Fatal(err)
	}
	app.Title = map[string]string{"nb": "Ny melding"}
	if err := api.Applications.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	got := api.Do(t, apitest.Kari, "GET", path, apitest.Header("If-None-Match", etag)).Want(200, "")
	if got.ETag() != `"2"` {
		t.Errorf("ETag %s after %s", got.ETag(), etag)
	}
}
