package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzAnnounce(f *testing.F) {
	seeds := []apitest.Seed{{Query: "formId=attachment", Body: pdf}, {Query: "formId=", Body: pdf}, {Query: "formId=attachment&dataGuid=x", Body: pdf}, {Query: "formId=default&formId=default", Body: pdf}}
	for _, body := range []string{
		pdf, `{"contentType":"*/*","size":1,"sha256":"` + sha256 + `"}`, `{"contentType":"a/b","size":-1,"sha256":""}`, `{"contentType":"a/b","size":9223372036854775807,"sha256":"` + sha256 + `"}`,
		`{"contentType":"a/b","size":1e3,"sha256":"` + sha256 + `"}`, `{"fileName":"..","contentType":"a/b\r\nx: y","size":1,"sha256":"` + sha256 + `"}`,
	} {
		seeds = append(seeds, apitest.Seed{Query: "formId=attachment", Body: body})
	}
	for n := range seeds {
		seeds[n].ContentType = "application/json"
	}
	apitest.Fuzz(f, apitest.Kari, "POST", func(t *testing.T) (*apitest.API, *instance.Instance, string) {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{})
		return api, i, apitest.InApp(i, "/uploads")
	}, seeds...)
}
