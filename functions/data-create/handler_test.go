package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/rfc3339"
)

const (
	asForm       = "/data?formId=default"
	asAttachment = "/data?formId=attachment"
)

var xml = apitest.Body("application/xml", "<melding/>")

func newAPI(t *testing.T) *apitest.API { return newAPIWithQuota(t, instance.Quota{}) }

func newAPIWithQuota(t *testing.T, quota instance.Quota) *apitest.API {
	api := apitest.New(t)
	serve(api, quota)
	return api
}

func serve(api *apitest.API, quota instance.Quota) {
	api.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data", newHandler(api.Authorizer, api.Applications, api.Instances, api.Blobs, api.View, quota, api.Malware))
}

func TestAdd(t *testing.T) {
	for _, test := range []struct {
		name, caller, target            string
		contentType, disposition        string
		wantForm, wantFileName, wantsBy string
	}{
		{"the user", apitest.KariWriter, asForm, "application/xml; charset=utf-8", "", "default", "default.xml", "1001"},
		{"the user, known by SSN", apitest.KariBySSN, asForm, "application/json", "", "default", "default.json", "5000000001"},
		{"the owner", apitest.NavWriter, asForm, "application/xml", `attachment; filename="vedtak.xml"`, "default", "vedtak.xml", "nav"},
		{"an attachment", apitest.Kari, asAttachment, "image/png", `attachment; filename*=UTF-8''bl%C3%A5b%C3%A6r.png`, "attachment", "blåbær.png", "1001"},
		{"a path as name", apitest.Kari, asAttachment, "text/csv", `attachment; filename="../../etc/passwd"`, "attachment", "passwd", "1001"},
		{"any type", apitest.Kari, asAttachment, "application/vnd.altinn+x", "", "attachment", "attachment", "1001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := newAPI(t)
			before := api.Add(t, apitest.InstanceSpec{})
			const content = "\x00\xff<melding/>\r\n"
			response := api.Do(t, test.caller, "POST", apitest.InApp(before, test.target), apitest.Body(test.contentType, content),
				apitest.Header("Content-Disposition", test.disposition))
			i := response.Instance(api, 201)
			if len(i.Data) != 1 {
				t.Fatalf("%d data elements", len(i.Data))
			}
			d := i.Data[0]
			if d.FormID != test.wantForm || d.ContentType != test.contentType || d.FileName != test.wantFileName || d.CreatedBy != test.wantsBy ||
				d.LastChangedBy != test.wantsBy || d.FileSize != int64(len(content)) || d.IsLocked || d.ApplicationOwner != nil {
				t.Errorf("got %+v", d)
			}
			if want := api.View.Links(i).Data(i.Data[0].ID).Apps; response.Header().Get("Location") != want {
				t.Errorf("Location %s, want %s", response.Header().Get("Location"), want)
			}
			if !i.LastChangedDateTime.After(before.LastChangedDateTime) || i.LastChangedBy != test.wantsBy || i.Version != 2 {
				t.Errorf("changed %s by %s, version %d", i.LastChangedDateTime, i.LastChangedBy, i.Version)
			}
			key := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)
			if keys := api.Blobs.Keys(); len(keys) != 1 || keys[0] != key.String() || api.Blobs.ContentType(key) != test.contentType {
				t.Errorf("stored are %v, want %s", keys, key)
			}
			if len(api.Instances.Outbox()) != 1 {
				t.Error("adding data created an event")
			}
		})
	}
}

func TestWhoMayAdd(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckAccess(t, i, false, "POST", apitest.InApp(i, asForm), xml)
}

