package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func FuzzAdd(f *testing.F) {
	var seeds []doortest.Seed
	for _, query := range []string{
		"formId=default", "formId=attachment", "formId=", "", "formId=default&formId=attachment", "formId=%00", "formId=../x", "FormId=default", "formId=default&upload=",
		"formId=default&upload=" + strings.Repeat("0", 64), "formId=default&upload=" + strings.Repeat("0", 3000), "formId=%ff", "%",
	} {
		seeds = append(seeds, doortest.Seed{Query: query, ContentType: "application/xml", Body: "<a/>"})
	}
	for _, contentType := range []string{"application/json; charset=\"utf-8\"", "*/*", "a/b\r\nx: y", "image/*", strings.Repeat("a", 300) + "/b", "text/html", ""} {
		seeds = append(seeds, doortest.Seed{Query: "formId=attachment", ContentType: contentType, Body: "{}"})
	}
	doortest.Fuzz(f, doortest.Kari, "POST", func(t *testing.T) (*doortest.Site, *instance.Instance, string) {
		s := newSite(t)
		i := s.Add(t, doortest.Report{})
		return s, i, doortest.InApp(i, "/data")
	}, seeds...)
}
