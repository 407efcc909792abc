package main

import (
	"strings"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/shared/rfc3339"
)

const content = "<melding>stor</melding>"

// commit returns the path that replaces the content of the first element of i by an upload.
func commit(i *instance.Instance, u *instance.Upload) string { return target(i) + "?upload=" + u.ID }

func TestCommit(t *testing.T) {
	api := newAPI(t)
	before := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	id := before.Data[0].ID
	api.Change(t, before, func(i *instance.Instance) error { return i.RecordDownload(id, time.Now()) })
	u := api.Announce(t, before, content, nil)
	api.AssertUnchanged(t, before, func() { api.Do(t, apitest.Kari, "PUT", commit(before, u)).Want(409, "upload-missing") })
	api.Send(t, u, content)
	match := apitest.Header("If-Match", instancehttp.ContentETag(&before.Data[0]))
	response := api.Do(t, apitest.NavWriter, "PUT", commit(before, u), match)
	i := response.Instance(api, 200)
	old, d := before.Data[0], i.Data[0]
	if d.ID != old.ID || d.FormID != "default" || d.Revision != u.Content.Revision || d.SHA256 != u.Content.SHA256 || d.FileName != "søknad.xml" ||
		d.FileSize != int64(len(content)) || d.LastChangedBy != "nav" || d.CreatedBy != "1001" || d.ApplicationOwner != nil || len(i.Data) != 2 || i.Data[1].Revision != before.Data[1].Revision {
		t.Errorf("got %+v", d)
	}
	if _, err := api.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)); err != nil {
		t.Error(err)
	}

	// A repeated commit by any authorized caller succeeds without effect, also with the old entity
	// tag and after the instance has changed. Its response is the current instance.
	for _, change := range []func(){
		func() {},
		func() { api.Do(t, apitest.Kari, "PUT", target(i), xml).Instance(api, 200) },
		func() { api.Transition(t, i, "Submit") },
	} {
		change()
		api.AssertUnchanged(t, i, func() {
			for _, caller := range []string{apitest.Kari, apitest.NavWriter} {
				again := api.Do(t, caller, "PUT", commit(before, u), match).Instance(api, 200)
				if want := api.Stored(t, i); again.Version != want.Version || again.Workflow.CurrentStep != want.Workflow.CurrentStep {
					t.Errorf("the repeat is %+v", again)
				}
			}
			api.Do(t, apitest.Kari, "PUT", commit(before, u), apitest.Header("If-None-Match", "*")).Want(412, "version-stale")
			api.Do(t, apitest.Kari, "PUT", apitest.InApp(i, "/data/"+i.Data[1].ID+"?upload="+u.ID)).Want(409, "upload-committed")
		})
	}
	api.Change(t, i, func(i *instance.Instance) error { i.Data = i.Data[1:]; return nil })
	api.Do(t, apitest.Kari, "PUT", commit(before, u)).Want(404, "not-found")
}

// TestCommitOfAnAddedElement commits an upload on the element that the same upload has added.
func TestCommitOfAnAddedElement(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	u := api.Announce(t, i, content, func(u *instance.Upload) { u.Content.Revision = i.Data[0].ID })
	api.Change(t, i, func(i *instance.Instance) error {
		i.IdempotencyRecord = u.IdempotencyRecord(u.NewDataGuid(), nil, time.Now())
		return nil
	})
	api.Do(t, apitest.Kari, "PUT", commit(i, u)).Want(409, "upload-committed")
}

func TestWhoMayCommit(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	u := api.Announce(t, i, content, nil)
	api.Send(t, u, content)
	api.CheckAccess(t, i, false, "PUT", commit(i, u))
}

func TestRejectedCommits(t *testing.T) {
	for name, test := range map[string]struct {
		path    []string
		upload  func(*instance.Upload)
		sent    string // content if ""
		query   string // "?upload=" and the id if ""
		options []apitest.Option
		status  int
		code    string
	}{
		"of another instance":        {upload: func(u *instance.Upload) { u.InstanceID = uuid.New().String() }, status: 404, code: "upload-unknown"},
		"expired":                    {upload: func(u *instance.Upload) { u.Expires = rfc3339.Time{Time: time.Now().Add(-time.Second)} }, status: 404, code: "upload-unknown"},
		"unknown":                    {query: "?upload=" + strings.Repeat("0", 64), status: 404, code: "upload-unknown"},
		"empty":                      {query: "?upload=", status: 400, code: "parameter-invalid"},
		"an unknown parameter":       {query: "?formId=default", status: 400, code: "parameter-unknown"},
		"another formId":             {upload: func(u *instance.Upload) { u.FormID = "attachment" }, status: 409, code: "upload-form-id"},
		"a type not allowed":         {upload: func(u *instance.Upload) { u.Content.ContentType = "text/xml" }, status: 415, code: "content-type-not-allowed"},
		"over the limit of the form": {upload: func(u *instance.Upload) { u.Content.Size = 1_000_001 }, status: 413, code: "data-too-large"},
		"with a part of a body":      {options: []apitest.Option{apitest.Header("Content-Range", "bytes 0-0/2")}, status: 400, code: "body-partial"},
		"with a digest of a body":    {options: []apitest.Option{apitest.Header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")}, status: 400, code: "digest-mismatch"},
		"with a compressed body":     {options: []apitest.Option{apitest.Header("Content-Encoding", "gzip")}, status: 415, code: "body-encoded"},
		"with a body":                {options: []apitest.Option{xml}, status: 400, code: "upload-with-body"},
		"other content":              {sent: "<melding>stør</melding>", status: 409, code: "upload-differs"},
		"another version":            {options: []apitest.Option{apitest.Header("If-Match", `"2"`)}, status: 412, code: "version-stale"},
		"If-None-Match":              {options: []apitest.Option{apitest.Header("If-None-Match", "*")}, status: 412, code: "version-stale"},
		"a submitted instance":       {path: []string{"Submit"}, status: 409, code: "data-locked"},
		"an archived instance":       {path: []string{"Submit", "Archived"}, status: 409, code: "instance-archived"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: test.path})
			u := api.Announce(t, i, content, test.upload)
			if test.sent == "" {
				test.sent = content
			}
			api.Send(t, u, test.sent)
			path := commit(i, u)
			if test.query != "" {
				path = target(i) + test.query
			}
			api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", path, test.options...).Want(test.status, test.code) })
		})
	}
}

