package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
)

func key(value string) apitest.Option { return apitest.Header("Idempotency-Key", value) }

func TestSameKeyCreatesOnce(t *testing.T) {
	s := newSite(t)
	const target = "/" + apitest.App + "/instances"
	body := apitest.JSON(`{"reportee":{"ssn":"` + apitest.KariSSN + `"},"data":[{"formId":"default","contentType":"application/xml","content":"PGEvPg=="}]}`)
	first := s.Do(t, apitest.Kari, "POST", target, body, key(`"a key"`))
	created := first.Instance(s, 201)
	s.AssertUnchanged(t, created, func() {
		for _, k := range []string{`"a key"`, "a key"} {
			again := s.Do(t, apitest.Kari, "POST", target, body, key(k)).Want(201, "")
			if again.Body.String() != first.Body.String() || again.ETag() != first.ETag() || again.Header().Get("Location") != first.Header().Get("Location") {
				t.Errorf("again: %s, want %s", again.Body, first.Body)
			}
		}
		other := apitest.JSON(`{"reportee":{"ssn":"` + apitest.KariSSN + `"}}`)
		s.Do(t, apitest.Kari, "POST", target, other, key("a key")).Want(422, "idempotency-key-reused")
		s.Do(t, apitest.Kari, "POST", "/"+apitest.Other+"/instances", body, key("a key")).Want(422, "idempotency-key-reused")
	})
	// The first answer is what comes again, whatever has become of the instance.
	s.Replace(t, created, created.Data[0].ID, "<b/>")
	if again := s.Do(t, apitest.Kari, "POST", target, body, key("a key")).Want(201, ""); again.Body.String() != first.Body.String() {
		t.Errorf("after a change: %s, want %s", again.Body, first.Body)
	}
	// Another caller's key is another key.
	if byOwner := s.Do(t, apitest.Nav, "POST", target, body, key("a key")).Instance(s, 201); byOwner.ID == created.ID {
		t.Error("another caller was given the user's instance")
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	s := newSite(t)
	for _, k := range []string{"", `""`, strings.Repeat("x", 256), "nøkkel"} {
		s.AssertUnchanged(t, nil, func() {
			s.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"50001"}`), key(k)).Want(400, "idempotency-key-invalid")
		})
	}
	s.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"50001"}`), key(strings.Repeat("x", 255))).Instance(s, 201)
}

func TestARefusedRequestLeavesItsKeyFree(t *testing.T) {
	s := newSite(t)
	s.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"50001","labels":[""]}`), key("k")).Want(400, "labels-invalid")
	s.Do(t, apitest.Kari, "POST", "/"+apitest.App+"/instances", apitest.JSON(`{"instanceOwnerId":"50001"}`), key("k")).Instance(s, 201)
}
