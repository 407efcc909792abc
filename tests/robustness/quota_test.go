package robustness

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
)

// perHour is the quota of the system, above what the other tests create for nav.
const perHour = 60

// Concurrent requests create exactly as many instances in an hour as the quota allows. A request
// over the quota gets a Retry-After. Every organisation has its own quota.
func TestQuota(t *testing.T) {
	e := system
	for _, org := range []string{"skd", "svv"} { // the second only if an hour starts during the first
		hour := time.Now().Truncate(time.Hour)
		token, err := e.Authenticator.Owner(org, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		register := put("/storage/applications/"+org+"/app", `{}`)
		register.token = token
		e.accept(t, register)
		create := func(key string) *client.Response {
			r := post("/"+org+"/app/instances", `{"reportee":{"userName":"quota"}}`)
			r.token = token
			if key != "" {
				r.header = map[string]string{"Idempotency-Key": key}
			}
			got, _ := e.try(t, "quota", r)
			return got
		}
		create("") // assigns the party's number
		var all sync.WaitGroup
		var created atomic.Int64
		created.Add(1)
		for worker := range 6 {
			all.Go(func() {
				for n := range perHour/6 + 3 {
					got := create(strconv.Itoa(worker) + "-" + strconv.Itoa(n))
					seconds, err := strconv.Atoi(got.Header.Get("Retry-After"))
					switch {
					case got.Status == 201:
						created.Add(1)
					case got.Status != 429 || err != nil || seconds < 1 || seconds > 3600:
						t.Errorf("Retry-After %q: %v", got.Header.Get("Retry-After"), got)
					}
				}
			})
		}
		all.Wait()
		replayed := create("0-0")
		if time.Now().Truncate(time.Hour) != hour {
			continue
		}
		if created.Load() != perHour || replayed.Status != 201 {
			t.Errorf("%d instances were created, want %d; the status of a replay is %d", created.Load(), perHour, replayed.Status)
		}
		e.unchanged(t, func() {
			if got := create("another"); got.Status != 429 {
				t.Errorf("one more: %v", got)
			}
		})
		return
	}
}
