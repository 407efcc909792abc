package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

const (
	sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	xml    = `{"contentType":"application/xml","size":1,"sha256":"` + sha256 + `"}`
	pdf    = `{"fileName":"søknad.pdf","contentType":"application/pdf","size":104857600,"sha256":"` + sha256 + `"}`
)

// announce is the path under an instance, with the formId of pdf.
const announce = "/uploads?formId=attachment"

func newAPI(t *testing.T) *apitest.API { return newAPIWithQuota(t, instance.Quota{}) }

func newAPIWithQuota(t *testing.T, quota instance.Quota) *apitest.API {
	api := apitest.New(t)
	serve(api, quota)
	return api
}

func serve(api *apitest.API, quota instance.Quota) {
	api.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/uploads", newHandler(api.Authorizer, api.Applications, api.Instances, api.Blobs, quota, api.Malware))
}

// TestScanning announces content of types that are scanned, leniently, or not. The client must send
// the tag of its object.
func TestScanning(t *testing.T) {
	for members, want := range map[string]application.Scanning{
		``: application.ScanningStrict, `,"unscannable":"allow"`: application.ScanningLenient, `,"scan":"off"`: application.ScanningExempt,
	} {
		api := apitest.New(t)
		api.Malware = apitest.Scanning
		serve(api, instance.Quota{})
		api.Register(t, apitest.App, `{"dataTypes":[{"formId":"attachment"`+members+`}]}`)
		i := api.Add(t, apitest.InstanceSpec{})
		got := parseResponse(t, api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)))
		u, err := api.Instances.Upload(t.Context(), got.ID)
		if err != nil || u.Content.Scanning != want || got.Headers["X-Amz-Tagging"] != want.Tag() {
			t.Errorf("%s: %v, %+v, %v", members, err, u, got.Headers)
		}
	}
}

func parseResponse(t *testing.T, r apitest.Response) response {
	t.Helper()
	var got response
	r.Want(201, "").JSON(&got)
	return got
}

func TestAnnounce(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	before := time.Now()
	var r apitest.Response
	api.AssertUnchanged(t, i, func() { r = api.Do(t, apitest.KariWriter, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)) })
	got := parseResponse(t, r)
	u, err := api.Instances.Upload(t.Context(), got.ID)
	if err != nil || u == nil {
		t.Fatalf("upload %+v, %v", u, err)
	}
	want := instance.Content{ContentType: "application/pdf", FileName: "søknad.pdf", Size: 100 << 20, SHA256: sha256, Revision: u.Content.Revision}
	if !u.BelongsTo(i) || u.Content != want || !instance.ValidUploadID(u.ID) || u.FormID != "attachment" || !instance.ValidGuid(u.NewDataGuid()) || u.Fingerprint != "" {
		t.Errorf("stored is %+v", u)
	}
	link, err := url.Parse(got.URL)
	if err != nil || link.Path != "/"+blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, u.Content.Revision).String() || link.Query().Get("sha256") != sha256 {
		t.Errorf("the URL is %s (%v)", link, err)
	}
	if got.Method != "PUT" || got.Headers["Content-Length"] != "104857600" || got.Headers["Content-Type"] != "application/pdf" {
		t.Errorf("got %+v", got)
	}
	if got.Expires.Sub(before) > 5*time.Minute+time.Second || got.Expires.Sub(before) < 4*time.Minute || u.Expires.Sub(before) > instance.UploadLifetime+time.Second {
		t.Errorf("the URL expires %s, the upload %s", got.Expires, u.Expires)
	}
	var members map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &members); err != nil || len(members) != 5 || r.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the response is %s (%v), %v", r.Body, err, r.Header())
	}
	if other := parseResponse(t, api.Do(t, apitest.NavWriter, "POST", apitest.InApp(i, announce), apitest.JSON(pdf))); other.ID == got.ID || other.URL == got.URL {
		t.Errorf("the next upload is %+v", other)
	}
}

func TestWhoMayAnnounce(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckAccess(t, i, false, "POST", apitest.InApp(i, announce), apitest.JSON(pdf))
}

