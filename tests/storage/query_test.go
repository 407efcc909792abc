package storage

import (
	"math/rand/v2"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/merge"
)

// TestQueries runs the query tests of package instancequery on DynamoDB instead of the fake.
func TestQueries(t *testing.T) {
	instances := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	instancetest.Queries(t, instances, rand.Uint64(), 60)
}

// A filter or a cursor can result in key ranges without instances. DynamoDB rejects an empty key
// and a range that ends before it starts.
func TestEmptyKeyRanges(t *testing.T) {
	instances := instancetable.New(dynamo(t), table(t, "Instances"), "")
	app := instancetest.NewApplication(1)
	far := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	for _, ends := range [][2]string{
		{"", ""}, {instancequery.ChangedKey(time.Time{}, ""), ""}, {"", instancequery.ChangedKey(time.Time{}, "~")},
		{instancequery.ChangedKey(far, ""), ""}, {"", instancequery.ChangedKey(far, "~")},
	} {
		for _, order := range []merge.Order{merge.Ascending, merge.Descending} {
			for _, kind := range []instancequery.Kind{instancequery.ByOwner, instancequery.ByStep, instancequery.ByUnconfirmed, instancequery.ByLabel} {
				keys := instancequery.KeyRange{Kind: kind, InstanceOwnerID: "7", AppID: app.ID, Step: "Submit", Label: "æ #1", From: ends[0], To: ends[1], Order: order}
				if kind == instancequery.ByOwner && ends != [2]string{} {
					keys.From, keys.To = uuid.Nil().String(), uuid.Max().String()
				}
				if rows, more, err := instances.Read(t.Context(), keys, 1); err != nil || more || len(rows) > 0 {
					t.Errorf("%+v: %v, more %v, %v", keys, rows, more, err)
				}
			}
		}
	}
	if _, _, err := instances.Read(t.Context(), instancequery.KeyRange{Kind: 99}, 1); err == nil {
		t.Error("an unknown index is accepted")
	}
}
