package main

import (
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func FuzzAnnounce(f *testing.F) {
	seeds := []doortest.Seed{{Query: "formId=attachment", Body: pdf}, {Query: "formId=", Body: pdf}, {Query: "formId=default&formId=default", Body: pdf}}
	for _, body := range []string{
		pdf, `{"contentType":"*/*","size":1,"sha256":"` + sha256 + `"}`, `{"contentType":"a/b","size":-1,"sha256":""}`, `{"contentType":"a/b","size":9223372036854775807,"sha256":"` + sha256 + `"}`,
		`{"contentType":"a/b","size":1e3,"sha256":"` + sha256 + `"}`, `{"fileName":"..","contentType":"a/b\r\nx: y","size":1,"sha256":"` + sha256 + `"}`,
	} {
		seeds = append(seeds, doortest.Seed{Body: body})
	}
	for n := range seeds {
		seeds[n].ContentType = "application/json"
	}
	doortest.Fuzz(f, doortest.Kari, "POST", func(t *testing.T) (*doortest.Site, *instance.Instance, string) {
		s := newSite(t)
		i := s.Add(t, doortest.Report{})
		return s, i, doortest.InApp(i, "/uploads")
	}, seeds...)
}
