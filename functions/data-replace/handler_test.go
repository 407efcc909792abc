package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

var xml = apitest.Body("application/xml", "<melding>ny</melding>")

func newAPI(t *testing.T) *apitest.API { return newAPIWithQuota(t, instance.Quota{}) }

func newAPIWithQuota(t *testing.T, quota instance.Quota) *apitest.API {
	api := apitest.New(t)
	serve(api, quota)
	return api
}

func serve(api *apitest.API, quota instance.Quota) {
	api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}",
		newHandler(api.Authorizer, api.Applications, api.Instances, api.Blobs, api.View, quota, api.Malware))
}

// TestScan replaces infected content inline and by an upload. The new content is pending.
func TestScan(t *testing.T) {
	newAPI := func(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
		api := apitest.New(t)
		api.Malware = malware
		serve(api, instance.Quota{})
		return api
	}
	add := func(t *testing.T, api *apitest.API) *instance.Instance {
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		if api.Malware.Scans {
			i = api.SetScan(t, i, 0, instance.ScanInfected, true)
		}
		return i
	}
	t.Run("inline", func(t *testing.T) {
		apitest.CheckNewContent(t, newAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
			return api.Do(t, apitest.Kari, "PUT", target(add(t, api)), xml).Instance(api, 200)
		})
	})
	t.Run("upload", func(t *testing.T) {
		apitest.CheckNewContent(t, newAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
			i := add(t, api)
			u := api.Announce(t, i, apitest.Content, func(u *instance.Upload) {
				if api.Malware.Scans {
					u.Content.Scanning = application.ScanningStrict
				}
			})
			api.Send(t, u, apitest.Content)
			return api.Do(t, apitest.Kari, "PUT", commit(i, u)).Instance(api, 200)
		})
	})
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/data/"+i.Data[0].ID) }

func TestReplace(t *testing.T) {
	for _, test := range []struct {
		name, caller, disposition, wantFileName, wantsBy string
	}{
		{"the user", apitest.KariWriter, "", "skjema.xml", "1001"},
		{"the user, known by SSN", apitest.KariBySSN, "", "skjema.xml", "5000000001"},
		{"the owner, with a name", apitest.NavWriter, `attachment; filename="ny.json"`, "ny.json", "nav"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := newAPI(t)
			before := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			const content = `{"melding":"ny"}`
			i := api.Do(t, test.caller, "PUT", target(before), apitest.JSON(content), apitest.Header("Content-Disposition", test.disposition)).Instance(api, 200)
			old, d := before.Data[0], i.Data[0]
			if d.ID != old.ID || d.FormID != "default" || d.ContentType != "application/json" || d.FileName != test.wantFileName ||
				d.FileSize != int64(len(content)) || d.SHA256 == old.SHA256 || d.Revision == old.Revision || d.LastChangedBy != test.wantsBy ||
				!d.LastChangedDateTime.After(old.LastChangedDateTime) || d.CreatedBy != "1001" || !d.CreatedDateTime.Equal(old.CreatedDateTime) {
				t.Errorf("got %+v", d)
			}
			if i.LastChangedBy != test.wantsBy || !i.LastChangedDateTime.Equal(d.LastChangedDateTime) || i.Version != 2 || len(i.Data) != 2 || i.Data[1].Revision != before.Data[1].Revision {
				t.Errorf("got %+v", i)
			}
			key := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)
			if api.Blobs.ContentType(key) != "application/json" {
				t.Errorf("no content at %s: %v", key, api.Blobs.Keys())
			}
			if len(api.Instances.Outbox()) != 1 {
				t.Error("replacing data created an event")
			}
		})
	}
}

func TestWhoMayReplace(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckAccess(t, i, false, "PUT", target(i), xml)
}

