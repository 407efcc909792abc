package opcost

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/tests/bench/capacity"
)

// The plain design stores an instance as a map of attributes and each of its labels as a small
// item. Its indexes have only the keys, and a page uses BatchGetItem. It has the guarantees of this
// project: transactions for changes of several items, events stored with their changes, and orphan
// checks before content. The owner's work queue is an index. The variant on paper has no
// transactions, events, orphan checks or queue, and its reads are eventually consistent.
var (
	plainTable = capacity.Table{Keys: keyNames, Indexes: []capacity.Index{keysOnly("byStep"), keysOnly("byLabel"), keysOnly("byUnconfirmed")}}
	paperTable = capacity.Table{Keys: keyNames, Indexes: []capacity.Index{keysOnly("byStep"), keysOnly("byLabel")}}
)

func keysOnly(name string) capacity.Index {
	return capacity.Index{Name: name, Keys: []string{name, "changed"}}
}

// plainItems returns the items of an instance in the plain design, by sort key. A nil instance
// has none.
func plainItems(i *instance.Instance) map[string]capacity.Item {
	items := map[string]capacity.Item{}
	if i == nil {
		return items
	}
	items["INSTANCE#"+i.ID] = plainOwn(i)
	for _, label := range i.Labels {
		sort := "LABEL#" + i.ID + "#" + label
		items[sort] = keyed(capacity.Item{}, i, sort, "byLabel", i.AppID+"#"+label+"#"+i.Workflow.CurrentStep+"#0")
	}
	return items
}

// plainOwn returns the item of the instance itself: its document, without the derived links, as
// attributes.
func plainOwn(i *instance.Instance) capacity.Item {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // never: every instance can be encoded as JSON
	}
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		panic(err)
	}
	delete(document, "selfLinks")
	document["stepEntered"], document["eventCount"], document["version"] = i.StepEntered.String()[:27], json.Number(strconv.Itoa(i.EventCount)), json.Number(strconv.FormatInt(i.Version, 10))
	for n, each := range document["data"].([]any) {
		element := each.(map[string]any)
		element["revision"], element["sha256"] = i.Data[n].Revision, i.Data[n].SHA256
	}
	step := i.AppID + "#" + i.Workflow.CurrentStep + "#0"
	item := keyed(attribute(document).(*types.AttributeValueMemberM).Value, i, "INSTANCE#"+i.ID, "byStep", step)
	if i.InQueue() {
		item["byUnconfirmed"] = &types.AttributeValueMemberS{Value: step}
	}
	return item
}

func keyed(item capacity.Item, i *instance.Instance, sort, index, key string) capacity.Item {
	for name, value := range map[string]string{
		"PK": i.InstanceOwnerID, "SK": sort, index: key, "changed": instancequery.ChangedKey(i.LastChangedDateTime, i.ID),
	} {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	return item
}

// attribute returns a JSON value as the SDK's marshaler stores it.
func attribute(value any) types.AttributeValue {
	switch v := value.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}
	case json.Number:
		return &types.AttributeValueMemberN{Value: v.String()}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case []any:
		list := &types.AttributeValueMemberL{}
		for _, each := range v {
			list.Value = append(list.Value, attribute(each))
		}
		return list
	case map[string]any:
		m := &types.AttributeValueMemberM{Value: capacity.Item{}}
		for name, each := range v {
			m.Value[name] = attribute(each)
		}
		return m
	}
	panic(fmt.Sprintf("opcost: an instance has a %T", value))
}

// plainPage returns the cost of a page of instances in the plain design: a Query of the keys, and
// BatchGetItem, which rounds the size of each item up.
func plainPage(page []*instance.Instance) (batch float64) {
	keys := 0
	for _, i := range page {
		item := plainOwn(i)
		batch += capacity.Read(capacity.Size(item), false)
		for _, name := range append(keyNames, "byStep", "changed") {
			keys += capacity.Size(capacity.Item{name: item[name]})
		}
	}
	return batch + capacity.Read(keys, false)
}

// change is an item before and after an operation.
type change struct{ before, after capacity.Item }

func union(before, after map[string]capacity.Item) map[string]change {
	all := map[string]change{}
	for sort, item := range before {
		all[sort] = change{item, after[sort]}
	}
	for sort, item := range after {
		all[sort] = change{before[sort], item}
	}
	return all
}

func same(a, b capacity.Item) bool { return reflect.DeepEqual(a, b) }

// isInstance reports whether a write concerns the items of an instance, for which the plain
// design has other items.
func isInstance(w ItemWrite) bool {
	return w.Table == "Instances" && (strings.HasPrefix(sortKey(w), "INSTANCE#") || strings.HasPrefix(sortKey(w), "LABEL#"))
}

// isOrphanCheck reports whether a write stores an orphan check.
func isOrphanCheck(w ItemWrite) bool { return stores(w, "ORPHAN#") }

// isNote reports whether a write stores a note of the agenda.
func isNote(w ItemWrite) bool { return stores(w, "AGENDA#") }

// stores reports whether a write stores an item in a partition with the prefix.
func stores(w ItemWrite, prefix string) bool {
	key, _ := w.After["PK"].(*types.AttributeValueMemberS)
	return w.Table == "Instances" && key != nil && strings.HasPrefix(key.Value, prefix)
}

func sortKey(w ItemWrite) string {
	for _, item := range []capacity.Item{w.Before, w.After} {
		if key, ok := item["SK"].(*types.AttributeValueMemberS); ok {
			return key.Value
		}
	}
	return ""
}
