package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzChange(f *testing.F) {
	var seeds []apitest.Seed
	for _, body := range []string{
		`{"currentStep":"Submit"}`, `{"currentStep":"FormFilling"}`, `{"currentStep":"Archived"}`, `{"currentStep":""}`, `{"currentStep":"submit"}`, `{"currentStep":"Submit#0"}`,
		`{"currentStep":["Submit"]}`, `{"currentstep":"Submit"}`, `{"currentStep":"Submit","currentStep":"Archived"}`, `"Submit"`, ``,
		`{"currentStep":"Submit","reason":"Ferdig"}`, `{"currentStep":"Submit","reason":"a\u202eb"}`, `{"currentStep":"Submit","reason":null}`, `{"currentStep":"Submit","reason":["x"]}`,
	} {
		seeds = append(seeds, apitest.Seed{ContentType: "application/json", Body: body})
	}
	apitest.Fuzz(f, apitest.Kari, "PUT", func(t *testing.T) (*apitest.API, *instance.Instance, string) {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		return api, i, target(i)
	}, seeds...)
}