func TestRejects(t *testing.T) {
	body := func(old, new string) []apitest.Option {
		return []apitest.Option{apitest.JSON(strings.Replace(pdf, old, new, 1))}
	}
	for name, test := range map[string]struct {
		spec    apitest.InstanceSpec
		query   string
		options []apitest.Option
		status  int
		code    string
	}{
		"no body":                    {options: []apitest.Option{apitest.JSON("")}, status: 400, code: "body-invalid"},
		"no JSON":                    {options: []apitest.Option{apitest.Body("text/plain", pdf)}, status: 415, code: "body-not-json"},
		"an unknown member":          {options: body("fileName", "filename"), status: 400, code: "body-invalid"},
		"a large body":               {options: body("søknad", strings.Repeat("a", maxBody)), status: 413, code: "body-too-large"},
		"no type":                    {options: body("application/pdf", ""), status: 415, code: "content-type-invalid"},
		"a range of types":           {options: body("application/pdf", "image/*"), status: 415, code: "content-type-invalid"},
		"a type of two lines":        {options: body("application/pdf", `application/pdf\r\nx-amz-acl: public-read`), status: 415, code: "content-type-invalid"},
		"an empty upload":            {options: body("104857600", "0"), status: 400, code: "upload-invalid"},
		"a negative size":            {options: body("104857600", "-1"), status: 400, code: "upload-invalid"},
		"half a byte":                {options: body("104857600", "0.5"), status: 400, code: "body-invalid"},
		"over the limit of S3":       {options: body("104857600", "5368709121"), status: 413, code: "data-too-large"},
		"no checksum":                {options: body(sha256, ""), status: 400, code: "upload-invalid"},
		"a short checksum":           {options: body(sha256, sha256[2:]), status: 400, code: "upload-invalid"},
		"a checksum in base64":       {options: body(sha256, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="), status: 400, code: "upload-invalid"},
		"no formId":                  {query: "?", status: 400, code: "parameter-invalid"},
		"an empty formId":            {query: "?formId=", status: 400, code: "parameter-invalid"},
		"two formIds":                {query: "?formId=attachment&formId=attachment", status: 400, code: "parameter-invalid"},
		"an unknown parameter":       {query: "?formId=attachment&upload=x", status: 400, code: "parameter-unknown"},
		"an unknown formId":          {query: "?formId=skjema", status: 400, code: "form-id-unknown"},
		"a type not allowed":         {query: "?formId=default", status: 415, code: "content-type-not-allowed"},
		"over the limit of the form": {query: "?formId=default", options: body("application/pdf", "application/xml"), status: 413, code: "data-too-large"},
		"no element":                 {query: "?formId=attachment&dataGuid=019a0000-0000-7000-8000-000000000000", status: 404, code: "not-found"},
		"an invalid element":         {query: "?formId=attachment&dataGuid=x", status: 400, code: "parameter-invalid"},
		"another version":            {options: []apitest.Option{apitest.JSON(pdf), apitest.Header("If-Match", `"2"`)}, status: 412, code: "version-stale"},
		"an invalid key":             {options: []apitest.Option{apitest.JSON(pdf), apitest.Header("Idempotency-Key", "")}, status: 400, code: "idempotency-key-invalid"},
		"a submitted instance":       {spec: apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}}, status: 409, code: "data-locked"},
		"an archived instance":       {spec: apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}}, status: 409, code: "instance-archived"},
		"over maxCount": {spec: apitest.InstanceSpec{Forms: []string{"default"}}, query: "?formId=default",
			options: []apitest.Option{apitest.JSON(xml)}, status: 409, code: "data-count"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, test.spec)
			if test.options == nil {
				test.options = []apitest.Option{apitest.JSON(pdf)}
			}
			target := announce
			if test.query != "" {
				target = "/uploads" + test.query
			}
			api.AssertUnchanged(t, i, func() {
				api.Do(t, apitest.Kari, "POST", apitest.InApp(i, target), test.options...).Want(test.status, test.code)
			})
			if checks, _ := instancetest.AllOrphanChecks(t.Context(), api.Instances, time.Now().Add(100*time.Hour)); len(checks) > 0 {
				t.Errorf("checks %+v", checks)
			}
		})
	}
}

func TestAcceptsTheLimits(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	for _, body := range []string{
		`{"contentType":"video/mp4","size":5368709120,"sha256":"` + strings.ToUpper(sha256) + `"}`,
		`{"contentType":"application/xml; charset=utf-8","size":1,"sha256":"` + sha256 + `"}`,
	} {
		got := parseResponse(t, api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(body)))
		if u, err := api.Instances.Upload(t.Context(), got.ID); err != nil || u.Content.SHA256 != sha256 || u.Content.FileName != "" {
			t.Errorf("stored is %+v, %v", u, err)
		}
	}
}

