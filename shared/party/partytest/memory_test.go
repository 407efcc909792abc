package partytest_test

import (
	"testing"

	"altinn.no/instanceapi/shared/party/partytest"
)

func TestMemory(t *testing.T) {
	partytest.Conformance(t, func(*testing.T) partytest.Register { return &partytest.Memory{} })
}
