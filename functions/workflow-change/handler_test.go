package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/validation"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", handler(api.Authorizer, api.Applications, api.Instances, validation.New(api.Blobs.Get, api.Applications.Schema, true), api.View))
	return api
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/workflow") }

func to(step string) apitest.Option { return apitest.JSON(`{"currentStep":"` + step + `"}`) }

// TestSteps runs the complete workflow: the user submits, the owner sends back, the user submits
// again, the owner archives. Each transition must create one event.
func TestSteps(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	for n, step := range []struct {
		caller, to, by              string
		locked, completed, archived bool
	}{
		{apitest.KariWriter, "Submit", "1001", true, false, false},
		{apitest.NavWriter, "FormFilling", "nav", false, false, false},
		{apitest.KariBySSN, "Submit", "5000000001", true, false, false},
		{apitest.Kari, "Archived", "1001", true, true, true},
	} {
		before := i
		i = api.Do(t, step.caller, "PUT", target(i), to(step.to)).Instance(api, 200)
		if i.Workflow.CurrentStep != step.to || i.Workflow.IsCompleted != step.completed || i.Status.IsArchived != step.archived ||
			i.Data[0].IsLocked != step.locked || i.Data[1].IsLocked != step.locked {
			t.Errorf("in %s: %+v", step.to, i)
		}
		if i.LastChangedBy != step.by || !i.LastChangedDateTime.After(before.LastChangedDateTime) || i.Version != before.Version+1 ||
			!i.Data[0].LastChangedDateTime.Equal(before.Data[0].LastChangedDateTime) {
			t.Errorf("changed by %s at %s, version %d", i.LastChangedBy, i.LastChangedDateTime, i.Version)
		}
		events := api.Instances.Outbox()
		if len(events) != n+2 { // the first is the creation
			t.Fatalf("%d events after %d changes", len(events), n+1)
		}
		ev := events[n+1]
		if ev.ID != fmt.Sprintf("%s.%d", i.ID, n+2) || ev.WorkflowStep != step.to || ev.PreviousStep != before.Workflow.CurrentStep || ev.UserID != step.by ||
			!ev.At.Equal(i.LastChangedDateTime) || ev.InstanceVersion != i.Version || ev.AppID != i.AppID || ev.InstanceOwnerID != i.InstanceOwnerID ||
			ev.InstanceLink != api.View.Links(i).Platform || len(ev.DataLinks) != 2 || ev.DataLinks[1].DataLink != api.View.Links(i).Data(i.Data[1].ID).Platform {
			t.Errorf("event %+v", ev)
		}
		if text, err := json.Marshal(ev); err != nil || strings.Contains(string(text), apitest.KariSSN) {
			t.Errorf("event %s (%v)", text, err)
		}
		api.AssertUnchanged(t, i, func() { // already in the step
			if again := api.Do(t, step.caller, "PUT", target(i), to(step.to)).Instance(api, 200); again.Version != i.Version {
				t.Errorf("version %d", again.Version)
			}
		})
	}
}

// TestReason moves an instance in an application in which sending back requires a reason. The event
// shows that there is a reason, without its text.
func TestReason(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(apitest.Registration, `"to": "FormFilling", "by": ["owner"]`, `"to": "FormFilling", "by": ["owner"], "requiresReason": true`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	for reason, code := range map[string]string{"": "reason-missing", " ": "reason-missing", `a\nb`: "text-invalid", strings.Repeat("å", instance.MaxReason+1): "text-invalid"} {
		api.AssertUnchanged(t, i, func() {
			api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"currentStep":"FormFilling","reason":"`+reason+`"}`)).Want(400, code)
		})
	}
	back := api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"currentStep":"FormFilling","reason":"Feltet mangler"}`)).Instance(api, 200)
	if back.Workflow.Reason != "Feltet mangler" || len(back.Workflow.Notes) != 1 || back.Workflow.Notes[0].By != "nav" {
		t.Errorf("got %+v", back.Workflow)
	}
	outbox := api.Instances.Outbox()
	ev := outbox[len(outbox)-1]
	if text, err := json.Marshal(ev); err != nil || !ev.HasReason || strings.Contains(string(text), "mangler") {
		t.Errorf("event %s (%v)", text, err)
	}
}

// TestMinimumOfOwnersType submits without the decision that the owner adds in the next step. The
// decision counts when the instance leaves that step, and not when it enters it.
func TestMinimumOfOwnersType(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.Other, `{"dataTypes":[{"formId":"default","minCount":1},{"formId":"decision","minCount":1,"write":["owner"],"steps":["Feedback"]}],
		"workflow":{"steps":[{"name":"FormFilling","validateOnExit":true},{"name":"Feedback","locksData":true,"validateOnExit":true},{"name":"Archived","completes":true}],
		"transitions":[{"from":"FormFilling","to":"Feedback","by":["user"]},{"from":"Feedback","to":"Archived","by":["owner"]}]}}`)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.Other, Forms: []string{"default"}})
	i = api.Do(t, apitest.Kari, "PUT", target(i), to("Feedback")).Instance(api, 200)
	api.AssertUnchanged(t, i, func() {
		issues := api.Do(t, apitest.Nav, "PUT", target(i), to("Archived")).Want(409, "data-invalid").Problem().Issues
		if len(issues) != 1 || issues[0].Code != "TooFewDataElementsOfType" {
			t.Errorf("issues %+v", issues)
		}
	})
}

