package blob

import (
	"strings"
	"testing"
	"time"
)

const (
	guid     = "6e6c8a5c-0000-4000-8000-000000000000"
	revision = "01a22d61-0e1c-7af9-96be-e9268d05622f"
)

func TestKey(t *testing.T) {
	k := KeyOf("nav/app2018", "50012", guid, revision)
	const want = "2026-11-30/f/nav/app2018/50012/" + guid + "/" + revision
	if k.String() != want || k.Revision() != revision || k.Check() != nil {
		t.Errorf("key %s, revision %s, check %v", k, k.Revision(), k.Check())
	}
	if parsed, err := ParseKey(want); err != nil || parsed != k {
		t.Errorf("parsed %v, %v", parsed, err)
	}
	if k.AppID() != "nav/app2018" || k.InstanceOwnerID() != "50012" || k.InstanceGuid() != guid {
		t.Errorf("parts %s, %s, %s", k.AppID(), k.InstanceOwnerID(), k.InstanceGuid())
	}
	a, b := NewKey("nav/app2018", "50012", "i"), NewKey("nav/app2018", "50012", "i")
	if a == b || a.Revision() >= b.Revision() {
		t.Errorf("revisions %s and %s are not in order", a.Revision(), b.Revision())
	}
	if again := KeyOf("nav/app2018", "50012", "i", a.Revision()); again != a {
		t.Errorf("KeyOf gives %s, NewKey gave %s", again, a)
	}
	today := time.Now()
	if day, err := DayOf(a.String()); err != nil || today.Sub(day) < 0 || today.Sub(day) > 25*time.Hour || a.Check() != nil {
		t.Errorf("the day of %s is %v, %v", a, day, err)
	}
}

func TestForeignObjects(t *testing.T) {
	good := KeyOf("nav/app2018", "50012", guid, revision).String()
	for _, name := range []string{
		"", "README", good + "/x", strings.TrimPrefix(good, "2026-11-30/"), strings.Replace(good, "-30/", "-29/", 1),
		strings.Replace(good, "/f/", "/e/", 1), strings.Replace(good, "50012", "", 1), strings.ToUpper(good),
		strings.Replace(good, revision, "r1", 1), strings.Replace(good, "-7af9", "-4af9", 1),
	} {
		if k, err := ParseKey(name); err == nil {
			t.Errorf("%q is the key %v", name, k)
		}
	}
	for _, name := range []string{"", "README", "2026-13-01/0/", "x/2026-11-30"} {
		if day, err := DayOf(name); err == nil {
			t.Errorf("%q is of the day %v", name, day)
		}
	}
}
