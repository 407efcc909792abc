package instancetest

import (
	"strings"
	"testing"
)

func TestMemory(t *testing.T) {
	m := &Memory{}
	Conformance(t, m, func(_ *testing.T, instanceID string) (ids []string) {
		for _, ev := range m.Outbox() {
			if strings.HasPrefix(ev.ID, instanceID+".") {
				ids = append(ids, ev.ID)
			}
		}
		return ids
	})
}
