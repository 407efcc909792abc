// Package webhooktable provides subscriptions and their readers in DynamoDB.
//
// The table has these items:
//
//	PK        SK                 other
//	ORG#nav   SUB#<id>           d: the subscription as JSON, v: its version
//	ORG#nav   LIST               v: increases with every new subscription
//	SUB#<id>  APP#nav/app2018    the reader of an application
//	SUB#<id>  VERIFICATION#nav   the reader that verifies the endpoint
//
// A reader has the attributes seq, slot and since (its place in the feed), f and fs (failures and
// the time of the first of them), lease and until (its holder), target, v (the version), log (the
// packed deliveries), and q and due. The index byDue has the readers by due. A reader without due
// is not in the index.
//
// Every change of a subscription is one transaction with all its readers, on condition that the
// version is unchanged. A sender holds a reader by its lease, and its writes have the condition
// that the lease and the version of the reader are unchanged. So a sender that is late changes
// nothing.
package webhooktable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/shared/webhook"
)

const (
	attrPartition = "PK"
	attrSort      = "SK"
	attrDocument  = "d"
	attrVersion   = "v"

	orgPrefix          = "ORG#"
	subscriptionPrefix = "SUB#"
	listSort           = "LIST"
)

type item = map[string]types.AttributeValue

// Table is the table Subscriptions. It implements webhook.Subscriptions and webhook.Queue, and is
// safe for concurrent use.
type Table struct {
	client *dynamodb.Client
	name   string
	now    func() time.Time
}

// Open returns the table that SUBSCRIPTIONS_TABLE names.
func Open(env *coldstart.Env) *Table {
	t := New(dynamo.Client(env), env.String("SUBSCRIPTIONS_TABLE"), time.Now)
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.Get(ctx, "WARM-UP", "")
		return err
	})
	return t
}

// New returns the table with the name. now is the clock by which moved readers become due.
func New(client *dynamodb.Client, name string, now func() time.Time) *Table {
	return &Table{client: client, name: name, now: now}
}

// List implements webhook.Subscriptions. It costs one read unit per 4 KB; a subscription has about
// 0.5 KB.
func (t *Table) List(ctx context.Context, org string) ([]*webhook.Subscription, error) {
	found, _, err := t.query(ctx, orgPrefix+org)
	return found, err
}

// query returns the subscriptions in a partition, and the version of their list.
func (t *Table) query(ctx context.Context, partition string) (found []*webhook.Subscription, list int64, err error) {
	found = []*webhook.Subscription{}
	items, err := t.items(ctx, partition)
	if err != nil {
		return nil, 0, err
	}
	for _, i := range items {
		if text(i, attrSort) == listSort {
			list = number(i, attrVersion)
			continue
		}
		s, err := decodeSubscription(i)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, s)
	}
	slices.SortFunc(found, webhook.Compare)
	return found, list, nil
}

// items returns all items of a partition. Neither kind of partition has more than 42.
func (t *Table) items(ctx context.Context, partition string) ([]item, error) {
	var found []item
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String(attrPartition + " = :partition"),
		ExpressionAttributeValues: item{":partition": str(partition)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Items...)
	}
	return found, nil
}

// Get implements webhook.Subscriptions. It costs one read unit.
func (t *Table) Get(ctx context.Context, org, id string) (*webhook.Subscription, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, ConsistentRead: aws.Bool(true), Key: subscriptionKey(org, id)})
	if err != nil || out.Item == nil {
		return nil, err
	}
	return decodeSubscription(out.Item)
}

func subscriptionKey(org, id string) item {
	return item{attrPartition: str(orgPrefix + org), attrSort: str(subscriptionPrefix + id)}
}

// Add implements webhook.Subscriptions. The version of the list rejects a second subscription that
// was decided on at the same time.
func (t *Table) Add(ctx context.Context, org string, decide func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error)) error {
	ctx = busy.WithBudget(ctx)
	for {
		existing, list, err := t.query(ctx, orgPrefix+org)
		if err != nil {
			return err
		}
		s, moves, err := decide(existing)
		if err != nil || s == nil {
			return err
		}
		s.Version = 1
		stored, err := encodeSubscription(s)
		if err != nil {
			return err
		}
		writes := []types.TransactWriteItem{
			{Put: &types.Put{TableName: &t.name, Item: item{attrPartition: str(orgPrefix + org), attrSort: str(listSort), attrVersion: num(list + 1)},
				ConditionExpression:       aws.String("attribute_not_exists(#v) OR #v = :v"),
				ExpressionAttributeNames:  map[string]string{"#v": attrVersion},
				ExpressionAttributeValues: item{":v": num(list)}}},
			{Put: &types.Put{TableName: &t.name, Item: stored, ConditionExpression: aws.String("attribute_not_exists(PK)")}},
		}
		if list > 0 {
			writes[0].Put.ConditionExpression = aws.String("#v = :v")
		}
		if raced, err := t.transact(ctx, append(writes, t.moves(org, s.ID, moves)...)); !raced {
			return err
		}
	}
}

