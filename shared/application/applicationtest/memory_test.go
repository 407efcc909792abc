package applicationtest

import "testing"

func TestMemory(t *testing.T) { Conformance(t, &Memory{}) }
