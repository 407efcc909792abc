package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/httpapi"
)

// FuzzRegistration checks that any body is either rejected without effect or registered. A
// registered application must be valid, fit in an item, and be the same when read.
func FuzzRegistration(f *testing.F) {
	for _, seed := range []string{
		apitest.Registration, `{}`, `{"id":"nav/app2019","org":"nav","title":{"nb":"x","nn":"<&>"},"dataTypes":[{"formId":"a","schema":{"type":"object","x":"\u2028"}}]}`,
		`{"dataTypes":[{"formId":"a","maxSize":9223372036854775807,"minCount":0,"maxCount":1e3}]}`, `{"dataTypes":null,"workflow":{"steps":[],"transitions":null}}`,
		`{"workflow":{"steps":[{"name":"A","validateOnExit":true},{"name":"B","completes":true,"archives":true}],"transitions":[{"from":"A","to":"B","by":["user","owner"]}]},"indexShards":64}`,
		`{"indexShards":0}`, `{"id":"","org":""}`, `{"workflow":null,"indexShards":null}`, `{"workflow":{}}`,
		`{"workflow":{"steps":[{"name":"A"}],"transitions":[{"from":"A","to":"A","by":null}]}}`, `{"dataTypes":[{"formId":"a","schema":null},{"formId":"b","schema":[]}]}`, `{"title":{"\ud800":"x"}}`,
		`{"dataTypes":[{"formId":"a","schema":{"$ref":"#/$defs/x","$defs":{"x":{"$ref":"#"}}}}]}`, `{"dataTypes":` + strings.Repeat("[", 100), `{"indexShards":-1,"checkIdentityNumbers":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		api := newAPI(t)
		response := api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(string(body)))
		stored, err := api.Applications.Get(t.Context(), "nav/app2019")
		if err != nil {
			t.Fatal(err)
		}
		if stored != nil {
			if err := stored.LoadSchemas(t.Context(), api.Applications.Schema); err != nil {
				t.Fatal(err)
			}
		}
		if response.Code != 201 {
			if response.Code < 400 || response.Code >= 500 || stored != nil {
				t.Fatalf("%d %s, stored %+v", response.Code, response.Body, stored)
			}
			return
		}
		text, err := json.Marshal(stored)
		shown, showErr := httpapi.Marshal(stored)
		if err != nil || showErr != nil || len(text) > maxBody || !bytes.Equal(shown, response.Body.Bytes()) || stored.Validate() != nil {
			t.Fatalf("stored as %s (%v), response %s; %v", text, err, response.Body, stored.Validate())
		}
		var again application.Application
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if same, err := json.Marshal(again); err != nil || !bytes.Equal(same, text) {
			t.Fatalf("stored as %s, read as %s (%v)", text, same, err)
		}
		api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(response.Body.String())).Want(200, "") // a response is a valid request
	})
}