func TestRejects(t *testing.T) {
	for name, test := range map[string]struct {
		spec    apitest.InstanceSpec
		target  string
		options []apitest.Option
		status  int
		code    string
	}{
		"no formId":                   {target: "/data", status: 400, code: "parameter-invalid"},
		"an empty formId":             {target: "/data?formId=", status: 400, code: "parameter-invalid"},
		"two formIds":                 {target: "/data?formId=default&formId=attachment", status: 400, code: "parameter-invalid"},
		"an unknown parameter":        {target: "/data?formid=default", status: 400, code: "parameter-unknown"},
		"an unknown formId":           {target: "/data?formId=skjema", status: 400, code: "form-id-unknown"},
		"no type":                     {target: asForm, options: []apitest.Option{apitest.Body("", "<a/>")}, status: 415, code: "content-type-invalid"},
		"a malformed type":            {target: asAttachment, options: []apitest.Option{apitest.Body("xml", "<a/>")}, status: 415, code: "content-type-invalid"},
		"a range of types":            {target: asAttachment, options: []apitest.Option{apitest.Body("image/*", "<a/>")}, status: 415, code: "content-type-not-allowed"},
		"a type not allowed":          {target: asForm, options: []apitest.Option{apitest.Body("text/xml", "<a/>")}, status: 415, code: "content-type-not-allowed"},
		"no content":                  {target: asForm, options: []apitest.Option{apitest.Body("application/xml", "")}, status: 400, code: "data-empty"},
		"over the limit of the form":  {target: asForm, options: []apitest.Option{apitest.Body("application/xml", strings.Repeat("a", 1_000_001))}, status: 413, code: "data-too-large"},
		"over the inline limit":       {target: asAttachment, options: []apitest.Option{apitest.Body("image/png", strings.Repeat("a", blob.InlineLimit+1))}, status: 413, code: "body-too-large"},
		"over maxCount":               {spec: apitest.InstanceSpec{Forms: []string{"default"}}, target: asForm, status: 409, code: "data-count"},
		"a submitted instance":        {spec: apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}}, target: asAttachment, status: 409, code: "data-locked"},
		"an archived instance":        {spec: apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}}, target: asAttachment, status: 409, code: "instance-archived"},
		"another version":             {target: asForm, options: []apitest.Option{xml, apitest.Header("If-Match", `"2"`)}, status: 412, code: "version-stale"},
		"a part":                      {target: asForm, options: []apitest.Option{xml, apitest.Header("Content-Range", `bytes 0-3/10`)}, status: 400, code: "body-partial"},
		"another MD5":                 {target: asForm, options: []apitest.Option{xml, apitest.Header("Content-MD5", `AAAAAAAAAAAAAAAAAAAAAA==`)}, status: 400, code: "digest-mismatch"},
		"another digest":              {target: asForm, options: []apitest.Option{xml, apitest.Header("Content-Digest", `sha-256=:AAAA:`)}, status: 400, code: "digest-mismatch"},
		"another digest of the whole": {target: asForm, options: []apitest.Option{xml, apitest.Header("Repr-Digest", `sha-512=:AAAA:`)}, status: 400, code: "digest-mismatch"},
		"a weak tag":                  {target: asForm, options: []apitest.Option{xml, apitest.Header("If-Match", `W/"1"`)}, status: 412, code: "version-stale"},
		"a version without quote":     {target: asForm, options: []apitest.Option{xml, apitest.Header("If-Match", `1`)}, status: 412, code: "version-stale"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, test.spec)
			if test.options == nil {
				test.options = []apitest.Option{xml}
			}
			api.AssertUnchanged(t, i, func() {
				api.Do(t, apitest.Kari, "POST", apitest.InApp(i, test.target), test.options...).Want(test.status, test.code)
			})
		})
	}
}

func TestAcceptsTheLimits(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), apitest.Body("application/xml", strings.Repeat("a", 1_000_000)),
		apitest.Header("If-Match", `"7", "1"`)).Instance(api, 201)
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asAttachment), apitest.Body("image/png", strings.Repeat("a", blob.InlineLimit)),
		apitest.Header("If-Match", `*`)).Instance(api, 201)
}

func TestDeletedInstance(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.SoftDelete(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Want(409, "instance-deleted") })
	api.HardDelete(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Want(404, "not-found") })
}

// TestChangedDuringTheUpload submits the instance during the upload. The request must fail, and its
// content must be deleted.
func TestChangedDuringTheUpload(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" && c.Done {
			api.Transition(t, i, "Submit")
		}
		return nil
	}
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asAttachment), xml).Want(409, "data-locked")
	if stored := api.Stored(t, i); len(stored.Data) != 1 || len(api.Blobs.Keys()) != 1 {
		t.Errorf("%d elements, blobs %v", len(stored.Data), api.Blobs.Keys())
	}
}

// TestConcurrentRequests checks that all concurrent requests succeed, except those that exceed the
// maximum number of elements.
func TestConcurrentRequests(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	const many = 8
	var forms [many]int
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() { api.Do(t, apitest.Nav, "POST", apitest.InApp(i, asAttachment), xml).Want(201, "") })
		all.Go(func() { forms[n] = api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Code })
	}
	all.Wait()
	created := 0
	for _, code := range forms {
		if code == 201 {
			created++
		} else if code != 409 {
			t.Errorf("status %d", code)
		}
	}
	if stored := api.Stored(t, i); created != 1 || len(stored.Data) != many+1 || len(api.Blobs.Keys()) != many+1 || stored.Version != many+2 {
		t.Errorf("%d forms of %d elements, %d blobs, version %d", created, len(stored.Data), len(api.Blobs.Keys()), stored.Version)
	}
}

