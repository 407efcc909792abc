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

// TestQueries asks DynamoDB what the tests of package instancequery ask the fake.
func TestQueries(t *testing.T) {
	instances := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	instancetest.Queries(t, instances, rand.Uint64(), 60)
}

// TestSpansAtTheEnds has keys that no instance has, as a filter or a cursor may ask for: DynamoDB refuses a range
// that ends before it begins, and an empty key.
func TestSpansAtTheEnds(t *testing.T) {
	instances := instancetable.New(dynamo(t), table(t, "Instances"), "")
	app := instancetest.NewApplication(1)
	far := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	for _, ends := range [][2]string{
		{"", ""}, {instancequery.ChangedKey(time.Time{}, ""), ""}, {"", instancequery.ChangedKey(time.Time{}, "~")},
		{instancequery.ChangedKey(far, ""), ""}, {"", instancequery.ChangedKey(far, "~")},
	} {
		for _, order := range []merge.Order{merge.Ascending, merge.Descending} {
			for _, kind := range []instancequery.Kind{instancequery.ByOwner, instancequery.ByStep, instancequery.ByUnconfirmed, instancequery.ByLabel} {
				span := instancequery.KeyRange{Kind: kind, InstanceOwnerID: "7", AppID: app.ID, Step: "Submit", Label: "æ #1", From: ends[0], To: ends[1], Order: order}
				if kind == instancequery.ByOwner && ends != [2]string{} {
					span.From, span.To = uuid.Nil().String(), uuid.Max().String()
				}
				if rows, more, err := instances.Read(t.Context(), span, 1); err != nil || more || len(rows) > 0 {
					t.Errorf("%+v: %v, more %v, %v", span, rows, more, err)
				}
			}
		}
	}
	if _, _, err := instances.Read(t.Context(), instancequery.KeyRange{Kind: 99}, 1); err == nil {
		t.Error("an index that there is not")
	}
}
