package authz

import (
	"net/url"
	"strings"
	"testing"
)

// What is not there and what is not the caller's take the same calls, and so, as far as it is in our hands, the same time: nobody
// can tell by a clock what there is.
func TestWhatIsNotYoursTakesTheCallsOfWhatIsNotThere(t *testing.T) {
	w := enter(t)
	watched := map[string]bool{
		"owner": true, "another owner": true, "user": true, "user by pid": true, "another user": true, "another user by pid": true, "a user nobody has reported": true,
	}
	compared := 0
	for _, e := range endpoints {
		if !e.has("instanceGuid") {
			continue
		}
		for _, c := range callers(w.issuer, w) {
			if !watched[c.name] {
				continue
			}
			calls := map[string]int64{}
			for _, o := range objects {
				if !o.fits(e) || len(o.says) > 0 && o.name != "not there" || want(e, c, o).code != "not-found" {
					continue
				}
				party := c.home()
				if o.party != "" {
					party = o.party
				}
				own := w.instances[strings.TrimSpace(o.owner()+" "+party+" "+o.state)]
				for range 2 { // the first one may start a process, which makes calls of its own
					before := w.aws.calls.Load()
					named := w.nameOf(o, c.home(), own)
					a, err := w.ask(c.headers, e.method(), fillIn(e.path(), named, url.PathEscape)+e.query, e.media, fillIn(e.body, named, func(s string) string { return s }))
					if err != nil || a.status != 404 {
						t.Fatalf("%s by %s at %s: %d (%v)", e.route, c.name, o.name, a.status, err)
					}
					calls[o.name] = w.aws.calls.Load() - before
				}
			}
			for name, n := range calls {
				// A path that says itself that it is another's is refused at once, which tells its author nothing new.
				said := name == "another owner's" && e.has("org") || name == "another party's" && c.org == ""
				if none := calls["not there"]; n != none && !said {
					t.Errorf("%s by %s: %d calls for %s, and %d for what is not there", e.route, c.name, n, name, none)
				}
				compared++
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d answers were compared", compared)
	}
	t.Logf("doors: the calls of %d answers compared", compared)
}
