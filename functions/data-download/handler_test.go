package main

import (
	"errors"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("GET /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", handler(s.Authorizer, s.Instances, s.Blobs))
	return s
}

func target(i *instance.Instance) string { return apitest.InStorage(i, "/data/"+i.Data[0].ID) }

// downloads returns how many downloads are noted on the first element.
func downloads(i *instance.Instance) int {
	if i.Data[0].ApplicationOwner == nil {
		return 0
	}
	return len(i.Data[0].ApplicationOwner.Downloaded)
}

func TestTheOwnersDownloadIsNoted(t *testing.T) {
	s := newSite(t)
	before := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Path: []string{"Submit", "Archived"}})
	for n := 1; n <= 2; n++ {
		got := s.Do(t, apitest.NavReader, "GET", target(before)).Want(200, "")
		if got.Body.String() != apitest.Content || got.ETag() != instancehttp.ContentETag(&before.Data[0]) {
			t.Errorf("got %q with %s", got.Body, got.ETag())
		}
		i := s.Stored(t, before)
		if downloads(i) != n || i.Data[1].ApplicationOwner != nil || len(i.Data[0].ApplicationOwner.DownloadConfirmed) != 0 {
			t.Errorf("after %d downloads: %+v", n, i.Data)
		}
		if at := i.Data[0].ApplicationOwner.Downloaded[n-1]; at.Before(i.CreatedDateTime) || !at.Equal(instance.TruncateTime(at)) {
			t.Errorf("downloaded at %s", at)
		}
		// It is no change of the instance or of the element.
		if !i.LastChangedDateTime.Equal(before.LastChangedDateTime) || i.LastChangedBy != before.LastChangedBy ||
			!i.Data[0].LastChangedDateTime.Equal(before.Data[0].LastChangedDateTime) || len(s.Instances.Outbox()) != 1 {
			t.Errorf("the download changed %+v", i)
		}
	}
}

// Only bytes that were sent to the application's owner count.
func TestWhatIsNoted(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	etag := instancehttp.ContentETag(&i.Data[0])
	for _, test := range []struct {
		what, caller, method, name, value string
		status                            int
		code                              string
		noted                             int
	}{
		{"a user's", apitest.Kari, "GET", "", "", 200, "", 0},
		{"a user's, known by SSN", apitest.KariBySSN, "GET", "", "", 200, "", 0},
		{"a HEAD", apitest.Nav, "HEAD", "", "", 200, "", 0},
		{"what the owner has", apitest.Nav, "GET", "If-None-Match", etag, 304, "", 0},
		{"no byte of it", apitest.Nav, "GET", "Range", "bytes=22-", 416, "range-unsatisfiable", 0},
		{"what it is no more", apitest.Nav, "GET", "If-Match", `"1"`, 412, "version-stale", 0},
		{"another owner's", apitest.Skd, "GET", "", "", 404, "not-found", 0},
		{"a part", apitest.Nav, "GET", "Range", "bytes=0-3", 206, "", 1},
		{"a HEAD with a range", apitest.Nav, "HEAD", "Range", "bytes=0-3", 200, "", 0},
		{"all", apitest.Nav, "GET", "If-None-Match", `"1"`, 200, "", 1},
	} {
		t.Run(test.what, func(t *testing.T) {
			before := downloads(s.Stored(t, i))
			s.Do(t, test.caller, test.method, target(i), apitest.Header(test.name, test.value)).Want(test.status, test.code)
			if got := downloads(s.Stored(t, i)) - before; got != test.noted {
				t.Errorf("%d downloads were noted, want %d", got, test.noted)
			}
		})
	}
}

func TestWhoMayDownload(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	s.CheckAccess(t, i, false, "GET", target(i))
	s.CheckConditionalGet(t, apitest.Kari, target(i))
	s.CheckConditionalGet(t, apitest.Nav, target(i))
}

// An owner must not get bytes whose download cannot be noted, nor have noted what it did not get.
func TestFailures(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	s.Instances.Fail = func() error { return errors.New("table down") }
	if got := s.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal"); got.Header().Get("Content-Disposition") != "" || got.ETag() != "" {
		t.Errorf("header %v", got.Header())
	}
	s.Do(t, apitest.Kari, "GET", target(i)).Want(200, "")
	s.Instances.Fail = nil
	s.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	s.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal")
	s.Blobs.Hook = nil
	if err := s.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.ID, i.Data[0].ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	s.Do(t, apitest.Nav, "GET", target(i)).Want(500, "internal")
	if got := downloads(s.Stored(t, i)); got != 0 {
		t.Errorf("%d downloads were noted", got)
	}
}

// What is noted is what was sent: when the element is replaced between the two, the owner gets the new bytes.
func TestReplacedWhileItIsSent(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	const content = "<melding>ny</melding>"
	s.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Get" && c.Done {
			s.Blobs.Hook = nil
			s.Replace(t, i, i.Data[0].ID, content)
		}
		return nil
	}
	got := s.Do(t, apitest.Nav, "GET", target(i)).Want(200, "")
	now := s.Stored(t, i)
	if got.Body.String() != content || got.ETag() != instancehttp.ContentETag(&now.Data[0]) || downloads(now) != 1 {
		t.Errorf("got %q with %s; noted %+v", got.Body, got.ETag(), now.Data[0].ApplicationOwner)
	}
}

func TestAtOnce(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	const many = 10
	var all sync.WaitGroup
	for range many {
		all.Go(func() { s.Do(t, apitest.Nav, "GET", target(i)).Want(200, "") })
	}
	all.Wait()
	if got := downloads(s.Stored(t, i)); got != many {
		t.Errorf("%d downloads are noted of %d", got, many)
	}
}
