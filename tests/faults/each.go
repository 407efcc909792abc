package faults

import (
	"fmt"
	"testing"
)

// Each runs a scenario repeatedly, each time with one fault: every mode at every call of the
// scenario. It returns the number of calls of the
// longest run and the number of runs. The scenario must make its calls in the same order every time
// until the fault. It must end after every fault, disarm the injector and check the result.
func Each(t *testing.T, in *Injector, modes []Mode, scenario func(t *testing.T)) (calls, runs int) {
	t.Helper()
	for _, mode := range modes {
		for call := 1; ; call++ {
			in.ArmOne(call, mode)
			in.Restart()
			ok := t.Run(fmt.Sprintf("%v/call %d", mode, call), func(t *testing.T) {
				defer func() {
					if t.Failed() {
						t.Logf("faults: %q", in.Fired())
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
