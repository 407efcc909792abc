package main

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

const route = "GET /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, handler(api.Authorizer, api.Instances, api.Blobs, api.Malware))
	return api
}

func target(i *instance.Instance) string { return apitest.InStorage(i, "/data/"+i.Data[0].ID) }

// downloads returns the number of recorded downloads of the first element.
func downloads(i *instance.Instance) int {
	if i.Data[0].ApplicationOwner == nil {
		return 0
	}
	return len(i.Data[0].ApplicationOwner.Downloaded)
}

// TestScan downloads content that is not handed out. Nothing is recorded.
func TestScan(t *testing.T) {
	api := apitest.New(t)
	api.Malware = apitest.Scanning
	api.Serve(route, handler(api.Authorizer, api.Instances, api.Blobs, api.Malware))
	for status, code := range map[string]string{
		instance.ScanPending: "data-unscanned", instance.ScanInfected: "data-infected", instance.ScanUnscannable: "data-unscannable",
	} {
		i := api.SetScan(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), 0, status, false)
		api.AssertUnchanged(t, i, func() {
			for _, caller := range []string{apitest.Nav, apitest.Kari} {
				api.Do(t, caller, "GET", target(i)).Want(409, code)
			}
		})
	}
	i := api.SetScan(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), 0, instance.ScanClean, false)
	api.Do(t, apitest.Nav, "GET", target(i)).Want(200, "")
	if n := downloads(api.Stored(t, i)); n != 1 {
		t.Errorf("%d downloads of clean content", n)
	}
	// The result arrives between the read of the instance and the record of the download.
	api.Blobs.Hook = func(c blobtest.Call) error {
		api.Blobs.Hook = nil
		api.SetScan(t, i, 0, instance.ScanInfected, false)
		return nil
	}
	api.Do(t, apitest.Nav, "GET", target(i)).Want(409, "data-infected")
}

func TestDownloadIsRecorded(t *testing.T) {
	api := newAPI(t)
	before := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Path: []string{"Submit", "Archived"}})
	for n := 1; n <= 2; n++ {
		got := api.Do(t, apitest.NavReader, "GET", target(before)).Want(200, "")
		if got.Body.String() != apitest.Content || got.ETag() != instancehttp.ContentETag(&before.Data[0]) {
			t.Errorf("got %q with %s", got.Body, got.ETag())
		}
		i := api.Stored(t, before)
		if downloads(i) != n || i.Data[1].ApplicationOwner != nil || len(i.Data[0].ApplicationOwner.DownloadConfirmed) != 0 {
			t.Errorf("after %d downloads: %+v", n, i.Data)
		}
		if at := i.Data[0].ApplicationOwner.Downloaded[n-1]; at.Before(i.CreatedDateTime) || !at.Equal(instance.TruncateTime(at)) {
			t.Errorf("downloaded at %s", at)
		}
		// A download changes neither the instance nor the element.
		if !i.LastChangedDateTime.Equal(before.LastChangedDateTime) || i.LastChangedBy != before.LastChangedBy ||
			!i.Data[0].LastChangedDateTime.Equal(before.Data[0].LastChangedDateTime) || len(api.Instances.Outbox()) != 1 {
			t.Errorf("the download changed %+v", i)
		}
	}
}

// TestRecordedDownloads checks that only content sent to the application's owner counts as a
// download.
func TestRecordedDownloads(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	etag := instancehttp.ContentETag(&i.Data[0])
	for _, test := range []struct {
		what, caller, method, name, value string
		status                            int
		code                              string
		recorded                          int
	}{
		{"a user", apitest.Kari, "GET", "", "", 200, "", 0},
		{"a user, known by SSN", apitest.KariBySSN, "GET", "", "", 200, "", 0},
		{"a HEAD", apitest.Nav, "HEAD", "", "", 200, "", 0},
		{"unchanged content", apitest.Nav, "GET", "If-None-Match", etag, 304, "", 0},
		{"a range past the end", apitest.Nav, "GET", "Range", "bytes=22-", 416, "range-unsatisfiable", 0},
		{"a stale entity tag", apitest.Nav, "GET", "If-Match", `"1"`, 412, "version-stale", 0},
		{"another owner", apitest.Skd, "GET", "", "", 404, "not-found", 0},
		{"the first byte", apitest.Nav, "GET", "Range", "bytes=0-0", 206, "", 0},
		{"all but the last byte", apitest.Nav, "GET", "Range", fmt.Sprint("bytes=0-", len(apitest.Content)-2), 206, "", 0},
		{"the rest of a resumed download", apitest.Nav, "GET", "Range", "bytes=3-", 206, "", 1},
		{"the last byte", apitest.Nav, "GET", "Range", "bytes=-1", 206, "", 1},
		{"a range over the end", apitest.Nav, "GET", "Range", "bytes=3-4000", 206, "", 1},
		{"an ignored range", apitest.Nav, "GET", "Range", "bytes=0-0,2-2", 200, "", 1},
		{"a HEAD with a range", apitest.Nav, "HEAD", "Range", "bytes=0-3", 200, "", 0},
		{"the complete content", apitest.Nav, "GET", "If-None-Match", `"1"`, 200, "", 1},
	} {
		t.Run(test.what, func(t *testing.T) {
			before := downloads(api.Stored(t, i))
			api.Do(t, test.caller, test.method, target(i), apitest.Header(test.name, test.value)).Want(test.status, test.code)
			if got := downloads(api.Stored(t, i)) - before; got != test.recorded {
				t.Errorf("%d downloads were recorded, want %d", got, test.recorded)
			}
		})
	}
}

func TestWhoMayDownload(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckAccess(t, i, false, "GET", target(i))
	api.CheckConditionalGet(t, apitest.Kari, target(i))
	api.CheckConditionalGet(t, apitest.Nav, target(i))
}

// TestFailures checks that an owner gets no content if the download cannot be recorded, and that no
// download is recorded without content.
func TestFailures(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Instances.Fail = func() error { return errors.New("table down") }
	if got := api.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal"); got.Header().Get("Content-Disposition") != "" || got.ETag() != "" {
		t.Errorf("header %v", got.Header())
	}
	api.Do(t, apitest.Kari, "GET", target(i)).Want(200, "")
	api.Instances.Fail = nil
	api.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	api.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal")
	api.Blobs.Hook = nil
	if err := api.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	api.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal")
	if got := downloads(api.Stored(t, i)); got != 0 {
		t.Errorf("%d downloads were recorded", got)
	}
}

// TestReplacedConcurrently replaces the content before the download is recorded. The owner must get
// the new content, and its download must be recorded.
func TestReplacedConcurrently(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	const content = "<melding>ny</melding>"
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Get" && c.Done {
			api.Blobs.Hook = nil
			api.Replace(t, i, i.Data[0].ID, content)
		}
		return nil
	}
	got := api.Do(t, apitest.Nav, "GET", target(i)).Want(200, "")
	now := api.Stored(t, i)
	if got.Body.String() != content || got.ETag() != instancehttp.ContentETag(&now.Data[0]) || downloads(now) != 1 {
		t.Errorf("got %q with %s; recorded %+v", got.Body, got.ETag(), now.Data[0].ApplicationOwner)
	}
}

func TestConcurrentDownloads(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	const many = 10
	var all sync.WaitGroup
	for range many {
		all.Go(func() { api.Do(t, apitest.Nav, "GET", target(i)).Want(200, "") })
	}
	all.Wait()
	if got := downloads(api.Stored(t, i)); got != many {
		t.Errorf("%d of %d downloads are recorded", got, many)
	}
}
