package apitest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// unknown is a guid that nothing has.
const unknown = "019a0000-0000-7000-8000-000000000000"

// CheckAccess checks who is let in to an endpoint on an instance of Kari's in App, and that nothing is changed by those who
// are not. target is the path of a request that succeeds for nav, and, unless ownerOnly, for Kari; a GET reads, any
// other method writes.
func (s *API) CheckAccess(t *testing.T, i *instance.Instance, ownerOnly bool, method, target string, options ...Option) {
	t.Helper()
	refuse := func(what, caller, target string, status int, code string) {
		t.Run("refuses "+what, func(t *testing.T) {
			t.Helper()
			s.AssertUnchanged(t, i, func() { s.Do(t, caller, method, target, options...).Want(status, code) })
		})
	}
	navWithout, kariWithout := NavReader, KariReader
	if method == http.MethodGet {
		navWithout, kariWithout = NavWriter, KariWriter
	}
	refuse("a request without a token", Nobody, target, 401, "token-missing")
	refuse("a forged token", Forged, target, 401, "token-invalid")
	refuse("the owner without the scope", navWithout, target, 403, "scope-missing")
	refuse("another owner", Skd, target, 404, "not-found")
	if ownerOnly {
		refuse("the user", Kari, target, 403, "owner-only")
		refuse("another user", Ola, target, 403, "owner-only")
		refuse("a user, of what is not there", Kari, strings.Replace(target, i.ID, unknown, 1), 403, "owner-only")
	} else {
		refuse("the user without the scope", kariWithout, target, 403, "scope-missing")
		refuse("another user", Ola, target, 404, "not-found")
		refuse("another user, known by SSN", OlaBySSN, target, 404, "not-found")
		refuse("a user nobody has reported", Newcomer, target, 404, "not-found")
		refuse("the user under another's number", Kari, strings.Replace(target, KariParty, OlaParty, 1), 404, "not-found")
		refuse("another user under their own number", Ola, strings.Replace(target, KariParty, OlaParty, 1), 404, "not-found")
	}
	if method != http.MethodGet {
		s.AssertUnchanged(t, i, func() {
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			s.Do(t, Nav, method, target+separator+"Hard=true", options...).Want(400, "parameter-unknown")
		})
	}
	for what, other := range map[string]string{
		"another party's number":     strings.Replace(target, KariParty, OlaParty, 1),
		"a number nobody has":        strings.Replace(target, KariParty, "59999", 1),
		"what is no number":          strings.Replace(target, KariParty, "0x1", 1),
		"an unknown instance":        strings.Replace(target, i.ID, unknown, 1),
		"what is no guid":            strings.Replace(target, i.ID, "x", 1),
		"a guid in capitals":         strings.Replace(target, i.ID, strings.ToUpper(i.ID), 1),
		"the owner's other app":      strings.Replace(target, App, Other, 1),
		"another owner's app":        strings.Replace(target, App, SkdApp, 1),
		"an unknown data element":    replaceElement(target, i, uuid.New().String()),
		"what is no element's guid":  replaceElement(target, i, "x"),
		"the instance as an element": replaceElement(target, i, i.ID),
	} {
		if other != target {
			refuse("the owner at "+what, Nav, other, 404, "not-found")
		}
	}
}

func replaceElement(target string, i *instance.Instance, by string) string {
	for _, element := range i.Data {
		target = strings.Replace(target, element.ID, by, 1)
	}
	return target
}

// AssertUnchanged checks that a request changes nothing: not the instance, no bytes, no event. i may be nil, for none.
func (s *API) AssertUnchanged(t *testing.T, i *instance.Instance, request func()) {
	t.Helper()
	before := s.state(t, i)
	request()
	if after := s.state(t, i); after != before {
		t.Errorf("the request has changed\n%s\nto\n%s", before, after)
	}
}

func (s *API) state(t *testing.T, i *instance.Instance) string {
	t.Helper()
	var stored *instance.Instance
	version := int64(0)
	if i != nil {
		stored = s.Stored(t, i)
		version = stored.Version
	}
	state, err := json.Marshal(map[string]any{
		"instance": stored, "version": version, "blobs": s.Blobs.Keys(), "events": s.Instances.Outbox(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(state)
}

// CheckConditionalGet checks what every GET does: its ContentETag in If-None-Match is a 304 with that ContentETag and no body, another is not;
// HEAD has the status and the header of GET. The GET must succeed for the caller.
func (s *API) CheckConditionalGet(t *testing.T, caller, target string) {
	t.Helper()
	got := s.Do(t, caller, "GET", target).Want(200, "")
	etag := got.ETag()
	if len(etag) < 3 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		t.Errorf("GET %s: ETag %s", target, etag)
	}
	for condition, status := range map[string]int{
		etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, strings.Trim(etag, `"`): 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := s.Do(t, caller, method, target, Header("If-None-Match", condition)).Want(status, "")
			if a.ETag() != etag || status == 304 && a.Body.Len() > 0 {
				t.Errorf("%s with If-None-Match %s: ETag %s, body %.100s", a.what, condition, a.ETag(), a.Body)
			}
		}
	}
	head := s.Do(t, caller, "HEAD", target).Want(200, "")
	for name, want := range got.Header() {
		if have := head.Header()[name]; len(have) != 1 || have[0] != want[0] {
			t.Errorf("HEAD %s: %s %q, and with GET %q", target, name, have, want)
		}
	}
}
