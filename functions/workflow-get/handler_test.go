package main

import (
	"fmt"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", handler(api.Authorizer, api.Applications, api.Instances))
	return api
}

func TestState(t *testing.T) {
	api := newAPI(t)
	const since = "2026-05-01T12:00:0%d.123456Z"
	at := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	for _, test := range []struct {
		path        []string
		step        string
		completed   bool
		user, owner string
	}{
		{nil, "FormFilling", false, `["Submit"]`, `["Submit"]`},
		{[]string{"Submit"}, "Submit", false, `["Archived"]`, `["Archived","FormFilling"]`},
		{[]string{"Submit", "FormFilling"}, "FormFilling", false, `["Submit"]`, `["Submit"]`},
		{[]string{"Submit", "Archived"}, "Archived", true, `[]`, `[]`},
	} {
		t.Run(fmt.Sprint(test.path), func(t *testing.T) {
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: test.path, At: at})
			for caller, reachable := range map[string]string{
				apitest.KariReader: test.user, apitest.KariBySSN: test.user, apitest.NavReader: test.owner,
			} {
				api.AssertUnchanged(t, i, func() {
					want := fmt.Sprintf(`{"currentStep":%q,"isCompleted":%t,"since":"`+since+`","reachable":%s}`,
						test.step, test.completed, len(test.path), reachable)
					got := api.Do(t, caller, "GET", apitest.InApp(i, "/workflow")).Want(200, "")
					if got.Body.String() != want || got.Header().Get("Content-Type") != "application/json" {
						t.Errorf("got  %s\nwant %s", got.Body, want)
					}
					if want := fmt.Sprintf(`"%d"`, i.Version); got.ETag() != want {
						t.Errorf("ETag %s, want the ETag of the instance, %s", got.ETag(), want)
					}
				})
			}
		})
	}
}

func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	api.CheckAccess(t, i, false, "GET", apitest.InApp(i, "/workflow"))
	api.CheckConditionalGet(t, apitest.Kari, apitest.InApp(i, "/workflow"))
}
