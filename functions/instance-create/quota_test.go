package main

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func newSiteWithQuota(t *testing.T, perHour instance.Quota) *doortest.Site {
	s := doortest.New(t)
	s.Serve(route, handler(&creator{
		tokens: s.Gate.Tokens, applications: s.Applications, parties: s.Parties, instances: s.Instances, blobs: s.Blobs, view: s.View, quota: perHour,
	}))
	return s
}

// Each caller has a quota of its own. Replays and requests that are refused are no part of it, and what is over it has no
// effect.
func TestQuota(t *testing.T) {
	s := newSiteWithQuota(t, 2)
	create := func(caller, body string, options ...doortest.Option) doortest.Answer {
		return s.Do(t, caller, "POST", path, append(options, doortest.JSON(body))...)
	}
	first := create(doortest.Nav, `{`+kari+`}`, key("a")).Want(201, "")
	for range 3 {
		create(doortest.Nav, `{`+kari+`}`, key("a")).Want(201, "")
		create(doortest.Nav, `{"labels":[""]}`).Want(400, "labels-invalid")
		create(doortest.Nav, `{"instanceOwnerId":"59999"}`).Want(404, "not-found")
		create(doortest.Nav, `{`+kari+`,"labels":["x"]}`, key("a")).Want(422, "idempotency-key-reused")
	}
	create(doortest.Nav, `{`+kari+`,`+oneForm+`}`).Want(201, "")
	s.Unchanged(t, nil, func() {
		for _, body := range []string{`{` + kari + `}`, `{` + kari + `,` + oneForm + `}`} {
			over := create(doortest.Nav, body, key("b")).Want(429, "quota-exceeded")
			if seconds, err := strconv.Atoi(over.Header().Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 {
				t.Errorf("Retry-After %q", over.Header().Get("Retry-After"))
			}
		}
		if again := create(doortest.Nav, `{`+kari+`}`, key("a")).Want(201, ""); again.Body.String() != first.Body.String() {
			t.Errorf("the replay is %s", again.Body)
		}
	})
	for range 2 {
		create(doortest.Kari, `{`+kari+`}`).Want(201, "")
	}
	create(doortest.KariBySSN, `{`+kari+`}`).Want(429, "quota-exceeded") // the same party
	create(doortest.Newcomer, `{"reportee":{"ssn":"`+doortest.NewcomerSSN+`"}}`).Want(201, "")
}

func TestQuotaAtOnce(t *testing.T) {
	s := newSiteWithQuota(t, 3)
	var codes [12]int
	var all sync.WaitGroup
	for n := range codes {
		all.Go(func() {
			codes[n] = s.Do(t, doortest.Kari, "POST", path, doortest.JSON(`{`+kari+`}`), key(strconv.Itoa(n/2))).Code // each twice
		})
	}
	all.Wait()
	if created := len(s.Instances.Outbox()); created > 3 || created < 1 {
		t.Errorf("%d instances, answers %v", created, codes)
	}
	for _, code := range codes {
		if code != 201 && code != 429 {
			t.Errorf("answers %v", codes)
		}
	}
}

// What fails before anything can have been created is not counted; what may have been created is.
func TestQuotaOfWhatFails(t *testing.T) {
	s := newSiteWithQuota(t, 1)
	body := doortest.JSON(`{` + kari + `,` + oneForm + `}`)
	s.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	for range 2 {
		s.Do(t, doortest.Kari, "POST", path, body).Want(500, "internal")
	}
	s.Blobs.Hook = nil
	s.Instances.Fail = func() error { return errors.New("table down") }
	s.Do(t, doortest.Kari, "POST", path, body).Want(500, "internal")
	s.Instances.Fail = nil
	s.Do(t, doortest.Kari, "POST", path, body).Want(429, "quota-exceeded")
}

func TestOpenQuota(t *testing.T) {
	for value, want := range map[string]instance.Quota{"": 0, "0": 0, "250": 250} {
		env := coldstart.FromMap(map[string]string{"CREATES_PER_HOUR": value})
		if got := openQuota(env); got != want || env.Err() != nil {
			t.Errorf("%q: %d, %v", value, got, env.Err())
		}
	}
	for _, value := range []string{"-1", "many", "1.5", "1e3"} {
		env := coldstart.FromMap(map[string]string{"CREATES_PER_HOUR": value})
		if openQuota(env); env.Err() == nil {
			t.Errorf("%q is taken", value)
		}
	}
}