// TestConcurrentCommits replaces two elements by the same upload concurrently. Exactly one has its
// content afterwards, and every request to that element gets the same response.
func TestConcurrentCommits(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"attachment", "attachment"}})
	u := api.Announce(t, i, content, func(u *instance.Upload) { u.FormID = "attachment" })
	api.Send(t, u, content)
	var codes [8]int
	var bodies [8]string
	var all sync.WaitGroup
	for n := range codes {
		all.Go(func() {
			got := api.Do(t, apitest.Kari, "PUT", apitest.InApp(i, "/data/"+i.Data[n%2].ID+"?upload="+u.ID))
			codes[n], bodies[n] = got.Code, got.Body.String()
		})
	}
	all.Wait()
	stored := api.Stored(t, i)
	for n := range codes {
		if has := stored.Data[n%2].Revision == u.Content.Revision; codes[n] != map[bool]int{true: 200, false: 409}[has] || has && bodies[n] != bodies[winner(stored, u)] {
			t.Errorf("request %d: status %d, %s", n, codes[n], bodies[n])
		}
	}
	if stored.Version != 2 || stored.Data[0].Revision == stored.Data[1].Revision {
		t.Errorf("got %+v", stored)
	}
}

// winner returns the index of the element with the content of u.
func winner(i *instance.Instance, u *instance.Upload) int {
	if i.Data[1].Revision == u.Content.Revision {
		return 1
	}
	return 0
}

// TestLostCommit loses the response of the first, successful attempt; another replacement follows.
// The retry must not replace the content again.
func TestLostCommit(t *testing.T) {
	api := apitest.New(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	store := instancetest.Overtaken{Memory: api.Instances, OtherWrite: func() {
		api.Change(t, i, func(i *instance.Instance) error { i.Data[0].Revision = uuid.New().String(); return nil })
	}}
	api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", newHandler(api.Authorizer, api.Applications, store, api.Blobs, api.View, instance.Quota{}, api.Malware))
	u := api.Announce(t, i, content, nil)
	api.Send(t, u, content)
	got := api.Do(t, apitest.Kari, "PUT", commit(i, u), apitest.Header("If-Match", instancehttp.ContentETag(&i.Data[0]))).Want(200, "")
	if got.ETag() != `"3"` || !strings.Contains(got.Body.String(), `"fileName":"søknad.xml"`) {
		t.Errorf("got %s %s", got.ETag(), got.Body)
	}
}

// TestSweepOfReplacedContent checks that the replaced content becomes an orphan, and that the
// content of the upload stays when the sweep lists it.
func TestSweepOfReplacedContent(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	u := api.Announce(t, i, content, nil)
	api.Send(t, u, content)
	api.Do(t, apitest.Kari, "PUT", commit(i, u)).Instance(api, 200)
	for _, at := range []time.Time{time.Now().Add(sweep.GracePeriod + time.Minute), time.Now().Add(24*time.Hour + sweep.SettleTime)} {
		if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, at); err != nil {
			t.Fatal(err)
		}
		if keys := api.Blobs.Keys(); len(keys) != 1 || !strings.HasSuffix(keys[0], u.Content.Revision) {
			t.Errorf("at %s the blobs are %v", at, keys)
		}
	}
}

// TestSubmittedDuringTheCommit submits the instance between the check of the content and the write.
// The upload can be committed later.
func TestSubmittedDuringTheCommit(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	u := api.Announce(t, i, content, nil)
	api.Send(t, u, content)
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Stat" && c.Done {
			api.Blobs.Hook = nil
			api.Transition(t, i, "Submit")
		}
		return nil
	}
	api.Do(t, apitest.Kari, "PUT", commit(i, u)).Want(409, "data-locked")
	api.Transition(t, i, "FormFilling")
	if got := api.Do(t, apitest.Kari, "PUT", commit(i, u)).Instance(api, 200); got.Data[0].Revision != u.Content.Revision {
		t.Errorf("got %+v", got)
	}
}