func TestRejects(t *testing.T) {
	form := apitest.InstanceSpec{Forms: []string{"default"}}
	locked := apitest.InstanceSpec{Forms: form.Forms, Path: []string{"Submit"}}
	archived := apitest.InstanceSpec{Forms: form.Forms, Path: []string{"Submit", "Archived"}}
	for name, test := range map[string]struct {
		spec    apitest.InstanceSpec
		options []apitest.Option
		status  int
		code    string
	}{
		"no type":                     {form, []apitest.Option{apitest.Body("", "<a/>")}, 415, "content-type-invalid"},
		"a type not allowed":          {form, []apitest.Option{apitest.Body("text/plain", "a")}, 415, "content-type-not-allowed"},
		"no content":                  {form, []apitest.Option{apitest.Body("application/xml", "")}, 400, "data-empty"},
		"over the limit of the form":  {form, []apitest.Option{apitest.Body("application/xml", strings.Repeat("a", 1_000_001))}, 413, "data-too-large"},
		"over the inline limit":       {form, []apitest.Option{apitest.Body("application/xml", strings.Repeat("a", blob.InlineLimit+1))}, 413, "body-too-large"},
		"submitted":                   {locked, []apitest.Option{xml}, 409, "data-locked"},
		"archived":                    {archived, []apitest.Option{xml}, 409, "instance-archived"},
		"an old revision":             {form, []apitest.Option{xml, apitest.Header("If-Match", `"019a0000-0000-7000-8000-000000000000"`)}, 412, "version-stale"},
		"If-None-Match":               {form, []apitest.Option{xml, apitest.Header("If-None-Match", `*`)}, 412, "version-stale"},
		"a part":                      {form, []apitest.Option{xml, apitest.Header("Content-Range", `bytes 0-3/10`)}, 400, "body-partial"},
		"another MD5":                 {form, []apitest.Option{xml, apitest.Header("Content-MD5", `AAAAAAAAAAAAAAAAAAAAAA==`)}, 400, "digest-mismatch"},
		"another digest":              {form, []apitest.Option{xml, apitest.Header("Content-Digest", `sha-256=:AAAA:`)}, 400, "digest-mismatch"},
		"another digest of the whole": {form, []apitest.Option{xml, apitest.Header("Repr-Digest", `sha-512=:AAAA:`)}, 400, "digest-mismatch"},
		"the instance's own tag":      {form, []apitest.Option{xml, apitest.Header("If-Match", `"1"`)}, 412, "version-stale"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, test.spec)
			api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), test.options...).Want(test.status, test.code) })
		})
	}
}

// TestLockedElement locks an element in a step that does not lock data.
func TestLockedElement(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Change(t, i, func(i *instance.Instance) error { i.Data[0].IsLocked = true; return nil })
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), xml).Want(409, "data-locked") })
}

func TestIfMatchNamesTheContent(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	first := apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))
	changed := api.Do(t, apitest.Kari, "PUT", target(i), xml, first).Instance(api, 200)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), xml, first).Want(412, "version-stale") })
	api.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", instancehttp.ContentETag(&changed.Data[0]))).Instance(api, 200)
	api.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", "*")).Instance(api, 200)
}

// TestReplaceResetsDownloads checks that a replacement removes recorded downloads and
// confirmations, because they belong to the old content.
func TestReplaceResetsDownloads(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	id := i.Data[0].ID
	api.Change(t, i, func(i *instance.Instance) error { return i.RecordDownload(id, time.Now()) })
	if i = api.Change(t, i, func(i *instance.Instance) error { return i.ConfirmDownload(id, time.Now()) }); i.Data[0].ApplicationOwner.DownloadConfirmed == nil {
		t.Fatal("not confirmed")
	}
	if i = api.Do(t, apitest.Kari, "PUT", target(i), xml).Instance(api, 200); i.Data[0].ApplicationOwner != nil {
		t.Errorf("got %+v", i.Data[0])
	}
}

