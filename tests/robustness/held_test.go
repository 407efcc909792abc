package robustness

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// heldPerOrg is the number of requests that the system holds for an organisation.
const heldPerOrg = 2

// As many feed requests of an organisation are held as the limit allows, across all processes and
// applications. One more gets 429 and changes nothing. When the holds end, their places are free.
func TestHeldRequests(t *testing.T) {
	e := system
	token, err := e.Authenticator.Owner("hold", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"one", "two"} {
		register := put("/storage/applications/hold/"+app, `{}`)
		register.token = token
		e.accept(t, register)
	}
	poll := func(app string, seconds int) request {
		r := request{method: "GET", path: "/storage/applications/hold/" + app + "/events", token: token}
		if seconds > 0 {
			r.header = map[string]string{"Prefer": "wait=" + strconv.Itoa(seconds)}
		}
		return r
	}
	var held, rejected atomic.Int64
	var all sync.WaitGroup
	for n := range heldPerOrg + 3 {
		all.Go(func() {
			got, _ := e.try(t, "held", poll([]string{"one", "two"}[n%2], 15))
			switch after := got.Header.Get("Retry-After"); {
			case got.Status == 200 && got.Header.Get("Preference-Applied") == "wait=15":
				held.Add(1)
			case got.Status == 429 && got.Code() == "feed-held-count" && after == "5":
				rejected.Add(1)
				// While the others are held, a plain poll succeeds.
				if plain, _ := e.try(t, "plain", poll("one", 0)); plain.Status != 200 {
					t.Errorf("a plain poll: %v", plain)
				}
			default:
				t.Errorf("Retry-After %q: %v", after, got)
			}
		})
	}
	all.Wait()
	if held.Load() != heldPerOrg || rejected.Load() != 3 {
		t.Errorf("%d requests were held and %d rejected, want %d and 3", held.Load(), rejected.Load(), heldPerOrg)
	}
	e.accept(t, poll("two", 1))
}
