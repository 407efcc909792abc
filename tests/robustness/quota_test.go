package robustness

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// perHour is the quota of the system: more than the other tests create as nav.
const perHour = 60

// However many ask at once, exactly as many instances are created in an hour as the quota allows, and who is over it is told when
// to go on. Another organisation's quota is its own.
func TestQuota(t *testing.T) {
	w := system
	for _, org := range []string{"skd", "svv"} { // the second only when the hour strikes during the first
		hour := time.Now().Truncate(time.Hour)
		token, err := w.Authenticator.Owner(org, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		register := request{method: "PUT", path: "/storage/applications/" + org + "/app", token: token, contentType: "application/json", body: `{}`}
		if a, refused := w.try(t, "an application", register); refused {
			t.Fatalf("%d %s", a.status, a.body)
		}
		create := func(key string) answer {
			r := request{method: "POST", path: "/" + org + "/app/instances", token: token, contentType: "application/json", body: `{"reportee":{"userName":"quota"}}`}
			if key != "" {
				r.header = map[string]string{"Idempotency-Key": key}
			}
			a, _ := w.try(t, "quota", r)
			return a
		}
		create("") // the party has its number
		var all sync.WaitGroup
		var created atomic.Int64
		created.Add(1)
		for worker := range 6 {
			all.Go(func() {
				for n := range perHour/6 + 3 {
					a := create(strconv.Itoa(worker) + "-" + strconv.Itoa(n))
					seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
					switch {
					case a.status == 201:
						created.Add(1)
					case a.status != 429 || err != nil || seconds < 1 || seconds > 3600:
						t.Errorf("%d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
					}
				}
			})
		}
		all.Wait()
		replayed := create("0-0")
		if time.Now().Truncate(time.Hour) != hour {
			continue
		}
		if created.Load() != perHour || replayed.status != 201 {
			t.Errorf("%d instances are created, want %d; a replay is answered %d", created.Load(), perHour, replayed.status)
		}
		w.unchanged(t, func() {
			if a := create("another"); a.status != 429 {
				t.Errorf("one more: %d %s", a.status, a.body)
			}
		})
		return
	}
}