// TestFailingStore checks that the content stays after a failure of the table, because the table
// may have applied the change.
func TestFailingStore(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Instances.Fail = func() error { return errors.New("table down") }
	response := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Want(500, "internal")
	if len(api.Blobs.Keys()) != 1 || strings.Contains(fmt.Sprint(response.Body), "table down") {
		t.Errorf("blobs %v, response %s", api.Blobs.Keys(), response.Body)
	}
}

// TestIdempotencyKey checks that repeated and concurrent requests with the same key create one
// element.
func TestIdempotencyKey(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	send := func(caller, target, key string) apitest.Response {
		return api.Do(t, caller, "POST", apitest.InApp(i, target), xml, apitest.Header("Idempotency-Key", key))
	}
	var locations [8]string
	var all sync.WaitGroup
	for n := range locations {
		all.Go(func() {
			locations[n] = send(apitest.Kari, asAttachment, "a").Want(201, "").Header().Get("Location")
		})
	}
	all.Wait()
	if stored := api.Stored(t, i); len(slices.Compact(locations[:])) != 1 || len(stored.Data) != 1 || len(api.Blobs.Keys()) != 1 {
		t.Errorf("%v, %d elements, blobs %v", locations, len(stored.Data), api.Blobs.Keys())
	}
	api.AssertUnchanged(t, i, func() { send(apitest.Kari, asForm, "a").Want(422, "idempotency-key-reused") })
	api.AssertUnchanged(t, i, func() { send(apitest.Ola, asAttachment, "a").Want(404, "not-found") })
	send(apitest.Kari, asAttachment, "b").Instance(api, 201)
	send(apitest.Nav, asAttachment, "a").Instance(api, 201) // keys of different callers are different
	if stored := api.Stored(t, i); len(stored.Data) != 3 {
		t.Errorf("%d elements", len(stored.Data))
	}
}

// TestLostResponse loses the response of the first, successful attempt; another write follows. The
// retry must not fail because of the stale version: a failure would delete content that the
// document refers to.
func TestLostResponse(t *testing.T) {
	for name, option := range map[string]apitest.Option{
		"If-Match": apitest.Header("If-Match", `"1"`), "Idempotency-Key": apitest.Header("Idempotency-Key", "a"),
	} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			i := api.Add(t, apitest.InstanceSpec{})
			store := instancetest.Overtaken{Memory: api.Instances, OtherWrite: func() {
				api.Change(t, i, func(i *instance.Instance) error {
					return i.UpdateMetadata(instance.Metadata{Labels: []string{"x2"}}, time.Now())
				})
			}}
			api.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data", newHandler(api.Authorizer, api.Applications, store, api.Blobs, api.View, instance.Quota{}, api.Malware))
			got := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml, option).Instance(api, 201)
			if len(got.Data) != 1 || got.Version != 3 {
				t.Fatalf("got %+v", got)
			}
			d := api.Stored(t, i).Data[0]
			if _, err := api.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEvent(t *testing.T) {
	for name, add := range map[string]func(api *apitest.API, i *instance.Instance) *instance.Instance{
		"in one request": func(api *apitest.API, i *instance.Instance) *instance.Instance {
			return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml, apitest.Header("Idempotency-Key", "k")).Instance(api, 201)
		},
		"by an upload": func(api *apitest.API, i *instance.Instance) *instance.Instance {
			u, target := announce(t, api, i, nil)
			api.Send(t, u, content)
			return api.Do(t, apitest.Kari, "POST", target).Instance(api, 201)
		},
	} {
		t.Run(name, func(t *testing.T) {
			apitest.CheckEvent(t, newAPI, event.DataChanged, "1001",
				func(api *apitest.API) *instance.Instance { return add(api, api.Add(t, apitest.InstanceSpec{})) },
				func(i *instance.Instance) event.Event {
					return event.Event{Change: event.DataCreated, DataElementID: i.Data[0].ID, FormID: "default"}
				})
		})
	}
}

