package apitest

import (
	"encoding/json"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/instance"
)

// Seed is a request in the fuzzer's seed corpus.
type Seed struct{ Query, ContentType, Body string }

// Fuzz sends requests with generated queries, header fields and bodies, each to a new API. open
// returns the API, the instance in the path (or nil) and the target. Fuzz checks that every
// response is either a success that leaves all instances valid, or a 4xx that changes nothing.
func Fuzz(f *testing.F, caller, method string, open func(t *testing.T) (api *API, i *instance.Instance, target string), seeds ...Seed) {
	for _, s := range seeds {
		f.Add(s.Query, s.ContentType, "", "", "", []byte(s.Body))
		f.Add(s.Query, s.ContentType, `"1"`, "key", `attachment; filename*=UTF-8''..%2F%E2%80%AEa%0D%0A.pdf`, []byte(s.Body))
	}
	f.Fuzz(func(t *testing.T, query, contentType, ifMatch, key, disposition string, body []byte) {
		api, i, target := open(t)
		options := []Option{Body(contentType, string(body)), Query(query)}
		for name, value := range map[string]string{"If-Match": ifMatch, "Idempotency-Key": key, "Content-Disposition": disposition} {
			if value != "" {
				options = append(options, Header(name, value))
			}
		}
		before := api.state(t, i)
		response := api.Do(t, caller, method, target, options...)
		switch {
		case response.Code >= 500, response.Code < 200, response.Code >= 300 && response.Code < 400:
			t.Errorf("%s: %d %s", response.request, response.Code, response.Body)
		case response.Code >= 400:
			if after := api.state(t, i); after != before {
				t.Errorf("%s: rejected (%s), but changed\n%s\nto\n%s", response.request, response.Body, before, after)
			}
		default:
			api.checkInstances(t)
		}
	})
}

// checkInstances checks that all stored instances are valid.
func (api *API) checkInstances(t *testing.T) {
	t.Helper()
	for _, ev := range api.Instances.Outbox() {
		guid, _, _ := strings.Cut(ev.ID, ".")
		i := api.Stored(t, &instance.Instance{ID: guid, InstanceOwnerID: ev.InstanceOwnerID})
		app, err := api.Applications.Get(t.Context(), i.AppID)
		if err != nil || app == nil {
			t.Fatalf("%s: no application, %v", i.AppID, err)
		}
		if _, err := instance.CheckLabels(i.Labels); err != nil {
			t.Errorf("labels %q: %v", i.Labels, err)
		}
		if text, err := json.Marshal(i); err != nil || len(text) > 400_000 {
			t.Errorf("the document has %d bytes (%v)", len(text), err)
		}
		for _, d := range i.Data {
			_, declared := app.DataType(d.FormID)
			object, err := api.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision))
			if !declared || err != nil || object.Size != d.FileSize || object.SHA256 != d.SHA256 || !application.ValidContentType(d.ContentType) ||
				blobhttp.SafeName(d.FileName) != d.FileName {
				t.Errorf("data element %+v, stored as %+v (%v)", d, object, err)
			}
		}
	}
}
