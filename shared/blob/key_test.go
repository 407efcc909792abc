package blob

import (
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	k := KeyOf("nav/app2018", "6e6c8a5c-0000-4000-8000-000000000000", "r1")
	const want = "nav/app2018/6e6c8a5c-0000-4000-8000-000000000000/data/r1"
	if k.String() != want || k.Revision() != "r1" || k.Check() != nil {
		t.Errorf("key %s, revision %s, check %v", k, k.Revision(), k.Check())
	}
	a, b := NewKey("nav/app2018", "i"), NewKey("nav/app2018", "i")
	if a == b || a.Revision() >= b.Revision() {
		t.Errorf("revisions %s and %s are not in order", a.Revision(), b.Revision())
	}
	if again := KeyOf("nav/app2018", "i", a.Revision()); again != a {
		t.Errorf("KeyOf gives %s, NewKey gave %s", again, a)
	}
	if strings.Count(a.Revision(), "-") != 4 || a.Revision()[14] != '7' {
		t.Errorf("revision %s is not a UUID version 7", a.Revision())
	}
}
