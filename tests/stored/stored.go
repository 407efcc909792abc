// Package stored reads everything that a system has stored, for tests that compare or search it.
package stored

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/tests/local/runtime"
)

// Item is an item of a table.
type Item map[string]types.AttributeValue

// Text returns an attribute that is a string or a number, and "" for any other attribute.
func (i Item) Text(name string) string {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// Events returns the events in an item of the outbox, or in a slot of a feed. It returns none for
// other items.
func (i Item) Events() []event.Encoded {
	for _, value := range i {
		if packed, ok := value.(*types.AttributeValueMemberB); ok {
			if docs, err := event.Unpack(packed.Value); err == nil {
				return docs
			}
		}
	}
	return nil
}

// IsOrphanCheck reports whether the item is an orphan check, which a rejected request may leave.
func (i Item) IsOrphanCheck() bool { return strings.HasPrefix(i.Text("PK"), "ORPHAN#") }

// Items returns the items of a table.
func Items(ctx context.Context, client *dynamodb.Client, table string) ([]Item, error) {
	var items []Item
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			items = append(items, item)
		}
	}
	return items, nil
}

// Objects returns the ETags of the objects of a bucket, by key.
func Objects(ctx context.Context, client *s3.Client, bucket string) (map[string]string, error) {
	tags := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			tags[aws.ToString(object.Key)] = aws.ToString(object.ETag)
		}
	}
	return tags, nil
}

// State is every item of every table and every object of the bucket, by name.
type State map[string]string

// StateOf returns the state of a system, without the items for which leaveOut returns true.
// leaveOut may be nil.
func StateOf(ctx context.Context, system *runtime.System, leaveOut func(Item) bool) (State, error) {
	state := State{}
	for _, table := range system.Template.Tables {
		items, err := Items(ctx, system.Dynamo, table)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if leaveOut != nil && leaveOut(item) {
				continue
			}
			content, err := json.Marshal(item) // sorts the attributes by name
			if err != nil {
				return nil, err
			}
			state[table+" "+item.Text("PK")+" "+item.Text("SK")] = string(content)
		}
	}
	objects, err := Objects(ctx, system.S3, system.Bucket)
	for key, tag := range objects {
		state["object "+key] = tag
	}
	return state, err
}

// Differences describes each difference of a later state, one per string.
func (s State) Differences(later State) []string {
	var all []string
	for name, content := range s {
		if now, exists := later[name]; !exists {
			all = append(all, "removed "+name)
		} else if now != content {
			all = append(all, fmt.Sprintf("changed %s from\n%s\nto\n%s", name, content, now))
		}
	}
	for name, content := range later {
		if _, existed := s[name]; !existed {
			all = append(all, "added "+name+": "+content)
		}
	}
	return all
}
