package main

import (
	"encoding/json"
	"reflect"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

const path = "/storage/applications/nav/app2018"

func newSite(t *testing.T) *doortest.Site {
	s := doortest.New(t)
	s.Serve("GET /storage/applications/{org}/{app}", handler(s.Gate.Tokens, s.Applications))
	return s
}

// Any caller with a token to read may: an application is no secret.
func TestWhoMayRead(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name, caller, path string
		status             int
		code               string
	}{
		{"its owner", doortest.NavReader, path, 200, ""},
		{"another owner", doortest.Skd, path, 200, ""},
		{"a user", doortest.KariReader, path, 200, ""},
		{"a user nobody has reported", doortest.Newcomer, path, 200, ""},
		{"nobody", doortest.Nobody, path, 401, "token-missing"},
		{"a forger", doortest.Forged, path, 401, "token-invalid"},
		{"an owner without the scope", doortest.NavWriter, path, 403, "scope-missing"},
		{"a user without the scope", doortest.KariWriter, path, 403, "scope-missing"},
		{"a user without the scope, of what is not there", doortest.KariWriter, path + "x", 403, "scope-missing"},
		{"its owner, of what is not there", doortest.Nav, path + "x", 404, "not-found"},
		{"its owner, of what cannot be", doortest.Nav, "/storage/applications/nav/A", 404, "not-found"},
		{"its owner, under another org", doortest.Nav, "/storage/applications/skd/other", 404, "not-found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.Do(t, test.caller, "GET", test.path).Want(test.status, test.code)
		})
	}
}

// The answer is what the owner registered, with its id, its org and an ETag.
func TestDocument(t *testing.T) {
	s := newSite(t)
	var got, want map[string]any
	answer := s.Do(t, doortest.Kari, "GET", path).Want(200, "")
	answer.JSON(&got)
	if err := json.Unmarshal([]byte(doortest.Registration), &want); err != nil {
		t.Fatal(err)
	}
	want["id"], want["org"] = "nav/app2018", "nav"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if answer.ETag() != `"1"` {
		t.Errorf("ETag %s", answer.ETag())
	}
	s.Conditional(t, doortest.Kari, path)
}

// What the owner left out is shown as it holds; lists are never null.
func TestDefaults(t *testing.T) {
	s := newSite(t)
	var got struct {
		DataTypes   []application.DataType
		Workflow    application.Workflow
		IndexShards int
	}
	s.Do(t, doortest.Kari, "GET", "/storage/applications/nav/other").Want(200, "").JSON(&got)
	if got.DataTypes == nil || len(got.DataTypes) != 0 || got.IndexShards != 1 || !reflect.DeepEqual(got.Workflow, application.DefaultWorkflow()) {
		t.Errorf("got %+v", got)
	}
}

// The ETag tells of a replaced registration.
func TestReplaced(t *testing.T) {
	s := newSite(t)
	etag := s.Do(t, doortest.Kari, "GET", path).Want(200, "").ETag()
	app, err := s.Applications.Get(t.Context(), doortest.App)
	if err != nil {
		t.Fatal(err)
	}
	app.Title = map[string]string{"nb": "Ny melding"}
	if err := s.Applications.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	got := s.Do(t, doortest.Kari, "GET", path, doortest.Header("If-None-Match", etag)).Want(200, "")
	if got.ETag() != `"2"` {
		t.Errorf("ETag %s after %s", got.ETag(), etag)
	}
}
