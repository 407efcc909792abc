package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzChanges(f *testing.F) {
	var seeds []apitest.Seed
	for _, body := range []string{
		`{}`, `{"data":[]}`, `{"data":null,"metadata":null,"workflow":null}`, `{"workflow":{"currentStep":"Submit"}}`, `{"data":[{"op":"add","formId":"default","part":"p"}]}`,
		`{"data":[{"op":"replace","id":"x","upload":"y","ifMatch":""}]}`, `{"data":[{"op":"delete","id":"` + strings.Repeat("0", 3000) + `"}]}`,
		`{"metadata":{"labels":["a"]}}`, `{"data":[` + strings.Repeat(`{"op":"delete","id":"a"},`, 41) + `{}]}`, `[]`, `{"data":{}}`,
	} {
		seeds = append(seeds, apitest.Seed{ContentType: "application/json", Body: body}, apitest.Seed{ContentType: form().contentType, Body: form("changes", "", body).body},
			apitest.Seed{ContentType: form().contentType, Body: form("p", "application/xml", "<a/>", "changes", "application/json", body).body})
	}
	apitest.Fuzz(f, apitest.Kari, "POST", func(t *testing.T) (*apitest.API, *instance.Instance, string) {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{})
		return api, i, apitest.InApp(i, "/changes")
	}, seeds...)
}
