package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/shared/rfc3339"
)

const content = "<melding>stor</melding>"

// announce stores an upload of content to i, and returns the upload and the path that commits it.
func announce(t *testing.T, api *apitest.API, i *instance.Instance, change func(*instance.Upload)) (u *instance.Upload, target string) {
	t.Helper()
	u = api.Announce(t, i, content, change)
	return u, apitest.InApp(i, "/data?formId="+u.FormID+"&upload="+u.ID)
}

func TestCommit(t *testing.T) {
	api := newAPI(t)
	before := api.Add(t, apitest.InstanceSpec{})
	u, target := announce(t, api, before, nil)
	api.AssertUnchanged(t, before, func() { api.Do(t, apitest.Kari, "POST", target).Want(409, "upload-missing") })
	api.Send(t, u, content)
	gets := 0
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Get" || c.Operation == "Put" {
			gets++
		}
		return nil
	}
	response := api.Do(t, apitest.Kari, "POST", target)
	i := response.Instance(api, 201)
	if len(i.Data) != 1 {
		t.Fatalf("%d data elements", len(i.Data))
	}
	d := i.Data[0]
	if d.ID != u.NewDataGuid() || d.Revision != u.Content.Revision || d.FormID != "default" || d.ContentType != "application/xml" || d.FileName != "søknad.xml" ||
		d.FileSize != int64(len(content)) || d.SHA256 != u.Content.SHA256 || d.CreatedBy != "1001" {
		t.Errorf("got %+v", d)
	}
	if want := api.View.Links(i).Data(i.Data[0].ID).Apps; response.Header().Get("Location") != want {
		t.Errorf("Location %s, want %s", response.Header().Get("Location"), want)
	}
	if gets > 0 {
		t.Errorf("the function transferred the content %d times", gets)
	}
	if i.Version != 2 || !i.LastChangedDateTime.After(before.LastChangedDateTime) || len(api.Instances.Outbox()) != 1 {
		t.Errorf("version %d, changed %s, %d events", i.Version, i.LastChangedDateTime, len(api.Instances.Outbox()))
	}

	// A repeated commit by any authorized caller must return the same response.
	api.AssertUnchanged(t, i, func() {
		for _, caller := range []string{apitest.Kari, apitest.NavWriter} {
			if again := api.Do(t, caller, "POST", target).Want(200, ""); again.Body.String() != response.Body.String() || again.ETag() != response.ETag() {
				t.Errorf("the repeat is %s", again.Body)
			}
		}
		api.Do(t, apitest.Kari, "POST", strings.Replace(target, "formId=default", "formId=attachment", 1)).Want(409, "upload-committed")
	})
	// A repeated commit must not restore a deleted element.
	i = api.Change(t, i, func(i *instance.Instance) error { i.Data = i.Data[:0]; return nil })
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", target).Want(409, "upload-deleted") })
}

func TestWhoMayCommit(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	u, target := announce(t, api, i, nil)
	api.Send(t, u, content)
	api.CheckAccess(t, i, false, "POST", target)
}

