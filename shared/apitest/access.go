package apitest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// unknown is a guid that no instance has.
const unknown = "019a0000-0000-7000-8000-000000000000"

// CheckAccess checks which callers have access to an endpoint for an instance of Kari in App, and
// that rejected requests change nothing. The request succeeds for nav and, unless ownerOnly, for
// Kari. A data element in the path that only the owner may see is missing for Kari. A GET reads;
// any other method writes.
func (api *API) CheckAccess(t *testing.T, i *instance.Instance, ownerOnly bool, method, target string, options ...Option) {
	t.Helper()
	rejects := func(what, caller, target string, status int, code string) {
		t.Run("rejects "+what, func(t *testing.T) {
			t.Helper()
			api.AssertUnchanged(t, i, func() { api.Do(t, caller, method, target, options...).Want(status, code) })
		})
	}
	navWithout, kariWithout := NavReader, KariReader
	if method == http.MethodGet {
		navWithout, kariWithout = NavWriter, KariWriter
	}
	rejects("a request without a token", Nobody, target, 401, "token-missing")
	rejects("a forged token", Forged, target, 401, "token-invalid")
	rejects("the owner without the scope", navWithout, target, 403, "scope-missing")
	rejects("another owner", Skd, target, 404, "not-found")
	rejects("another owner, with guids in capitals", Skd, inCapitals(target, i), 404, "not-found")
	if ownerOnly {
		rejects("the user", Kari, target, 403, "owner-only")
		rejects("another user", Ola, target, 403, "owner-only")
		rejects("a user, for an unknown instance", Kari, strings.Replace(target, i.ID, unknown, 1), 403, "owner-only")
	} else {
		rejects("the user without the scope", kariWithout, target, 403, "scope-missing")
		rejects("another user", Ola, target, 404, "not-found")
		rejects("another user, known by SSN", OlaBySSN, target, 404, "not-found")
		rejects("a user without a party number", Newcomer, target, 404, "not-found")
		rejects("the user, under another party", Kari, strings.Replace(target, KariParty, OlaParty, 1), 404, "not-found")
		rejects("another user, under their own party", Ola, strings.Replace(target, KariParty, OlaParty, 1), 404, "not-found")
	}
	if hidden := api.hiddenElement(t, i, target); hidden != "" && !ownerOnly {
		rejects("the user, with an element that only the owner sees", Kari, hidden, 404, "not-found")
		rejects("the user, with such an element in another path", Kari, strings.Replace(hidden, KariParty, OlaParty, 1), 404, "not-found")
	}
	if method != http.MethodGet {
		api.AssertUnchanged(t, i, func() {
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			api.Do(t, Nav, method, target+separator+"Hard=true", options...).Want(400, "parameter-unknown")
		})
	}
	for what, other := range map[string]string{
		"another party's path":        strings.Replace(target, KariParty, OlaParty, 1),
		"a party that does not exist": strings.Replace(target, KariParty, "5000009999", 1),
		"a malformed party":           strings.Replace(target, KariParty, "0x1", 1),
		"an unknown instance":         strings.Replace(target, i.ID, unknown, 1),
		"a malformed guid":            strings.Replace(target, i.ID, "x", 1),
		"the owner's other app":       strings.Replace(target, App, Other, 1),
		"another owner's app":         strings.Replace(target, App, SkdApp, 1),
		"an unknown data element":     replaceElement(target, i, uuid.New().String()),
		"a malformed element guid":    replaceElement(target, i, "x"),
		"the instance as an element":  replaceElement(target, i, i.ID),
	} {
		if other != target {
			rejects("the owner, with "+what, Nav, other, 404, "not-found")
		}
	}
}

// inCapitals writes the guids in a path in capitals, as some client libraries do.
func inCapitals(target string, i *instance.Instance) string {
	target = strings.ReplaceAll(target, i.ID, strings.ToUpper(i.ID))
	for _, element := range i.Data {
		target = strings.ReplaceAll(target, element.ID, strings.ToUpper(element.ID))
	}
	return target
}

// replaceElement replaces the id of the data element in a path.
func replaceElement(target string, i *instance.Instance, by string) string {
	for _, element := range i.Data {
		target = strings.Replace(target, element.ID, by, 1)
	}
	return target
}

