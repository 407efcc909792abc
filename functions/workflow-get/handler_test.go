package main

import (
	"fmt"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", handler(s.Authorizer, s.Applications, s.Instances))
	return s
}

func TestWhereAnInstanceIsAndMayGo(t *testing.T) {
	s := newSite(t)
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
			i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: test.path, At: at})
			for caller, reachable := range map[string]string{
				apitest.KariReader: test.user, apitest.KariBySSN: test.user, apitest.NavReader: test.owner,
			} {
				s.AssertUnchanged(t, i, func() {
					want := fmt.Sprintf(`{"currentStep":%q,"isCompleted":%t,"since":"`+since+`","reachable":%s}`,
						test.step, test.completed, len(test.path), reachable)
					got := s.Do(t, caller, "GET", apitest.InApp(i, "/workflow")).Want(200, "")
					if got.Body.String() != want || got.Header().Get("Content-Type") != "application/json" {
						t.Errorf("got  %s\nwant %s", got.Body, want)
					}
					if want := fmt.Sprintf(`"%d"`, i.Version); got.ETag() != want {
						t.Errorf("ETag %s, want the instance's, %s", got.ETag(), want)
					}
				})
			}
		})
	}
}

func TestWhoMayRead(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	s.CheckAccess(t, i, false, "GET", apitest.InApp(i, "/workflow"))
	s.CheckConditionalGet(t, apitest.Kari, apitest.InApp(i, "/workflow"))
}
