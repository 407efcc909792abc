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
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

var xml = apitest.Bytes("application/xml", "<melding>ny</melding>")

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}",
		handler(s.Authorizer, s.Applications, s.Instances, s.Blobs, s.View))
	return s
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/data/"+i.Data[0].ID) }

func TestReplace(t *testing.T) {
	for _, test := range []struct {
		name, caller, disposition, wantFileName, wantsBy string
	}{
		{"the user", apitest.KariWriter, "", "skjema.xml", "1001"},
		{"the user, known by SSN", apitest.KariBySSN, "", "skjema.xml", "50001"},
		{"the owner, with a name", apitest.NavWriter, `attachment; filename="ny.json"`, "ny.json", "nav"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			before := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			const content = `{"melding":"ny"}`
			i := s.Do(t, test.caller, "PUT", target(before), apitest.JSON(content), apitest.Header("Content-Disposition", test.disposition)).Instance(s, 200)
			old, d := before.Data[0], i.Data[0]
			if d.ID != old.ID || d.FormID != "default" || d.ContentType != "application/json" || d.FileName != test.wantFileName ||
				d.FileSize != int64(len(content)) || d.SHA256 == old.SHA256 || d.Revision == old.Revision || d.LastChangedBy != test.wantsBy ||
				!d.LastChangedDateTime.After(old.LastChangedDateTime) || d.CreatedBy != "1001" || !d.CreatedDateTime.Equal(old.CreatedDateTime) {
				t.Errorf("got %+v", d)
			}
			if i.LastChangedBy != test.wantsBy || !i.LastChangedDateTime.Equal(d.LastChangedDateTime) || i.Version != 2 || len(i.Data) != 2 || i.Data[1].Revision != before.Data[1].Revision {
				t.Errorf("got %+v", i)
			}
			key := blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision)
			if s.Blobs.ContentType(key) != "application/json" {
				t.Errorf("nothing at %s: %v", key, s.Blobs.Keys())
			}
			if len(s.Instances.Outbox()) != 1 {
				t.Error("replacing data has made an event")
			}
		})
	}
}

func TestWhoMayReplace(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	s.CheckAccess(t, i, false, "PUT", target(i), xml)
}

func TestRefusals(t *testing.T) {
	form := apitest.InstanceSpec{Forms: []string{"default"}}
	locked := apitest.InstanceSpec{Forms: form.Forms, Path: []string{"Submit"}}
	archived := apitest.InstanceSpec{Forms: form.Forms, Path: []string{"Submit", "Archived"}}
	for name, test := range map[string]struct {
		report  apitest.InstanceSpec
		options []apitest.Option
		status  int
		code    string
	}{
		"no type":                {form, []apitest.Option{apitest.Bytes("", "<a/>")}, 415, "content-type-invalid"},
		"a type not allowed":     {form, []apitest.Option{apitest.Bytes("text/plain", "a")}, 415, "content-type-not-allowed"},
		"no bytes":               {form, []apitest.Option{apitest.Bytes("application/xml", "")}, 400, "data-empty"},
		"more than the form":     {form, []apitest.Option{apitest.Bytes("application/xml", strings.Repeat("a", 1_000_001))}, 413, "data-too-large"},
		"more than inline":       {form, []apitest.Option{apitest.Bytes("application/xml", strings.Repeat("a", blob.InlineLimit+1))}, 413, "body-too-large"},
		"submitted":              {locked, []apitest.Option{xml}, 409, "data-locked"},
		"archived":               {archived, []apitest.Option{xml}, 409, "instance-archived"},
		"an old revision":        {form, []apitest.Option{xml, apitest.Header("If-Match", `"019a0000-0000-7000-8000-000000000000"`)}, 412, "version-stale"},
		"the instance's own tag": {form, []apitest.Option{xml, apitest.Header("If-Match", `"1"`)}, 412, "version-stale"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			i := s.Add(t, test.report)
			s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Kari, "PUT", target(i), test.options...).Want(test.status, test.code) })
		})
	}
}