func TestWhoMayChange(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckAccess(t, i, false, "PUT", target(i), to("Submit"))
}

func TestRejects(t *testing.T) {
	filling := apitest.InstanceSpec{Forms: []string{"default"}}
	submitted := apitest.InstanceSpec{Forms: filling.Forms, Path: []string{"Submit"}}
	archived := apitest.InstanceSpec{Forms: filling.Forms, Path: []string{"Submit", "Archived"}}
	for name, test := range map[string]struct {
		spec    apitest.InstanceSpec
		caller  string
		options []apitest.Option
		status  int
		code    string
		detail  string // part of the detail
	}{
		"past a step":              {filling, apitest.Nav, []apitest.Option{to("Archived")}, 409, "step-unreachable", "You can move it to: Submit."},
		"back, by the user":        {submitted, apitest.Kari, []apitest.Option{to("FormFilling")}, 409, "step-unreachable", "You can move it to: Archived."},
		"out of the archive":       {archived, apitest.Nav, []apitest.Option{to("FormFilling")}, 409, "step-unreachable", "You can move it to: none."},
		"no such step":             {filling, apitest.Kari, []apitest.Option{to("Send")}, 400, "step-unknown", "FormFilling, Submit, Archived"},
		"a step in small letters":  {filling, apitest.Kari, []apitest.Option{to("submit")}, 400, "step-unknown", ""},
		"no step":                  {filling, apitest.Kari, []apitest.Option{apitest.JSON(`{}`)}, 400, "body-invalid", ""},
		"no body":                  {filling, apitest.Kari, nil, 415, "body-not-json", ""},
		"another content type":     {filling, apitest.Kari, []apitest.Option{apitest.Body("text/plain", `{"currentStep":"Submit"}`)}, 415, "body-not-json", ""},
		"an unknown member":        {filling, apitest.Kari, []apitest.Option{apitest.JSON(`{"currentStep":"Submit","isCompleted":true}`)}, 400, "body-invalid", "isCompleted"},
		"a step that is no text":   {filling, apitest.Kari, []apitest.Option{apitest.JSON(`{"currentStep":1}`)}, 400, "body-invalid", "currentStep"},
		"a body too large":         {filling, apitest.Kari, []apitest.Option{to(strings.Repeat("S", maxBody))}, 413, "body-too-large", ""},
		"another version":          {filling, apitest.Kari, []apitest.Option{to("Submit"), apitest.Header("If-Match", `"2"`)}, 412, "version-stale", ""},
		"If-None-Match":            {filling, apitest.Kari, []apitest.Option{to("Submit"), apitest.Header("If-None-Match", "*")}, 412, "version-stale", ""},
		"another version of there": {filling, apitest.Kari, []apitest.Option{to("FormFilling"), apitest.Header("If-Match", `"2"`)}, 412, "version-stale", ""},
		"an element too few":       {apitest.InstanceSpec{Forms: []string{"attachment"}}, apitest.Kari, []apitest.Option{to("Submit")}, 409, "data-invalid", "issues"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, test.spec)
			api.AssertUnchanged(t, i, func() {
				problem := api.Do(t, test.caller, "PUT", target(i), test.options...).Want(test.status, test.code).Problem()
				if !strings.Contains(problem.Detail, test.detail) {
					t.Errorf("detail %q does not contain %q", problem.Detail, test.detail)
				}
				if test.code == "data-invalid" && (len(problem.Issues) != 1 || problem.Issues[0].Code != "TooFewDataElementsOfType" ||
					problem.Issues[0].Severity != "error" || !strings.Contains(problem.Issues[0].Description, `"default"`)) {
					t.Errorf("issues %+v", problem.Issues)
				}
			})
		})
	}
}

func TestIfMatch(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit"), apitest.Header("If-Match", `"1"`)).Instance(api, 200)
	api.Do(t, apitest.Nav, "PUT", target(i), to("FormFilling"), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
}

func TestDeletedInstance(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.SoftDelete(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(409, "instance-deleted") })
}

