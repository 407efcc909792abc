package instancehttp

import (
	"testing"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance"
)

func TestOpenQuota(t *testing.T) {
	for value, want := range map[string]int64{"": 0, "0": 0, "250": 250, "5497558138880": 5 << 40} {
		env := coldstart.FromMap(map[string]string{"CREATES_PER_HOUR": "1", "ELEMENTS_PER_HOUR": "2", "BYTES_PER_HOUR": value})
		if got := OpenQuota(env); got != (instance.Quota{Instances: 1, Elements: 2, Bytes: want}) || env.Err() != nil {
			t.Errorf("%q: %+v, %v", value, got, env.Err())
		}
	}
	for _, name := range []string{"CREATES_PER_HOUR", "ELEMENTS_PER_HOUR", "BYTES_PER_HOUR"} {
		for _, value := range []string{"-1", "many", "1.5", "1e3"} {
			env := coldstart.FromMap(map[string]string{name: value})
			if OpenQuota(env); env.Err() == nil {
				t.Errorf("%s %q is accepted", name, value)
			}
		}
	}
}
