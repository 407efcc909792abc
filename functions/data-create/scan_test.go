package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newScanningAPI(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
	api := apitest.New(t)
	api.Malware = malware
	serve(api, instance.Quota{})
	return api
}

// TestScan adds content inline and by an upload.
func TestScan(t *testing.T) {
	t.Run("inline", func(t *testing.T) {
		apitest.CheckNewContent(t, newScanningAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
			i := api.Add(t, apitest.InstanceSpec{})
			return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Instance(api, 201)
		})
	})
	t.Run("upload", func(t *testing.T) {
		apitest.CheckNewContent(t, newScanningAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
			i := api.Add(t, apitest.InstanceSpec{})
			u := api.Announce(t, i, apitest.Content, func(u *instance.Upload) {
				if api.Malware.Scans {
					u.Content.Scanning = application.ScanningStrict
				}
			})
			api.Send(t, u, apitest.Content)
			return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm+"&upload="+u.ID)).Instance(api, 201)
		})
	})
}

// TestScanningOfTypes checks that the element and the tag of its object follow the data type.
func TestScanningOfTypes(t *testing.T) {
	for _, test := range []struct {
		members, tag   string
		scanned, allow bool
	}{
		{``, "", true, false},
		{`,"scan":"block","unscannable":"block"`, "", true, false},
		{`,"unscannable":"allow"`, "scan=lenient", true, true},
		{`,"scan":"off","unscannable":"allow"`, "scan=off", false, false},
	} {
		api := newScanningAPI(t, apitest.Scanning)
		api.Register(t, apitest.App, `{"dataTypes":[{"formId":"default"`+test.members+`}]}`)
		i := api.Add(t, apitest.InstanceSpec{})
		d := api.Stored(t, api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm), xml).Instance(api, 201)).Data[0]
		if tag := api.Blobs.Tag(blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)); tag != test.tag || (d.Scan != nil) != test.scanned || d.AllowUnscannable != test.allow {
			t.Errorf("%s: the tag is %q, the element %+v", test.members, tag, d)
		}
	}
}

// TestRegistrationAfterAnnouncement commits uploads after the registration of their type has
// changed. The stricter rule holds. An upload without a scan cannot become data that must be
// scanned.
func TestRegistrationAfterAnnouncement(t *testing.T) {
	for _, test := range []struct {
		announced       application.Scanning
		members         string
		scanned, strict bool
		code            string
	}{
		{application.ScanningExempt, ``, false, false, "upload-differs"},
		{application.NoScanning, ``, false, false, "upload-differs"},
		{application.NoScanning, `,"scan":"off"`, false, false, ""},
		{application.ScanningStrict, `,"scan":"off"`, true, true, ""},
		{application.ScanningStrict, `,"unscannable":"allow"`, true, true, ""},
		{application.ScanningLenient, ``, true, true, ""},
		{application.ScanningLenient, `,"unscannable":"allow"`, true, false, ""},
	} {
		api := newScanningAPI(t, apitest.Scanning)
		api.Register(t, apitest.App, `{"dataTypes":[{"formId":"default"`+test.members+`}]}`)
		i := api.Add(t, apitest.InstanceSpec{})
		u := api.Announce(t, i, apitest.Content, func(u *instance.Upload) { u.Content.Scanning = test.announced })
		api.Send(t, u, apitest.Content)
		r := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asForm+"&upload="+u.ID))
		if test.code != "" {
			r.Want(409, test.code)
			continue
		}
		if d := api.Stored(t, r.Instance(api, 201)).Data[0]; (d.Scan != nil) != test.scanned || d.AllowUnscannable == test.strict && test.scanned {
			t.Errorf("%+v: the element is %+v", test, d)
		}
	}
}

// TestIfMatchAfterScan sends the entity tag from before a scan result, which stays valid for
// writes.
func TestIfMatchAfterScan(t *testing.T) {
	api := newScanningAPI(t, apitest.Scanning)
	i := api.Add(t, apitest.InstanceSpec{})
	etag := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asAttachment), xml).Want(201, "").ETag()
	scanned := api.Change(t, i, func(i *instance.Instance) error {
		_, err := i.ApplyScans(&application.Application{}, map[string]instance.ScanResult{i.Data[0].Revision: {Status: instance.ScanClean}}, i.CreatedDateTime, instance.Links{})
		return err
	})
	if instancehttp.ETag(scanned) == etag {
		t.Errorf("the scan result keeps the entity tag %s", etag)
	}
	for _, match := range []string{etag, instancehttp.ETag(scanned)} {
		r := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asAttachment), xml, apitest.Header("If-Match", etag)).Want(201, "")
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, asAttachment), xml, apitest.Header("If-Match", match)).Want(412, "version-stale")
		etag = r.ETag()
	}
}