func TestRejectedCommits(t *testing.T) {
	for name, test := range map[string]struct {
		spec    apitest.InstanceSpec
		upload  func(*instance.Upload)
		sent    string // content if ""
		target  func(string) string
		options []apitest.Option
		status  int
		code    string
	}{
		"of another instance":        {upload: func(u *instance.Upload) { u.InstanceID = uuid.New().String() }, status: 404, code: "upload-unknown"},
		"of another party":           {upload: func(u *instance.Upload) { u.InstanceOwnerID = apitest.OlaParty }, status: 404, code: "upload-unknown"},
		"of another application":     {upload: func(u *instance.Upload) { u.AppID = apitest.Other }, status: 404, code: "upload-unknown"},
		"expired":                    {upload: func(u *instance.Upload) { u.Expires = rfc3339.Time{Time: time.Now().Add(-time.Second)} }, status: 404, code: "upload-unknown"},
		"unknown":                    {target: func(s string) string { return s[:len(s)-1] + "x" }, status: 404, code: "upload-unknown"},
		"too long":                   {target: func(s string) string { return s + strings.Repeat("0", 5000) }, status: 404, code: "upload-unknown"},
		"empty":                      {target: func(s string) string { return s[:strings.LastIndex(s, "=")+1] }, status: 400, code: "parameter-invalid"},
		"twice":                      {target: func(s string) string { return s + "&upload=x" }, status: 400, code: "parameter-invalid"},
		"without a formId":           {target: func(s string) string { return strings.Replace(s, "formId=default&", "", 1) }, status: 400, code: "parameter-invalid"},
		"another formId":             {target: func(s string) string { return strings.Replace(s, "default", "attachment", 1) }, status: 409, code: "upload-form-id"},
		"a formId no longer there":   {upload: func(u *instance.Upload) { u.FormID = "skjema" }, status: 400, code: "form-id-unknown"},
		"a type not allowed":         {upload: func(u *instance.Upload) { u.Content.ContentType = "text/xml" }, status: 415, code: "content-type-not-allowed"},
		"over the limit of the form": {upload: func(u *instance.Upload) { u.Content.Size = 1_000_001 }, status: 413, code: "data-too-large"},
		"with a part of a body":      {options: []apitest.Option{apitest.Header("Content-Range", "bytes 0-0/2")}, status: 400, code: "body-partial"},
		"with a digest of a body":    {options: []apitest.Option{apitest.Header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")}, status: 400, code: "digest-mismatch"},
		"with a compressed body":     {options: []apitest.Option{apitest.Header("Content-Encoding", "gzip")}, status: 415, code: "body-encoded"},
		"with a body":                {options: []apitest.Option{xml}, status: 400, code: "upload-with-body"},
		"with a large body":          {options: []apitest.Option{apitest.Body("", strings.Repeat("a", blob.InlineLimit+1))}, status: 413, code: "body-too-large"},
		"other content":              {sent: "<melding>stør</melding>", status: 409, code: "upload-differs"},
		"another version":            {options: []apitest.Option{apitest.Header("If-Match", `"2"`)}, status: 412, code: "version-stale"},
		"over maxCount":              {spec: apitest.InstanceSpec{Forms: []string{"default"}}, status: 409, code: "data-count"},
		"a submitted instance":       {spec: apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}}, status: 409, code: "data-locked"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, test.spec)
			u, target := announce(t, api, i, test.upload)
			if test.sent == "" {
				test.sent = content
			}
			api.Send(t, u, test.sent)
			if test.target != nil {
				target = test.target(target)
			}
			api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", target, test.options...).Want(test.status, test.code) })
		})
	}
}

func TestCommitNamesTheFile(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	u, target := announce(t, api, i, func(u *instance.Upload) { u.Content.FileName = "" })
	api.Send(t, u, content)
	if i := api.Do(t, apitest.Kari, "POST", target).Instance(api, 201); i.Data[0].FileName != "default.xml" {
		t.Errorf("file name %s", i.Data[0].FileName)
	}
}

// TestConcurrentCommits checks that concurrent commits, with different keys or none, create one
// element.
func TestConcurrentCommits(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	u, target := announce(t, api, i, nil)
	api.Send(t, u, content)
	var codes [9]int
	var all sync.WaitGroup
	for n := range codes {
		all.Go(func() {
			var options []apitest.Option
			if n%3 > 0 {
				options = append(options, apitest.Header("Idempotency-Key", strings.Repeat("k", n)))
			}
			codes[n] = api.Do(t, apitest.Kari, "POST", target, options...).Code
		})
	}
	all.Wait()
	slices.Sort(codes[:])
	if stored := api.Stored(t, i); len(stored.Data) != 1 || stored.Version != 2 || codes[0] != 200 || codes[7] != 200 || codes[8] != 201 {
		t.Errorf("%d elements, version %d, statuses %v", len(stored.Data), stored.Version, codes)
	}
}