// transact writes all items or none. raced is true if a condition failed; transact has then waited
// for the next attempt.
func (t *Table) transact(ctx context.Context, writes []types.TransactWriteItem) (raced bool, err error) {
	_, err = t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	var cancelled *types.TransactionCanceledException
	if err == nil || fault.IsBusy(err) || !errors.As(err, &cancelled) {
		return false, err
	}
	if err := busy.Race(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// Change implements webhook.Subscriptions.
func (t *Table) Change(ctx context.Context, org, id string, change func(*webhook.Subscription) ([]webhook.Move, error)) (*webhook.Subscription, error) {
	ctx = busy.WithBudget(ctx)
	for {
		before, err := t.Get(ctx, org, id)
		if err != nil || before == nil {
			return nil, err
		}
		s := before.Clone()
		moves, err := change(s)
		if err != nil {
			return nil, err
		}
		if len(moves) == 0 && reflect.DeepEqual(s, before) {
			return s, nil
		}
		s.Version++
		stored, err := encodeSubscription(s)
		if err != nil {
			return nil, err
		}
		write := types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: stored,
			ConditionExpression:       aws.String("#v = :v"),
			ExpressionAttributeNames:  map[string]string{"#v": attrVersion},
			ExpressionAttributeValues: item{":v": num(before.Version)}}}
		raced, err := t.transact(ctx, append([]types.TransactWriteItem{write}, t.moves(org, id, moves)...))
		if err != nil {
			return nil, err
		}
		if !raced {
			return s, nil
		}
	}
}

// Delete implements webhook.Subscriptions.
func (t *Table) Delete(ctx context.Context, org, id string, check func(*webhook.Subscription) error) (bool, error) {
	ctx = busy.WithBudget(ctx)
	for {
		s, err := t.Get(ctx, org, id)
		if err != nil || s == nil {
			return false, err
		}
		if err := check(s); err != nil {
			return false, err
		}
		writes := []types.TransactWriteItem{{Delete: &types.Delete{TableName: &t.name, Key: subscriptionKey(org, id),
			ConditionExpression:       aws.String("#v = :v"),
			ExpressionAttributeNames:  map[string]string{"#v": attrVersion},
			ExpressionAttributeValues: item{":v": num(s.Version)}}}}
		for _, appID := range append([]string{webhook.VerificationApp}, s.AppIDs...) {
			key := readerKey(webhook.Key{Org: org, Subscription: id, AppID: appID})
			writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: key}})
		}
		raced, err := t.transact(ctx, writes)
		if err != nil {
			return false, err
		}
		if !raced {
			return true, nil
		}
	}
}

// document is the stored form of a subscription.
type document struct {
	ID         string       `json:"id"`
	Org        string       `json:"org"`
	Endpoint   string       `json:"endpoint"`
	AppIDs     []string     `json:"appIds"`
	EventTypes []string     `json:"eventTypes,omitempty"`
	Step       string       `json:"step,omitempty"`
	Format     string       `json:"format"`
	Verified   bool         `json:"verified,omitempty"`
	Challenge  string       `json:"challenge"`
	PausedBy   string       `json:"pausedBy,omitempty"`
	Secret     string       `json:"secret"`
	Old        []oldSecret  `json:"old,omitempty"`
	Created    rfc3339.Time `json:"created"`
	Changed    rfc3339.Time `json:"changed"`
}

// oldSecret is the stored form of a replaced secret.
type oldSecret struct {
	Secret string       `json:"secret"`
	Until  rfc3339.Time `json:"until"`
}

func encodeSubscription(s *webhook.Subscription) (item, error) {
	d := document{ID: s.ID, Org: s.Org, Endpoint: s.Endpoint, AppIDs: s.AppIDs, EventTypes: s.EventTypes, Step: s.Step,
		Format: s.Format, Verified: s.Verified, Challenge: s.Challenge, PausedBy: s.PausedBy,
		Secret: s.Secrets.Current, Created: rfc3339.Time{Time: s.Created}, Changed: rfc3339.Time{Time: s.Changed}}
	for _, old := range s.Secrets.Old {
		d.Old = append(d.Old, oldSecret{old.Secret, rfc3339.Time{Time: old.Until}})
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("store a subscription: %w", err)
	}
	stored := subscriptionKey(s.Org, s.ID)
	stored[attrDocument], stored[attrVersion] = str(string(raw)), num(s.Version)
	return stored, nil
}

func decodeSubscription(i item) (*webhook.Subscription, error) {
	var d document
	if err := json.Unmarshal([]byte(text(i, attrDocument)), &d); err != nil {
		return nil, errors.New("a stored subscription is not readable") // err can repeat the secret
	}
	s := &webhook.Subscription{ID: d.ID, Org: d.Org, Endpoint: d.Endpoint, AppIDs: d.AppIDs, EventTypes: d.EventTypes, Step: d.Step,
		Format: d.Format, Verified: d.Verified, Challenge: d.Challenge, PausedBy: d.PausedBy,
		Secrets: webhook.Secrets{Current: d.Secret}, Created: d.Created.Time, Changed: d.Changed.Time, Version: number(i, attrVersion)}
	for _, old := range d.Old {
		s.Secrets.Old = append(s.Secrets.Old, webhook.OldSecret{Secret: old.Secret, Until: old.Until.Time})
	}
	return s, nil
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// text returns an attribute, or "" if the item lacks it.
func text(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// number returns an attribute, or 0 if the item lacks it.
func number(i item, name string) int64 {
	v, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(v.Value, 10, 64)
	return n
}
