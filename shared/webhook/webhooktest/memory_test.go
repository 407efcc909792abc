package webhooktest

import (
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	Conformance(t, func(_ *testing.T, now func() time.Time) Store { return NewMemory(now) })
}
