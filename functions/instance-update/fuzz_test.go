package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzUpdate(f *testing.F) {
	var seeds []apitest.Seed
	for _, body := range []string{
		`{"labels":["x2","ny"]}`, `{"labels":null,"dueDateTime":null,"visibleDateTime":null,"presentationField":null}`, `{"dueDateTime":"2026-06-01T14:00:00+02:00"}`, `{}`, `null`,
		`{"presentationField":"\ud83d\ude00"}`, `{"presentationField":"\ud83d"}`, `{"labels":[["a"]]}`, `{"labels":{"a":1}}`, `{"labels":[null]}`, `{"labels":["a","a"]}`, `{"labels":["a,b"]}`,
		`{"labels":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, `{"dueDateTime":1e999999}`, `{"labels":["a"],"labels":["b"]}`,
	} {
		seeds = append(seeds, apitest.Seed{ContentType: "application/merge-patch+json", Body: body})
	}
	apitest.Fuzz(f, apitest.Nav, "PATCH", func(t *testing.T) (*apitest.API, *instance.Instance, string) {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr"}, Forms: []string{"default"}})
		return api, i, apitest.InApp(i, "")
	}, seeds...)
}