// A single element can be locked in a step that does not lock.
func TestALockedElement(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	s.Change(t, i, func(i *instance.Instance) error { i.Data[0].IsLocked = true; return nil })
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Kari, "PUT", target(i), xml).Want(409, "data-locked") })
}

func TestIfMatchIsTheElements(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	first := apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))
	changed := s.Do(t, apitest.Kari, "PUT", target(i), xml, first).Instance(s, 200)
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Kari, "PUT", target(i), xml, first).Want(412, "version-stale") })
	s.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", instancehttp.ContentETag(&changed.Data[0]))).Instance(s, 200)
	s.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", "*")).Instance(s, 200)
}

// What the owner had downloaded and confirmed was the old bytes.
func TestTheOwnersDownloadsStartAnew(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	id := i.Data[0].ID
	s.Change(t, i, func(i *instance.Instance) error { return i.RecordDownload(id, time.Now()) })
	if i = s.Change(t, i, func(i *instance.Instance) error { return i.ConfirmDownload(id, time.Now()) }); i.HasUnconfirmed() {
		t.Fatal("not confirmed")
	}
	if i = s.Do(t, apitest.Kari, "PUT", target(i), xml).Instance(s, 200); i.Data[0].ApplicationOwner != nil || !i.HasUnconfirmed() {
		t.Errorf("got %+v", i.Data[0])
	}
}

// Of two who replace what both have read, one is told so; the bytes of the other are removed.
func TestAtOnce(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	match := apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))
	const many = 8
	var codes [many]int
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() { codes[n] = s.Do(t, apitest.Kari, "PUT", target(i), xml, match).Code })
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
	if stored := s.Stored(t, i); replaced != 1 || stored.Version != 2 || len(s.Blobs.Keys()) != 2 {
		t.Errorf("replaced %d times, version %d, blobs %v", replaced, stored.Version, s.Blobs.Keys())
	}
}

func TestSubmittedDuringTheUpload(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	app, err := s.Applications.Get(t.Context(), i.AppID)
	if err != nil {
		t.Fatal(err)
	}
	s.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" && c.Done {
			s.Change(t, i, func(i *instance.Instance) error {
				_, err := i.Transition(app, "Submit", application.User, "1001", time.Now())
				return err
			})
		}
		return nil
	}
	s.Do(t, apitest.Kari, "PUT", target(i), xml).Want(409, "data-locked")
	if stored := s.Stored(t, i); stored.Data[0].Revision != i.Data[0].Revision || len(s.Blobs.Keys()) != 1 {
		t.Errorf("revision %s, blobs %v", stored.Data[0].Revision, s.Blobs.Keys())
	}
}

// A replacement that was made, of which nobody has heard, and that another write has followed, is not refused for what was
// true before it or is true by now: its bytes would be removed, and the element points at them.
func TestOvertaken(t *testing.T) {
	for name, submit := range map[string]bool{"submitted": true, "labelled": false} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t)
			i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
			app, err := s.Applications.Get(t.Context(), i.AppID)
			if err != nil {
				t.Fatal(err)
			}
			store := instancetest.Overtaken{Memory: s.Instances, Meanwhile: func() {
				s.Change(t, i, func(i *instance.Instance) error {
					if submit {
						_, err := i.Transition(app, "Submit", application.User, "1001", time.Now())
						return err
					}
					return i.UpdateMetadata(instance.Metadata{Labels: []string{"x2"}})
				})
			}}
			s.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", handler(s.Authorizer, s.Applications, store, s.Blobs, s.View))
			got := s.Do(t, apitest.Kari, "PUT", target(i), xml, apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))).Instance(s, 200)
			if got.Version != 3 || got.Data[0].Revision == i.Data[0].Revision {
				t.Errorf("got %+v", got)
			}
			d := s.Stored(t, i).Data[0]
			if _, err := s.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision)); err != nil {
				t.Error(err)
			}
		})
	}
}
