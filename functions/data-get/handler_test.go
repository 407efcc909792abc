package main

import (
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/url"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

const route = "GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, handler(api.Authorizer, api.Instances, api.Blobs, api.Malware))
	return api
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/data/"+i.Data[0].ID) }

// TestScan reads content in every state of its scan, with requests that must not reveal it.
func TestScan(t *testing.T) {
	requests := []struct{ method, name, value string }{{"GET", "", ""}, {"HEAD", "", ""}, {"GET", "Range", "bytes=0-0"}, {"GET", "If-None-Match", "*"}, {"HEAD", "If-None-Match", "*"}}
	for _, test := range []struct {
		status string
		allow  bool
		code   string // "": the content is handed out
	}{
		{instance.ScanPending, true, "data-unscanned"}, {instance.ScanInfected, true, "data-infected"}, {instance.ScanUnscannable, false, "data-unscannable"},
		{instance.ScanUnscannable, true, ""}, {instance.ScanClean, false, ""},
	} {
		for _, malware := range []instancehttp.MalwareScan{{}, {Scans: true}, apitest.Scanning} {
			api := apitest.New(t)
			api.Malware = malware
			api.Serve(route, handler(api.Authorizer, api.Instances, api.Blobs, api.Malware))
			i := api.SetScan(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), 0, test.status, test.allow)
			for _, caller := range []string{apitest.Kari, apitest.Nav} {
				for _, request := range requests {
					r := api.Do(t, caller, request.method, target(i), apitest.Header(request.name, request.value))
					if !malware.Blocks || test.code == "" {
						if r.Code >= 400 {
							t.Errorf("%s, %+v: %+v gets %d", test.status, malware, request, r.Code)
						}
						continue
					}
					if request.method == "GET" {
						r.Want(409, test.code)
					}
					wait := ""
					if test.status == instance.ScanPending {
						wait = "5"
					}
					if h := r.Header(); r.Code != 409 || h.Get("Retry-After") != wait || h.Get("ETag") != "" || h.Get("Content-Disposition") != "" || h.Get("Repr-Digest") != "" {
						t.Errorf("%s: %+v gets %d with %v", test.status, request, r.Code, h)
					}
				}
			}
		}
	}
}

// TestLateTag reads content that the bucket denies, because the tag of the scan comes after its
// result. An old result is an error of the system.
func TestLateTag(t *testing.T) {
	api := apitest.New(t)
	api.Malware = apitest.Scanning
	api.Serve(route, handler(api.Authorizer, api.Instances, api.Blobs, api.Malware))
	i := api.SetScan(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), 0, instance.ScanClean, false)
	api.Blobs.Hook = func(blobtest.Call) error { return blob.ErrNotFound }
	api.Do(t, apitest.Kari, "GET", target(i)).Want(500, "internal")
	api.Change(t, i, func(i *instance.Instance) error { i.Data[0].Scan.At = time.Now(); return nil })
	for _, size := range []int64{int64(len(apitest.Content)), blob.InlineLimit + 1} { // the second gets a presigned URL
		api.Change(t, i, func(i *instance.Instance) error { i.Data[0].FileSize = size; return nil })
		if r := api.Do(t, apitest.Kari, "GET", target(i)).Want(409, "data-unscanned"); r.Header().Get("Retry-After") != "5" {
			t.Errorf("Retry-After is %q", r.Header().Get("Retry-After"))
		}
	}
}