// TestConcurrentReplacements replaces the same revision concurrently. One request must succeed, and
// the content of the others must be deleted.
func TestConcurrentReplacements(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	match := apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))
	const many = 8
	var codes [many]int
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() { codes[n] = api.Do(t, apitest.Kari, "PUT", target(i), xml, match).Code })
	}
	all.Wait()
	replaced := 0
	for _, code := range codes {
		if code == 200 {
			replaced++
		} else if code != 412 {
			t.Errorf("status %d", code)
		}
	}
	if stored := api.Stored(t, i); replaced != 1 || stored.Version != 2 || len(api.Blobs.Keys()) != 2 {
		t.Errorf("replaced %d times, version %d, blobs %v", replaced, stored.Version, api.Blobs.Keys())
	}
}

func TestSubmittedDuringTheUpload(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" && c.Done {
			api.Transition(t, i, "Submit")
		}
		return nil
	}
	api.Do(t, apitest.Kari, "PUT", target(i), xml).Want(409, "data-locked")
	if stored := api.Stored(t, i); stored.Data[0].Revision != i.Data[0].Revision || len(api.Blobs.Keys()) != 1 {
		t.Errorf("revision %s, blobs %v", stored.Data[0].Revision, api.Blobs.Keys())
	}
}

// TestLostResponse loses the response of the first, successful attempt; another write follows. The
// retry must not fail because of the stale entity tag or the new state: a failure would delete
// content that the element refers to.
func TestLostResponse(t *testing.T) {
	for name, submit := range map[string]bool{"submitted": true, "labelled": false} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
			app, err := api.Applications.Get(t.Context(), i.AppID)
			if err != nil {
				t.Fatal(err)
			}
			store := instancetest.Overtaken{Memory: api.Instances, OtherWrite: func() {
				api.Change(t, i, func(i *instance.Instance) error {
					if submit {
						_, err := i.Transition(app, "Submit", application.User, "1001", time.Now())
						return err
					}
					return i.UpdateMetadata(instance.Metadata{Labels: []string{"x2"}}, time.Now())
				})
			}}
			api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", newHandler(api.Authorizer, api.Applications, store, api.Blobs, api.View, instance.Quota{}, api.Malware))
			got := api.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))).Instance(api, 200)
			if got.Version != 3 || got.Data[0].Revision == i.Data[0].Revision {
				t.Errorf("got %+v", got)
			}
			d := api.Stored(t, i).Data[0]
			if _, err := api.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLegalHold(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	i = api.Change(t, i, func(i *instance.Instance) error { return i.Hold("x", nil, "nav", time.Now()) })
	for _, caller := range []string{apitest.Kari, apitest.Nav} {
		api.AssertUnchanged(t, i, func() { api.Do(t, caller, "PUT", target(i), xml).Want(409, "legal-hold") })
	}
}

func TestEvent(t *testing.T) {
	apitest.CheckEvent(t, newAPI, event.DataChanged, "nav",
		func(api *apitest.API) *instance.Instance {
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			return api.Do(t, apitest.Nav, "PUT", target(i), xml).Instance(api, 200)
		},
		func(i *instance.Instance) event.Event {
			return event.Event{Change: event.DataReplaced, DataElementID: i.Data[0].ID, FormID: "default"}
		})
}

// TestQuota replaces content by 100,000 bytes, which counts, and by small content, which does not.
func TestQuota(t *testing.T) {
	large := apitest.Body("application/xml", strings.Repeat("x", 100_000))
	api := newAPIWithQuota(t, instance.Quota{Bytes: 250_000})
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	for range 2 {
		api.Do(t, apitest.Kari, "PUT", target(i), large).Want(200, "")
		api.Do(t, apitest.Kari, "PUT", target(i), xml).Want(200, "")
		api.Do(t, apitest.Kari, "PUT", target(i), large, apitest.Header("If-Match", `"x"`)).Want(412, "version-stale")
	}
	i = api.Stored(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), large).Want(429, "quota-exceeded") })
	api.Do(t, apitest.Kari, "PUT", target(i), xml).Want(200, "")
}
