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

// Seed is a request that the fuzzer starts from.
type Seed struct{ Query, ContentType, Body string }

// Fuzz lets the fuzzer send what it likes: query, some header fields and body, to a new site each time, which open returns with
// the instance that the request is about, or nil, and the target. Whatever that is, the answer is a success that leaves
// everything as it may be, or a problem of the caller's, and then nothing is changed.
func Fuzz(f *testing.F, caller, method string, open func(t *testing.T) (s *API, i *instance.Instance, target string), seeds ...Seed) {
	for _, s := range seeds {
		f.Add(s.Query, s.ContentType, "", "", "", []byte(s.Body))
		f.Add(s.Query, s.ContentType, `"1"`, "key", `attachment; filename*=UTF-8''..%2F%E2%80%AEa%0D%0A.pdf`, []byte(s.Body))
	}
	f.Fuzz(func(t *testing.T, query, contentType, ifMatch, key, disposition string, body []byte) {
		s, i, target := open(t)
		options := []Option{Bytes(contentType, string(body)), Query(query)}
		for name, value := range map[string]string{"If-Match": ifMatch, "Idempotency-Key": key, "Content-Disposition": disposition} {
			if value != "" {
				options = append(options, Header(name, value))
			}
		}
		before := s.state(t, i)
		answer := s.Do(t, caller, method, target, options...)
		switch {
		case answer.Code >= 500, answer.Code < 200, answer.Code >= 300 && answer.Code < 400:
			t.Errorf("%s: %d %s", answer.what, answer.Code, answer.Body)
		case answer.Code >= 400:
			if after := s.state(t, i); after != before {
				t.Errorf("%s: refused (%s), and changed\n%s\nto\n%s", answer.what, answer.Body, before, after)
			}
		default:
			s.checkResponse(t)
		}
	})
}

// checkResponse checks of all instances that they are as the rules have it, whatever was sent.
func (s *API) checkResponse(t *testing.T) {
	t.Helper()
	for _, ev := range s.Instances.Outbox() {
		guid, _, _ := strings.Cut(ev.ID, ".")
		i := s.Stored(t, &instance.Instance{ID: guid, InstanceOwnerID: ev.InstanceOwnerID})
		app, err := s.Applications.Get(t.Context(), i.AppID)
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
			object, err := s.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision))
			if !declared || err != nil || object.Size != d.FileSize || object.SHA256 != d.SHA256 || !application.ValidContentType(d.ContentType) ||
				blobhttp.SafeName(d.FileName) != d.FileName {
				t.Errorf("data element %+v, stored as %+v (%v)", d, object, err)
			}
		}
	}
}