func TestCommitWithAnIdempotencyKey(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	u, target := announce(t, api, i, nil)
	key := apitest.Header("Idempotency-Key", "a")
	api.Do(t, apitest.Kari, "POST", target, key).Want(409, "upload-missing") // releases the key
	api.Send(t, u, content)
	first := api.Do(t, apitest.Kari, "POST", target, key)
	i = first.Instance(api, 201)
	api.AssertUnchanged(t, i, func() {
		again := api.Do(t, apitest.Kari, "POST", target, key).Want(201, "")
		if again.Body.String() != first.Body.String() || again.Header().Get("Location") != first.Header().Get("Location") {
			t.Errorf("the repeat is %s", again.Body)
		}
		_, other := announce(t, api, i, nil)
		api.Do(t, apitest.Kari, "POST", other, key).Want(422, "idempotency-key-reused")
	})
}

// TestConcurrentRequestsWithOneKey sends two concurrent requests with the same key. They must
// create one element and get the same response, although the second finds the maximum number of
// elements and a stale version.
func TestConcurrentRequestsWithOneKey(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	send := func() string {
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml, apitest.Header("Idempotency-Key", "a"),
			apitest.Header("If-Match", `"1"`)).Want(201, "").Header().Get("Location")
	}
	var inner string
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" {
			api.Blobs.Hook = nil
			inner = send()
		}
		return nil
	}
	if outer := send(); outer != inner || outer == "" {
		t.Errorf("%s and %s", outer, inner)
	}
	if stored := api.Stored(t, i); len(stored.Data) != 1 || len(api.Blobs.Keys()) != 1 {
		t.Errorf("%d elements, blobs %v", len(stored.Data), api.Blobs.Keys())
	}
}

// TestSweepOfUploads checks that the sweep deletes the content of an uncommitted upload when no
// request can commit it, not earlier. The content of a committed upload must stay.
func TestSweepOfUploads(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	committed, target := announce(t, api, i, nil)
	api.Send(t, committed, content)
	api.Do(t, apitest.Kari, "POST", target).Instance(api, 201)
	left, _ := announce(t, api, i, nil)
	api.Send(t, left, content)
	for _, test := range []struct {
		at    time.Time
		blobs int
	}{
		{left.Expires.Add(instance.MaxTransferTime), 2}, {time.Now().Add(24*time.Hour + sweep.SettleTime), 1},
	} {
		if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, test.at); err != nil {
			t.Fatal(err)
		}
		if keys := api.Blobs.Keys(); len(keys) != test.blobs || !strings.Contains(strings.Join(keys, " "), committed.Content.Revision) {
			t.Errorf("at %s the blobs are %v", test.at, keys)
		}
	}
}

// TestCommitAfterAFailure checks that a failed commit keeps the content and the upload, so that the
// next attempt succeeds.
func TestCommitAfterAFailure(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	u, target := announce(t, api, i, func(u *instance.Upload) { u.FormID = "attachment" })
	api.Send(t, u, content)
	api.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	api.Do(t, apitest.Kari, "POST", target).Want(500, "internal")
	api.Blobs.Hook = nil
	api.Instances.Fail = func() error { return errors.New("table down") }
	api.Do(t, apitest.Kari, "POST", target).Want(500, "internal")
	api.Instances.Fail = nil
	api.Blobs.Hook = func(c blobtest.Call) error { // submit between the check of the content and the write
		if c.Operation == "Stat" && c.Done {
			api.Blobs.Hook = nil
			api.Transition(t, i, "Submit")
		}
		return nil
	}
	api.Do(t, apitest.Kari, "POST", target).Want(409, "data-locked")
	api.Transition(t, i, "FormFilling")
	api.Do(t, apitest.Kari, "POST", target).Instance(api, 201)
}
