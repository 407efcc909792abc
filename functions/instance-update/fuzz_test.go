package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func FuzzUpdate(f *testing.F) {
	var seeds []doortest.Seed
	for _, body := range []string{
		`{"labels":["x2","ny"]}`, `{"labels":null,"dueDateTime":null,"visibleDateTime":null,"presentationField":null}`, `{"dueDateTime":"2026-06-01T14:00:00+02:00"}`, `{}`, `null`,
		`{"presentationField":"\ud83d\ude00"}`, `{"presentationField":"\ud83d"}`, `{"labels":[["a"]]}`, `{"labels":{"a":1}}`, `{"labels":[null]}`, `{"labels":["a","a"]}`, `{"labels":["a,b"]}`,
		`{"labels":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, `{"dueDateTime":1e999999}`, `{"labels":["a"],"labels":["b"]}`,
	} {
		seeds = append(seeds, doortest.Seed{ContentType: "application/merge-patch+json", Body: body})
	}
	doortest.Fuzz(f, doortest.Nav, "PATCH", func(t *testing.T) (*doortest.Site, *instance.Instance, string) {
		s := newSite(t)
		i := s.Add(t, doortest.Report{Labels: []string{"gr"}, Forms: []string{"default"}})
		return s, i, doortest.InApp(i, "")
	}, seeds...)
}
