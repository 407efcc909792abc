package main

import (
	"slices"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// TestScan adds and replaces content with one request.
func TestScan(t *testing.T) {
	newAPI := func(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
		api := apitest.New(t)
		api.Malware = malware
		api.Serve(route, newHandler(handlerOf(api)))
		return api
	}
	apitest.CheckNewContent(t, newAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(
			`{"data":[{"op":"replace","id":"`+i.Data[0].ID+`","part":"p"}]}`, "p", xmlType, "<melding/>")).Instance(api, 200)
	})
	apitest.CheckNewContent(t, newAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
		i := api.Add(t, apitest.InstanceSpec{})
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(
			`{"data":[{"op":"add","formId":"default","part":"p"}],"workflow":{"currentStep":"Submit"}}`, "p", xmlType, "<melding/>")).Instance(api, 200)
	})
}

// TestInfectedUpload adds an upload that is known to be infected. The same request cannot submit
// it.
func TestInfectedUpload(t *testing.T) {
	api := apitest.New(t)
	api.Malware = apitest.Scanning
	api.Serve(route, newHandler(handlerOf(api)))
	i := api.Add(t, apitest.InstanceSpec{})
	u := api.Announce(t, i, apitest.Content, func(u *instance.Upload) { u.Content.Scanning = application.ScanningStrict })
	api.ScanEarly(t, instance.ScanInfected)
	api.Send(t, u, apitest.Content)
	add := `"data":[{"op":"add","formId":"default","upload":"` + u.ID + `"}]`
	api.AssertUnchanged(t, i, func() {
		r := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), apitest.JSON(`{`+add+`,"workflow":{"currentStep":"Submit"}}`)).Want(409, "data-invalid")
		if issues := r.Problem().Issues; !slices.ContainsFunc(issues, func(i fault.Issue) bool { return i.Code == "DataElementInfected" && i.Field == "/data/0" }) {
			t.Errorf("the issues are %+v", issues)
		}
	})
	got := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), apitest.JSON(`{`+add+`}`)).Instance(api, 200)
	if got.Data[0].ScanStatus() != instance.ScanInfected || got.Version-got.ScanWrites != i.Version+1 {
		t.Errorf("got %+v", got)
	}
}