// TestPresignedURLNamesNoFile checks that the URL of large content, which proxies may log, has a
// file name that the sender did not choose.
func TestPresignedURLNamesNoFile(t *testing.T) {
	for _, test := range []struct{ formID, contentType, want string }{
		{"attachment", "application/pdf", "attachment.pdf"},
		{"attachment", `application/pdf; name="12247918309.pdf"`, "attachment.pdf"},
		{"attachment", "image/heic", "attachment"},
		{"fnr12247918309", "application/pdf", "data.pdf"}, // an application without data types accepts any formId
		{"v-122479-18309", "text/plain", "data.txt"},
	} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		api.Change(t, i, func(i *instance.Instance) error {
			d := &i.Data[0]
			d.FormID, d.ContentType, d.FileName, d.FileSize = test.formID, test.contentType, "ddmmyy-122479-18309.pdf", blob.InlineLimit+1
			return nil
		})
		got := api.Do(t, apitest.Kari, "GET", target(i)).Want(307, "").Header().Get("Location")
		location, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		_, params, err := mime.ParseMediaType(location.Query().Get("content-disposition"))
		if err != nil || params["filename"] != test.want || strings.Contains(got, "18309") {
			t.Errorf("%s, %s: Location %s, want %s (%v)", test.formID, test.contentType, got, test.want, err)
		}
	}
}

// TestWhoMayRead also checks that the Application API records no downloads, not even by the owner.
func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	api.CheckRead(t, i, target(i), func(t *testing.T, r apitest.Response) {
		if r.Body.String() != apitest.Content {
			t.Errorf("got %q", r.Body)
		}
	})
}

func TestHeader(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	i = api.Change(t, i, func(i *instance.Instance) error {
		i.Data[0].ContentType, i.Data[0].FileName = "text/html; charset=utf-8", `å"b.html`
		return nil
	})
	sum := sha256.Sum256([]byte(apitest.Content))
	got := api.Do(t, apitest.Kari, "GET", target(i)).Want(200, "")
	for name, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"Content-Length":         "22",
		"Content-Disposition":    `attachment; filename="__b.html"; filename*=UTF-8''%C3%A5%22b.html`,
		"X-Content-Type-Options": "nosniff",
		"Repr-Digest":            "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		"ETag":                   instancehttp.ContentETag(&i.Data[0]),
		"Accept-Ranges":          "bytes",
		"Cache-Control":          "no-store",
	} {
		if have := got.Header().Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
}

func TestRangesAndConditions(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	etag := instancehttp.ContentETag(&i.Data[0])
	for _, test := range []struct {
		name, value string
		status      int
		code, body  string
		part        string // Content-Range
	}{
		{"Range", "bytes=0-8", 206, "", "<melding>", "bytes 0-8/22"},
		{"Range", "bytes=-10", 206, "", "</melding>", "bytes 12-21/22"},
		{"Range", "bytes=20-99", 206, "", "g>", "bytes 20-21/22"},
		{"Range", "bytes=22-", 416, "range-unsatisfiable", "", "bytes */22"},
		{"Range", "lines=1-2", 200, "", apitest.Content, ""},
		{"If-Match", etag, 200, "", apitest.Content, ""},
		{"If-Match", `"1"`, 412, "version-stale", "", ""}, // the tag of the instance
		{"If-None-Match", `"1"`, 200, "", apitest.Content, ""},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			got := api.Do(t, apitest.Kari, "GET", target(i), apitest.Header(test.name, test.value)).Want(test.status, test.code)
			if test.status < 400 && got.Body.String() != test.body || got.Header().Get("Content-Range") != test.part {
				t.Errorf("got %q, Content-Range %q", got.Body, got.Header().Get("Content-Range"))
			}
		})
	}
}

func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckReadOfDeleted(t, i, target(i))
}

// TestReplacedConcurrently replaces the content and deletes the old revision after the handler has
// read the instance. The reader must get the new content.
func TestReplacedConcurrently(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	const content = "<melding>ny</melding>"
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation != "Get" || c.Done {
			return nil
		}
		api.Blobs.Hook = nil
		api.Replace(t, i, i.Data[0].ID, content)
		return api.Blobs.Delete(t.Context(), c.Key)
	}
	got := api.Do(t, apitest.Kari, "GET", target(i)).Want(200, "")
	if now := api.Stored(t, i); got.Body.String() != content || got.ETag() != instancehttp.ContentETag(&now.Data[0]) {
		t.Errorf("got %q with %s", got.Body, got.ETag())
	}
}

func TestMissingContent(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	if err := api.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	api.Do(t, apitest.Kari, "GET", target(i)).Want(500, "internal")
}
