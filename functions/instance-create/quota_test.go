package main

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newAPIWithQuota(t *testing.T, quota instance.Quota) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, newHandler(&handler{
		authenticator: api.Authorizer.Authenticator, applications: api.Applications,
		creator: instancehttp.Creator{Parties: api.Parties, Instances: api.Instances, Blobs: api.Blobs, View: api.View, Quota: quota},
	}))
	return api
}

// TestQuota checks that the quota is separate for each caller, and that replays and rejected
// requests do not count. A request over the quota must change nothing.
func TestQuota(t *testing.T) {
	api := newAPIWithQuota(t, instance.Quota{Instances: 2})
	create := func(caller, body string, options ...apitest.Option) apitest.Response {
		return api.Do(t, caller, "POST", path, append(options, apitest.JSON(body))...)
	}
	first := create(apitest.Nav, `{`+kari+`}`, key("a")).Want(201, "")
	for range 3 {
		create(apitest.Nav, `{`+kari+`}`, key("a")).Want(201, "")
		create(apitest.Nav, `{"labels":[""]}`).Want(400, "labels-invalid")
		create(apitest.Nav, `{"instanceOwnerId":"5000009999"}`).Want(404, "not-found")
		create(apitest.Nav, `{`+kari+`,"labels":["x"]}`, key("a")).Want(422, "idempotency-key-reused")
	}
	create(apitest.Nav, `{`+kari+`,`+oneForm+`}`).Want(201, "")
	api.AssertUnchanged(t, nil, func() {
		for _, body := range []string{`{` + kari + `}`, `{` + kari + `,` + oneForm + `}`, `{"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}}`} {
			over := create(apitest.Nav, body, key("b")).Want(429, "quota-exceeded")
			if seconds, err := strconv.Atoi(over.Header().Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 {
				t.Errorf("Retry-After %q", over.Header().Get("Retry-After"))
			}
		}
		if again := create(apitest.Nav, `{`+kari+`}`, key("a")).Want(201, ""); again.Body.String() != first.Body.String() {
			t.Errorf("the replay is %s", again.Body)
		}
	})
	for _, identity := range api.Parties.Lookups() {
		if identity.Value == apitest.NewcomerSSN {
			t.Error("a request over the quota assigned a party number")
		}
	}
	for range 2 {
		create(apitest.Kari, `{`+kari+`}`).Want(201, "")
	}
	create(apitest.KariBySSN, `{`+kari+`}`).Want(429, "quota-exceeded") // the same party
	create(apitest.Newcomer, `{"reportee":{"ssn":"`+apitest.NewcomerSSN+`"}}`).Want(201, "")
}

func TestConcurrentQuota(t *testing.T) {
	api := newAPIWithQuota(t, instance.Quota{Instances: 3})
	var codes [12]int
	var all sync.WaitGroup
	for n := range codes {
		all.Go(func() {
			codes[n] = api.Do(t, apitest.Kari, "POST", path, apitest.JSON(`{`+kari+`}`), key(strconv.Itoa(n/2))).Code // each key twice
		})
	}
	all.Wait()
	if created := len(api.Instances.Outbox()); created > 3 || created < 1 {
		t.Errorf("%d instances, statuses %v", created, codes)
	}
	for _, code := range codes {
		if code != 201 && code != 429 {
			t.Errorf("statuses %v", codes)
		}
	}
}

// TestQuotaOfFailedRequests checks that a failed request counts only if it may have created an
// instance.
func TestQuotaOfFailedRequests(t *testing.T) {
	api := newAPIWithQuota(t, instance.Quota{Instances: 1})
	body := apitest.JSON(`{` + kari + `,` + oneForm + `}`)
	api.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	for range 2 {
		api.Do(t, apitest.Kari, "POST", path, body).Want(500, "internal")
	}
	api.Blobs.Hook = nil
	api.Instances.Fail = func() error { return errors.New("table down") }
	api.Do(t, apitest.Kari, "POST", path, body).Want(500, "internal")
	api.Instances.Fail = nil
	api.Do(t, apitest.Kari, "POST", path, body).Want(429, "quota-exceeded")
}

// TestQuotaOfData counts the elements and bytes of a creation together with the instance.
func TestQuotaOfData(t *testing.T) {
	body := apitest.JSON(`{` + kari + `,` + oneForm + `}`)
	for _, test := range []struct {
		quota instance.Quota
		names string
	}{
		{instance.Quota{Elements: 1}, "1 added and replaced data elements"},
		{instance.Quota{Instances: 9, Elements: 1, Bytes: 1 << 30}, "1 added and replaced data elements"},
		{instance.Quota{Instances: 1, Elements: 9}, "1 new instances"},
		{instance.Quota{Bytes: 15}, "15 bytes"},
	} {
		api := newAPIWithQuota(t, test.quota)
		api.Do(t, apitest.Kari, "POST", path, body).Want(201, "")
		api.AssertUnchanged(t, nil, func() {
			if over := api.Do(t, apitest.Kari, "POST", path, body).Want(429, "quota-exceeded"); !strings.Contains(over.Body.String(), test.names) {
				t.Errorf("%+v: %s", test.quota, over.Body)
			}
		})
	}
}
