package main

import (
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func FuzzChange(f *testing.F) {
	var seeds []doortest.Seed
	for _, body := range []string{
		`{"currentStep":"Submit"}`, `{"currentStep":"FormFilling"}`, `{"currentStep":"Archived"}`, `{"currentStep":""}`, `{"currentStep":"submit"}`, `{"currentStep":"Submit#0"}`,
		`{"currentStep":["Submit"]}`, `{"currentstep":"Submit"}`, `{"currentStep":"Submit","currentStep":"Archived"}`, `"Submit"`, ``,
	} {
		seeds = append(seeds, doortest.Seed{ContentType: "application/json", Body: body})
	}
	doortest.Fuzz(f, doortest.Kari, "PUT", func(t *testing.T) (*doortest.Site, *instance.Instance, string) {
		s := newSite(t)
		i := s.Add(t, doortest.Report{Forms: []string{"default"}})
		return s, i, target(i)
	}, seeds...)
}
