package instancequery_test

import (
	"math/rand/v2"
	"testing"

	"altinn.no/instanceapi/shared/instance/instancetest"
)

func TestQueriesAnswerWhatLookingAtEachInstanceGives(t *testing.T) {
	for _, n := range []int{0, 1, 12, 80} {
		instancetest.Queries(t, &instancetest.Memory{}, rand.Uint64(), n)
	}
}
