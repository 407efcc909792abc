package main

import (
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", handler(api.Authorizer, api.Instances, api.View))
	return api
}

func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckRead(t, i, apitest.InApp(i, ""), func(_ *testing.T, r apitest.Response) { r.Instance(api, 200) })
}

// TestDocument compares the complete document: clients rely on its names and formats.
func TestDocument(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
	element := i.Data[0]
	stamp := func(name string, t time.Time) string {
		return `"` + name + `":"` + t.Format("2006-01-02T15:04:05.000000Z") + `"`
	}
	created, changed := i.CreatedDateTime, i.LastChangedDateTime
	apps := "https://nav.apps.altinn.no/nav/app2018/instances/5000000001/" + i.ID
	platform := "https://platform.altinn.no/storage/instances/5000000001/" + i.ID
	want := `{"id":"` + i.ID + `","selfLinks":{"apps":"` + apps + `","platform":"` + platform + `"},` +
		`"appId":"nav/app2018","labels":["gr"],"instanceOwnerId":"5000000001",` +
		stamp("createdDateTime", created) + `,"createdBy":"1001",` + stamp("lastChangedDateTime", changed) + `,"lastChangedBy":"nav",` +
		`"workflow":{"currentStep":"Submit","isCompleted":false,` + stamp("submittedDateTime", changed) + `},` +
		`"status":{"isArchived":false,"isSoftDeleted":false,"isMarkedForHardDelete":false,"readStatus":"Read"},` +
		`"data":[{"id":"` + element.ID + `","formId":"default","contentType":"application/xml",` +
		`"storageUrl":"nav/app2018/` + i.ID + `/data/` + element.ID + `",` +
		`"dataLinks":{"apps":"` + apps + `/data/` + element.ID + `","platform":"` + platform + `/data/` + element.ID + `"},` +
		`"fileName":"skjema.xml",` +
		stamp("createdDateTime", created) + `,"createdBy":"1001",` + stamp("lastChangedDateTime", created) + `,"lastChangedBy":"1001",` +
		`"fileSize":22,"isLocked":true}]}`
	if got := api.Do(t, apitest.Kari, "GET", apitest.InApp(i, "")).Want(200, ""); got.Body.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.Body, want)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.Other})
	body := api.Do(t, apitest.Kari, "GET", apitest.InApp(i, "")).Want(200, "").Body.String()
	if !strings.Contains(body, `"labels":[]`) || !strings.Contains(body, `"data":[]`) {
		t.Errorf("got %s", body)
	}
}

func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckReadOfDeleted(t, i, apitest.InApp(i, ""))
	i = api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
	if got := api.Do(t, apitest.Kari, "GET", apitest.InApp(i, "")).Instance(api, 200); !got.Status.IsSoftDeleted {
		t.Error("isSoftDeleted is not set")
	}
}