// hiddenElement returns target for a copy of i in which only the owner may see the data element
// that target names. It returns "" if target names none.
func (api *API) hiddenElement(t *testing.T, i *instance.Instance, target string) string {
	t.Helper()
	n := slices.IndexFunc(i.Data, func(d instance.DataElement) bool { return strings.Contains(target, d.ID) })
	if n < 0 {
		return ""
	}
	hidden := i.Clone()
	hidden.ID, hidden.Version, hidden.EventCount = uuid.NewV7().String(), 0, 1
	for m := range hidden.Data {
		hidden.Data[m].ID = uuid.New().String()
	}
	hidden.Data[n].OwnerOnly = true
	if err := api.Instances.Create(t.Context(), hidden, hidden.StepEvent("", "1001", api.View.Links(hidden))); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(i.ID, hidden.ID, i.Data[n].ID, hidden.Data[n].ID).Replace(target)
}

// CheckRead checks a GET on an instance of Kari in App: its readers get 200 and a response that
// check accepts, the GET changes nothing, and all other callers are rejected. It also runs
// CheckConditionalGet.
func (api *API) CheckRead(t *testing.T, i *instance.Instance, target string, check func(*testing.T, Response)) {
	t.Helper()
	for name, caller := range map[string]string{"owner": NavReader, "user": KariReader, "user known by SSN": KariBySSN} {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			api.AssertUnchanged(t, i, func() { check(t, api.Do(t, caller, http.MethodGet, target).Want(200, "")) })
		})
	}
	t.Run("guids in capitals", func(t *testing.T) {
		t.Helper()
		check(t, api.Do(t, Nav, http.MethodGet, inCapitals(target, i)).Want(200, ""))
	})
	api.CheckAccess(t, i, false, http.MethodGet, target)
	for _, caller := range []string{Nav, Kari} {
		api.CheckConditionalGet(t, caller, target)
	}
}

// CheckReadOfDeleted checks that a GET on an instance of Kari in App succeeds after a soft delete,
// and returns 404 after a hard delete.
func (api *API) CheckReadOfDeleted(t *testing.T, i *instance.Instance, target string) {
	t.Helper()
	api.SoftDelete(t, i)
	for _, caller := range []string{Kari, Nav} {
		api.Do(t, caller, http.MethodGet, target).Want(200, "")
	}
	api.HardDelete(t, i)
	for _, caller := range []string{Kari, Nav} {
		api.Do(t, caller, http.MethodGet, target).Want(404, "not-found")
	}
}

// AssertUnchanged checks that a request changes no instance, content or event. i may be nil.
func (api *API) AssertUnchanged(t *testing.T, i *instance.Instance, request func()) {
	t.Helper()
	before := api.state(t, i)
	request()
	if after := api.state(t, i); after != before {
		t.Errorf("the request changed\n%s\nto\n%s", before, after)
	}
}

// state returns the state that AssertUnchanged compares. i may be nil.
func (api *API) state(t *testing.T, i *instance.Instance) string {
	t.Helper()
	var stored *instance.Instance
	version := int64(0)
	if i != nil {
		stored = api.Stored(t, i)
		version = stored.Version
	}
	state, err := json.Marshal(map[string]any{
		"instance": stored, "version": version, "blobs": api.Blobs.Keys(), "events": api.Instances.Outbox(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(state)
}

// CheckConditionalGet checks that If-None-Match with the ETag of a GET returns 304 with that ETag
// and no body, and that another tag returns 200. HEAD must have the status and the header of GET.
// The GET must succeed for the caller.
func (api *API) CheckConditionalGet(t *testing.T, caller, target string) {
	t.Helper()
	got := api.Do(t, caller, "GET", target).Want(200, "")
	etag := got.ETag()
	if len(etag) < 3 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		t.Errorf("GET %s: ETag %s", target, etag)
	}
	for condition, status := range map[string]int{
		etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, strings.Trim(etag, `"`): 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			response := api.Do(t, caller, method, target, Header("If-None-Match", condition)).Want(status, "")
			if response.ETag() != etag || status == 304 && response.Body.Len() > 0 {
				t.Errorf("%s with If-None-Match %s: ETag %s, body %.100s", response.request, condition, response.ETag(), response.Body)
			}
		}
	}
	head := api.Do(t, caller, "HEAD", target).Want(200, "")
	for name, want := range got.Header() {
		if have := head.Header()[name]; len(have) != 1 || have[0] != want[0] {
			t.Errorf("HEAD %s: %s %q, but with GET %q", target, name, have, want)
		}
	}
}
