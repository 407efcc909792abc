package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", handler(api.Authorizer, api.Applications, api.Instances))
	return api
}

func TestState(t *testing.T) {
	api := newAPI(t)
	const since = "2026-05-01T12:00:0%d.123456Z"
	const submitted = `"submittedDateTime":"2026-05-01T12:00:01.123456Z",`
	at := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	for _, test := range []struct {
		path        []string
		step        string
		completed   bool
		submitted   string
		read        string
		user, owner string
	}{
		{nil, "FormFilling", false, "", "Read", `["Submit"]`, `["Submit"]`},
		{[]string{"Submit"}, "Submit", false, submitted, "Read", `["Archived"]`, `["Archived","FormFilling"]`},
		{[]string{"Submit", "FormFilling"}, "FormFilling", false, submitted, "UpdatedSinceLastReview", `["Submit"]`, `["Submit"]`},
		{[]string{"Submit", "Archived"}, "Archived", true, submitted, "Read", `[]`, `[]`},
	} {
		t.Run(fmt.Sprint(test.path), func(t *testing.T) {
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: test.path, At: at})
			for caller, reachable := range map[string]string{
				apitest.KariReader: test.user, apitest.KariBySSN: test.user, apitest.NavReader: test.owner,
			} {
				api.AssertUnchanged(t, i, func() {
					want := fmt.Sprintf(`{"currentStep":%q,"isCompleted":%t,"since":"`+since+`",%s"readStatus":%q,"reachable":%s}`,
						test.step, test.completed, len(test.path), test.submitted, test.read, reachable)
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

// TestTellsWhatToDo reads the status of an instance that was sent back, in an application in which
// the next submission requires a reason.
func TestTellsWhatToDo(t *testing.T) {
	api := newAPI(t)
	workflow := application.DefaultWorkflow()
	workflow.Transitions[0].RequiresReason = true
	text, err := json.Marshal(map[string]any{"workflow": workflow})
	if err != nil {
		t.Fatal(err)
	}
	api.Register(t, apitest.App, string(text))
	due := time.Date(2099, 5, 1, 12, 0, 0, 0, time.UTC)
	i := api.Change(t, api.Add(t, apitest.InstanceSpec{Due: &due}), func(i *instance.Instance) error {
		i.Workflow.Reason = "Feltet mangler"
		return i.SetSubstatus("Mangler", "Fyll ut", due)
	})
	got := api.Do(t, apitest.Kari, "GET", apitest.InApp(i, "/workflow")).Want(200, "").Body.String()
	const want = `"reason":"Feltet mangler","substatus":{"label":"Mangler","description":"Fyll ut","changedDateTime":"2099-05-01T12:00:00.000000Z"},` +
		`"readStatus":"UpdatedSinceLastReview","dueDateTime":"2099-05-01T12:00:00.000000Z","reachable":["Submit"],"needReason":["Submit"]}`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got  %s\nwant …%s", got, want)
	}
}

func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	api.CheckAccess(t, i, false, "GET", apitest.InApp(i, "/workflow"))
	api.CheckConditionalGet(t, apitest.Kari, apitest.InApp(i, "/workflow"))
}

// TestDeleteAfter reads when the registered retention deletes an instance. A legal hold without an
// end has no such time.
func TestDeleteAfter(t *testing.T) {
	at := time.Date(2099, 5, 1, 12, 0, 0, 0, time.UTC)
	hold := func(until *time.Time) func(*instance.Instance) error {
		return func(i *instance.Instance) error { return i.Hold("x", until, "nav", time.Now()) }
	}
	end := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	softly := func(i *instance.Instance) error { return i.Delete(application.User, at) }
	unchanged := func(*instance.Instance) error { return nil }
	for name, test := range map[string]struct {
		rules  string
		path   []string
		change func(*instance.Instance) error
		want   string
	}{
		"no rules":              {``, nil, unchanged, ""},
		"a draft":               {`"drafts":{"after":"P90D"}`, nil, unchanged, "2099-07-30T12:00:00.000000Z"},
		"a submission":          {`"drafts":{"after":"P90D"}`, []string{"Submit"}, unchanged, ""},
		"deleted":               {`"deleted":{"after":"P2W"}`, nil, softly, "2099-05-15T12:00:00.000000Z"},
		"deleted, in the queue": {`"deleted":{"after":"P2W"}`, []string{"Submit"}, softly, ""},
		"archived, kept":        {`"archived":{"after":"P1Y"}`, []string{"Submit", "Archived"}, unchanged, ""},
		"archived":              {`"archived":{"after":"P1Y","unconfirmed":"delete"}`, []string{"Submit", "Archived"}, unchanged, "2100-05-01T12:00:02.000000Z"},
		"held":                  {`"drafts":{"after":"P90D"}`, nil, hold(nil), ""},
		"held for a time":       {`"drafts":{"after":"P90D"}`, nil, hold(&end), "2100-01-01T00:00:00.000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			api.Register(t, apitest.App, `{"retention":{`+test.rules+`}}`)
			i := api.Change(t, api.Add(t, apitest.InstanceSpec{Path: test.path, At: at}), test.change)
			for _, caller := range []string{apitest.Kari, apitest.Nav} {
				var got struct {
					DeleteAfter string `json:"deleteAfter"`
				}
				if api.Do(t, caller, "GET", apitest.InApp(i, "/workflow")).Want(200, "").JSON(&got); got.DeleteAfter != test.want {
					t.Errorf("got %q, want %q", got.DeleteAfter, test.want)
				}
			}
		})
	}
}
