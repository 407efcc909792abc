package storage

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

// An imported instance has the same items as a created instance.
func TestImportedEqualsCreated(t *testing.T) {
	client, name := dynamo(t), table(t, "Instances")
	store := instancetable.New(client, name, table(t, "Outbox"))
	app := instancetest.NewApplication(4)
	created := importable(t, app, "81001", instancetest.At, "gr", "æ x2", "x3")
	if err := created.AddData(app, "d", "default", instance.Content{Revision: "r"}, "1001", instancetest.At); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), created, eventOf(created)); err != nil {
		t.Fatal(err)
	}
	imported := created.Clone()
	imported.InstanceOwnerID = "81002"
	if err := store.Import(t.Context(), []*instance.Instance{imported}); err != nil {
		t.Fatal(err)
	}
	items := func(owner string) []map[string]types.AttributeValue {
		out, err := client.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &name, KeyConditionExpression: aws.String("PK = :owner"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":owner": &types.AttributeValueMemberS{Value: owner}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range out.Items { // remove the attributes that differ between the two
			maps.DeleteFunc(item, func(name string, _ types.AttributeValue) bool { return slices.Contains([]string{"PK", "d", "w"}, name) })
		}
		return out.Items
	}
	if got, want := items("81002"), items("81001"); len(got) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("imported %v\ncreated %v", got, want)
	}
	if got, err := store.Get(t.Context(), "81002", imported.ID); err != nil || !reflect.DeepEqual(got, imported) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, imported)
	}
}

func importable(t *testing.T, app *application.Application, owner string, at time.Time, labels ...string) *instance.Instance {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: owner, Labels: labels}, "1001", at)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestRaisingIndexShards raises the indexShards of an application with instances from 1 to 8. A
// crawl before, during and after the change returns each unchanged instance once, and each changed
// instance at least once. New writes are spread over the shards.
func TestRaisingIndexShards(t *testing.T) {
	const count, size = 120, 7
	store := instancetable.New(dynamo(t), table(t, "Instances"), table(t, "Outbox"))
	app := instancetest.NewApplication(1)
	var all []*instance.Instance
	for n := range count {
		all = append(all, importable(t, app, "81003", instancetest.At.Add(time.Duration(n)*time.Second), "gr"))
	}
	if err := store.Import(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	now := instancetest.At.Add(time.Hour)
	clock := func() time.Time { return now } // a crawl relies on the clock of the changes
	changed := map[string]bool{}
	alter := func(i *instance.Instance) {
		t.Helper()
		now = now.Add(time.Second)
		_, err := store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			_, err := i.Transition(app, "Submit", application.Owner, "nav", now)
			if err != nil {
				return nil, err
			}
			return []event.Event{eventOf(i)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		changed[i.ID] = true
	}
	check := func(when string, seen map[string]int) {
		t.Helper()
		for _, i := range all {
			if n := seen[i.ID]; n == 0 || n > 1 && !changed[i.ID] {
				t.Errorf("%s: %s (changed: %v) was returned %d times", when, i.ID, changed[i.ID], n)
			}
		}
		if len(seen) != len(all) {
			t.Errorf("%s: %d instances, want %d", when, len(seen), len(all))
		}
	}
	for _, labels := range [][]string{nil, {"gr"}} {
		check("before", crawl(t, store, app, size, labels, clock, func(int) {}))
	}
	during := crawl(t, store, app, size, nil, clock, func(page int) {
		if page == 3 {
			app.IndexShards = 8
		}
		if at := page * size; page > 3 && page < 12 {
			alter(all[at%count])           // near the crawl's position, ahead or behind
			alter(all[count-1-at/3%count]) // far ahead
		}
	})
	check("during", during)
	clear(changed)
	for _, labels := range [][]string{nil, {"gr"}} {
		check("after", crawl(t, store, app, size, labels, clock, func(int) {}))
	}
	var fresh []*instance.Instance
	for range count {
		i := importable(t, app, "81003", now, "gr")
		if err := store.Create(t.Context(), i, eventOf(i)); err != nil {
			t.Fatal(err)
		}
		fresh = append(fresh, i)
	}
	all = append(all, fresh...)
	check("with new instances", crawl(t, store, app, size, nil, clock, func(int) {}))
	for shard := range 8 {
		rows, _, err := store.Read(t.Context(), instancequery.KeyRange{
			Kind: instancequery.ByStep, AppID: app.ID, Step: "FormFilling", Shard: shard, From: instancequery.ChangedKey(now, ""),
		}, count)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) < count/8/3 || len(rows) > count/8*3 {
			t.Errorf("shard %d has %d of %d new instances", shard, len(rows), count)
		}
	}
}

// crawl follows next from the first page to the last, and returns how often each instance occurred.
// between runs before each page with its number. clock gives the time of each page.
func crawl(t *testing.T, index instancequery.Index, app *application.Application, size int, labels []string, clock func() time.Time, between func(page int)) map[string]int {
	t.Helper()
	seen := map[string]int{}
	cursor := ""
	for page := 0; ; page++ {
		between(page)
		q := instancequery.Query{Filter: instancequery.Filter{Labels: labels}, Apps: []*application.Application{app}, Size: size}
		if err := q.SetPage(cursor); err != nil {
			t.Fatal(err)
		}
		got, err := instancequery.Run(context.Background(), index, q, clock())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range got.Instances {
			seen[i.ID]++
		}
		if cursor = got.Next; cursor == "" {
			return seen
		}
	}
}
