package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzAdd(f *testing.F) {
	var seeds []apitest.Seed
	for _, query := range []string{
		"formId=default", "formId=attachment", "formId=", "", "formId=default&formId=attachment", "formId=%00", "formId=../x", "FormId=default", "formId=default&upload=",
		"formId=default&upload=" + strings.Repeat("0", 64), "formId=default&upload=" + strings.Repeat("0", 3000), "formId=%ff", "%",
	} {
		seeds = append(seeds, apitest.Seed{Query: query, ContentType: "application/xml", Body: "<a/>"})
	}
	for _, contentType := range []string{"application/json; charset=\"utf-8\"", "*/*", "a/b\r\nx: y", "image/*", strings.Repeat("a", 300) + "/b", "text/html", ""} {
		seeds = append(seeds, apitest.Seed{Query: "formId=attachment", ContentType: contentType, Body: "{}"})
	}
	apitest.Fuzz(f, apitest.Kari, "POST", func(t *testing.T) (*apitest.API, *instance.Instance, string) {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{})
		return api, i, apitest.InApp(i, "/data")
	}, seeds...)
}
