package storage

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/webhook/webhooktable"
	"altinn.no/instanceapi/shared/webhook/webhooktest"
)

func TestSubscriptions(t *testing.T) {
	webhooktest.Conformance(t, func(t *testing.T, now func() time.Time) webhooktest.Store {
		return webhooktable.New(dynamo(t), table(t, "Subscriptions"), now)
	})
}