// TestIdempotencyKey checks that the same key returns the same upload with a new presigned request.
func TestIdempotencyKey(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	send := func(caller, body string) apitest.Response {
		return api.Do(t, caller, "POST", apitest.InApp(i, announce), apitest.JSON(body), apitest.Header("Idempotency-Key", "a"))
	}
	var ids [8]string
	var all sync.WaitGroup
	for n := range ids {
		all.Go(func() { ids[n] = parseResponse(t, send(apitest.Kari, pdf)).ID })
	}
	all.Wait()
	first, err := api.Instances.Upload(t.Context(), ids[0])
	if err != nil || first == nil {
		t.Fatalf("upload %+v, %v", first, err)
	}
	for _, id := range ids {
		if id != first.ID {
			t.Errorf("uploads %v", ids)
		}
	}
	again := parseResponse(t, send(apitest.Kari, pdf))
	if !strings.Contains(again.URL, first.Content.Revision) {
		t.Errorf("the replay has the URL %s", again.URL)
	}
	send(apitest.Kari, strings.Replace(pdf, "104857600", "1", 1)).Want(422, "idempotency-key-reused")
	if other := parseResponse(t, send(apitest.Nav, pdf)); other.ID == first.ID {
		t.Error("another caller's key returns the same upload")
	}
	// A replay must also require access to the instance.
	api.HardDelete(t, i)
	send(apitest.Kari, pdf).Want(404, "not-found")
}

// TestAnnounceReplacement announces the replacement of an element, which needs no place under
// maxCount, but must be possible.
func TestAnnounceReplacement(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	send := func(formID string, n int) apitest.Response {
		target := apitest.InApp(i, "/uploads?formId="+formID+"&dataGuid="+strings.ToUpper(i.Data[n].ID))
		return api.Do(t, apitest.Kari, "POST", target, apitest.JSON(xml))
	}
	u, err := api.Instances.Upload(t.Context(), parseResponse(t, send("default", 0)).ID)
	if err != nil || u == nil || u.FormID != "default" || u.NewDataGuid() == i.Data[0].ID {
		t.Errorf("upload %+v, %v", u, err)
	}
	send("default", 1).Want(409, "upload-form-id")
	api.Change(t, i, func(i *instance.Instance) error { i.Data[0].IsLocked = true; return nil })
	send("default", 0).Want(409, "data-locked")
}

// TestUploadCount announces uploads until the instance has no place for another one.
func TestUploadCount(t *testing.T) {
	api := newAPI(t)
	i, other := api.Add(t, apitest.InstanceSpec{}), api.Add(t, apitest.InstanceSpec{})
	send := func(i *instance.Instance, key string) apitest.Response {
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf), apitest.Header("Idempotency-Key", key))
	}
	var first response
	for n := range instance.MaxOpenUploads {
		got := parseResponse(t, send(i, strconv.Itoa(n)))
		if n == 0 {
			first = got
		}
	}
	rejected := send(i, "another").Want(409, "upload-count")
	if expires := time.Now().Add(instance.UploadLifetime).UTC().Format("2006-01-02T15:"); !strings.Contains(rejected.Body.String(), expires) {
		t.Errorf("the problem is %s", rejected.Body)
	}
	if again := parseResponse(t, send(i, "0")); again.ID != first.ID { // takes no second place
		t.Errorf("the replay is %+v", again)
	}
	parseResponse(t, send(other, "of another instance"))

	u, err := api.Instances.Upload(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	api.Change(t, i, func(i *instance.Instance) error {
		i.IdempotencyRecord = u.IdempotencyRecord(u.NewDataGuid(), nil, time.Now())
		return nil
	})
	parseResponse(t, send(i, "another"))
	send(i, "one more").Want(409, "upload-count")
}

func TestFailingStore(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Instances.Fail = func() error { return errors.New("table down") }
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)).Want(500, "internal")
	api.Instances.Fail = nil
	api.Blobs.Hook = func(blobtest.Call) error { return errors.New("no credentials") }
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)).Want(500, "internal")
}

// TestQuota counts the announced bytes of each upload, whether it is sent or not, but no replay.
func TestQuota(t *testing.T) {
	api := newAPIWithQuota(t, instance.Quota{Elements: 10, Bytes: 250 << 20})
	i := api.Add(t, apitest.InstanceSpec{})
	key := apitest.Header("Idempotency-Key", "a")
	for range 3 {
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf), key).Want(201, "")
	}
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)).Want(201, "")
	over := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)).Want(429, "quota-exceeded")
	if !strings.Contains(over.Body.String(), "bytes") || over.Header().Get("Retry-After") == "" {
		t.Errorf("%v %s", over.Header(), over.Body)
	}
	api.Do(t, apitest.NavWriter, "POST", apitest.InApp(i, announce), apitest.JSON(pdf)).Want(201, "")
}