// TestConcurrentTransitions checks that concurrent requests for the same step cause one change and
// one event.
func TestConcurrentTransitions(t *testing.T) {
	api := newAPI(t)
	for range 10 {
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		before := len(api.Instances.Outbox())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(200, "") })
		}
		all.Wait()
		if events := api.Instances.Outbox()[before:]; len(events) != 1 || api.Stored(t, i).Version != 2 {
			t.Fatalf("events %+v", events)
		}

		// Only one of two conflicting transitions from Submit must succeed.
		var archived, back int
		all.Go(func() { archived = api.Do(t, apitest.Nav, "PUT", target(i), to("Archived")).Code })
		all.Go(func() { back = api.Do(t, apitest.Nav, "PUT", target(i), to("FormFilling")).Code })
		all.Wait()
		if archived+back != 200+409 || len(api.Instances.Outbox()) != before+2 {
			t.Fatalf("%d and %d, %d events", archived, back, len(api.Instances.Outbox())-before)
		}

		var with [4]int
		j := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		for n := range with {
			all.Go(func() {
				with[n] = api.Do(t, apitest.Kari, "PUT", target(j), to("Submit"), apitest.Header("If-Match", `"1"`)).Code
			})
		}
		all.Wait()
		won := 0
		for _, code := range with {
			if code == 200 {
				won++
			} else if code != 412 {
				t.Errorf("status %d", code)
			}
		}
		if won != 1 {
			t.Fatalf("%d requests with If-Match succeeded, want 1", won)
		}
	}
}

// TestFailingStore checks that the change and its event are one write: neither is stored without
// the other.
func TestFailingStore(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Instances.Fail = func() error { return errors.New("table down") }
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(500, "internal") })
}

// TestDeadline submits after dueDateTime. Only an application with the rule rejects a user, who
// leaves the first step only. The owner can always move the instance.
func TestDeadline(t *testing.T) {
	const rule, allows, none = `{"deadline":{"late":"refuse"}}`, `{"deadline":{"late":"allow"}}`, `{}`
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		registration, caller string
		due                  *time.Time
		path                 []string
		to, code             string
	}{
		"late":                      {rule, apitest.Kari, &past, nil, "Submit", "deadline-passed"},
		"late, sent back":           {rule, apitest.Kari, &past, []string{"Submit", "FormFilling"}, "Submit", "deadline-passed"},
		"late, by the owner":        {rule, apitest.Nav, &past, nil, "Submit", ""},
		"late, out of a later step": {rule, apitest.Kari, &past, []string{"Submit"}, "Archived", ""},
		"in time":                   {rule, apitest.Kari, &future, nil, "Submit", ""},
		"without a date":            {rule, apitest.Kari, nil, nil, "Submit", ""},
		"allowed":                   {allows, apitest.Kari, &past, nil, "Submit", ""},
		"no rule":                   {none, apitest.Kari, &past, nil, "Submit", ""},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			api.Register(t, apitest.App, test.registration)
			i := api.Add(t, apitest.InstanceSpec{Due: test.due, Path: test.path})
			if test.code == "" {
				api.Do(t, test.caller, "PUT", target(i), to(test.to)).Instance(api, 200)
				return
			}
			api.AssertUnchanged(t, i, func() { api.Do(t, test.caller, "PUT", target(i), to(test.to)).Want(409, test.code) })
		})
	}
}

// TestRetentionIsScheduled archives in an application that deletes archived instances. A step that
// makes no earlier check necessary schedules none.
func TestRetentionIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"archived":{"after":"P1D","unconfirmed":"delete"}}}`)
	i := api.Add(t, apitest.InstanceSpec{Path: []string{"Submit"}, At: time.Now().Add(-time.Hour)})
	api.CheckNoteFirst(t, i, time.Now().AddDate(0, 0, 1), func() apitest.Response {
		return api.Do(t, apitest.Kari, "PUT", target(i), to("Archived"))
	})
	api.Register(t, apitest.App, `{}`)
	notes := len(api.Instances.AllAgendaNotes())
	i = api.Add(t, apitest.InstanceSpec{})
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Instance(api, 200)
	if added := len(api.Instances.AllAgendaNotes()) - notes; added != 0 {
		t.Errorf("%d notes without rules", added)
	}
}

// TestDataForTheOwner submits an instance with invalid data that only the owner may see. The data
// blocks the owner, and not the user.
func TestDataForTheOwner(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(apitest.Registration, `"dataTypes": [`, `"dataTypes": [{"formId": "box", "read": ["owner"], "schema": {"type": "array"}},`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "box"}})
	api.AssertUnchanged(t, i, func() {
		issues := api.Do(t, apitest.Nav, "PUT", target(i), to("Submit")).Want(409, "data-invalid").Problem().Issues
		if len(issues) != 1 || issues[0].DataElementID != i.Data[1].ID {
			t.Errorf("issues %+v", issues)
		}
	})
	r := api.Do(t, apitest.Kari, "PUT", target(i), to("Submit"))
	if got := r.Instance(api, 200); got.Workflow.CurrentStep != "Submit" || strings.Contains(r.Body.String(), i.Data[1].ID) || len(got.Data) != 2 || !got.Data[1].IsLocked {
		t.Errorf("got %s", r.Body)
	}
}
