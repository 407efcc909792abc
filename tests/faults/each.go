package faults

import (
	"fmt"
	"testing"
)

// Each runs a scenario again and again, each time with one fault: every mode at the first call, at the second, and so on, to
// the last call that the scenario makes. It returns how many calls the longest run made and how many runs there were. The
// scenario has to make its calls in the same order each time until the fault comes, and to end by itself whatever happens;
// at its end it disarms the injector and checks what must hold.
func Each(t *testing.T, in *Injector, modes []Mode, scenario func(t *testing.T)) (calls, runs int) {
	t.Helper()
	for _, mode := range modes {
		for call := 1; ; call++ {
			in.ArmOne(call, mode)
			in.Restart()
			ok := t.Run(fmt.Sprintf("%v/call %d", mode, call), func(t *testing.T) {
				defer func() {
					if t.Failed() {
						t.Logf("what happened: %q", in.Fired())
					}
				}()
				scenario(t)
			})
			runs++
			in.Disarm()
			in.Release()
			calls = max(calls, call-1)
			if len(in.Fired()) == 0 || !ok {
				break
			}
		}
	}
	return calls, runs
}