// TestQuota adds content of 100,000 bytes, which counts, and small content, which counts only in an
// instance with many elements. Rejected and failed requests must not count.
func TestQuota(t *testing.T) {
	large := apitest.Body("application/pdf", strings.Repeat("x", 100_000))
	small := apitest.Body("application/pdf", "x")
	api := newAPIWithQuota(t, instance.Quota{Elements: 3, Bytes: 250_000})
	i := api.Add(t, apitest.InstanceSpec{})
	add := func(i *instance.Instance, caller string, options ...apitest.Option) apitest.Response {
		return api.Do(t, caller, "POST", apitest.InApp(i, asAttachment), options...)
	}
	key := apitest.Header("Idempotency-Key", "a")
	add(i, apitest.Kari, large, key).Want(201, "")
	for range 3 {
		add(i, apitest.Kari, large, key).Want(201, "") // a replay
		add(i, apitest.Kari, small).Want(201, "")
		add(i, apitest.Kari, large, apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), large).Want(415, "content-type-not-allowed")
		api.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
		add(i, apitest.Kari, large).Want(500, "internal")
		api.Blobs.Hook = nil
	}
	add(i, apitest.Kari, large).Want(201, "")
	api.AssertUnchanged(t, i, func() {
		over := add(i, apitest.KariBySSN, large).Want(429, "quota-exceeded")
		if !strings.Contains(over.Body.String(), "250000 bytes") || over.Header().Get("Retry-After") == "" {
			t.Errorf("%v %s", over.Header(), over.Body)
		}
	})
	add(i, apitest.NavWriter, large).Want(201, "") // another caller
	full := api.Add(t, apitest.InstanceSpec{Forms: slices.Repeat([]string{"attachment"}, 20)})
	add(full, apitest.Kari, small).Want(201, "")
	if over := add(full, apitest.Kari, small).Want(429, "quota-exceeded"); !strings.Contains(over.Body.String(), "3 added and replaced data elements") {
		t.Errorf("%s", over.Body)
	}
}

// boxes is a registration with a type into which users drop data that only the owner reads.
const boxes = `{"dataTypes":[{"formId":"box","read":["owner"],"maxCount":3},{"formId":"attachment"}]}`

// TestDropBox adds data that the sender may not see: as a body, with a key, and as an upload. No
// response to the sender names it, nor do repeated requests after the owner has deleted the data.
func TestDropBox(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, boxes)
	before := api.Add(t, apitest.InstanceSpec{})
	u, commit := announce(t, api, before, func(u *instance.Upload) { u.FormID = "box" })
	api.Send(t, u, content)
	target := apitest.InApp(before, "/data?formId=box")
	send := func(caller, target string, status int, options ...apitest.Option) *instance.Instance {
		t.Helper()
		r := api.Do(t, caller, "POST", target, append(options, apitest.Header("Content-Disposition", `attachment; filename="hemmelig.xml"`))...).Want(status, "")
		location := r.Header().Get("Location")
		stored := api.Stored(t, before)
		if caller == apitest.Nav {
			if status == 201 && location != api.View.Links(stored).Data(stored.Data[len(stored.Data)-1].ID).Apps {
				t.Errorf("the owner's Location is %s", location)
			}
			return stored
		}
		if status == 201 && location != api.View.Links(stored).Apps {
			t.Errorf("the user's Location is %s", location)
		}
		for _, d := range stored.Data {
			if text := r.Body.String() + location; strings.Contains(text, d.ID) || strings.Contains(text, "hemmelig") || strings.Contains(text, "box") || !d.OwnerOnly {
				t.Errorf("the user gets %s, %s", r.Body, location)
			}
		}
		if !strings.Contains(r.Body.String(), rfc3339.Format(before.LastChangedDateTime)) || r.ETag() != httpapi.VersionTag(stored.Version) {
			t.Errorf("the user gets %s with %s", r.Body, r.ETag())
		}
		return stored
	}
	key := apitest.Header("Idempotency-Key", "a")
	requests := func(first, again int) (i *instance.Instance) {
		t.Helper()
		send(apitest.Kari, target, first, xml, key)
		send(apitest.Kari, commit, again)
		return send(apitest.Kari, commit, again, apitest.Header("Idempotency-Key", "b"))
	}
	send(apitest.Kari, commit, 201)
	i := requests(201, 200)
	if len(i.Data) != 2 {
		t.Fatalf("%d elements", len(i.Data))
	}
	api.AssertUnchanged(t, i, func() {
		requests(201, 200)
		other := api.Do(t, apitest.Kari, "POST", strings.Replace(commit, "box", "attachment", 1)).Want(409, "upload-committed")
		if strings.Contains(other.Body.String(), u.NewDataGuid()) {
			t.Errorf("the user gets %s", other.Body)
		}
	})
	send(apitest.Nav, target, 201, xml)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", target, xml).Want(409, "data-count") })
	i = api.Change(t, i, func(i *instance.Instance) error { i.Data = i.Data[:0]; return nil })
	api.AssertUnchanged(t, i, func() {
		requests(201, 200)
		api.Do(t, apitest.Nav, "POST", commit).Want(409, "upload-deleted")
	})
}
