package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
)

func key(value string) apitest.Option { return apitest.Header("Idempotency-Key", value) }

func TestSameKeyCreatesOnce(t *testing.T) {
	api := newAPI(t)
	const target = "/" + apitest.App + "/instances"
	body := apitest.JSON(`{"reportee":{"ssn":"` + apitest.KariSSN + `"},"data":[{"formId":"default","contentType":"application/xml","content":"PGEvPg=="}]}`)
	first := api.Do(t, apitest.Kari, "POST", target, body, key(`"a key"`))
	created := first.Instance(api, 201)
	api.AssertUnchanged(t, created, func() {
		for _, k := range []string{`"a key"`, "a key"} {
			again := api.Do(t, apitest.Kari, "POST", target, body, key(k)).Want(201, "")
			if again.Body.String() != first.Body.String() || again.ETag() != first.ETag() || again.Header().Get("Location") != first.Header().Get("Location") {
				t.Errorf("again: %s, want %s", again.Body, first.Body)
			}
		}
		other := apitest.JSON(`{"reportee":{"ssn":"` + apitest.KariSSN + `"}}`)
		api.Do(t, apitest.Kari, "POST", target, other, key("a key")).Want(422, "idempotency-key-reused")
		api.Do(t, apitest.Kari, "POST", "/"+apitest.Other+"/instances", body, key("a key")).Want(422, "idempotency-key-reused")
	})
	// If the instance has changed, the repeat returns its current version.
	changed := api.Replace(t, created, created.Data[0].ID, "<b/>")
	again := api.Do(t, apitest.Kari, "POST", target, body, key("a key"))
	if i := again.Instance(api, 201); i.ID != created.ID || i.Version != changed.Version || again.Header().Get("Location") != first.Header().Get("Location") {
		t.Errorf("after a change: %s", again.Body)
	}
	// Keys of different callers are independent.
	if byOwner := api.Do(t, apitest.Nav, "POST", target, body, key("a key")).Instance(api, 201); byOwner.ID == created.ID {
		t.Error("another caller got the user's instance")
	}
}

// TestRepeatAfterPermanentDeletion checks that a repeated request creates no other instance.
func TestRepeatAfterPermanentDeletion(t *testing.T) {
	api := newAPI(t)
	send := func() apitest.Response {
		return api.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"`+apitest.KariParty+`"}`), key("k"))
	}
	i := send().Instance(api, 201)
	i = api.HardDelete(t, i)
	api.AssertUnchanged(t, i, func() { send().Want(409, "instance-gone") })
	if err := api.Instances.Remove(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	api.AssertUnchanged(t, nil, func() { send().Want(409, "instance-gone") })
}

func TestRejectedKeys(t *testing.T) {
	api := newAPI(t)
	for _, k := range []string{"", `""`, strings.Repeat("x", 256), "nøkkel"} {
		api.AssertUnchanged(t, nil, func() {
			api.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"5000000001"}`), key(k)).Want(400, "idempotency-key-invalid")
		})
	}
	api.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"5000000001"}`), key(strings.Repeat("x", 255))).Instance(api, 201)
}

func TestRejectedRequestReleasesItsKey(t *testing.T) {
	api := newAPI(t)
	api.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"5000000001","labels":[""]}`), key("k")).Want(400, "labels-invalid")
	api.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"5000000001"}`), key("k")).Instance(api, 201)
}
