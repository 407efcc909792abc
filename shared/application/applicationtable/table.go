// Package applicationtable provides the register of applications in DynamoDB: one item an application, an org's
// applications in one partition.
package applicationtable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
)

// The attributes: PK is the org, SK the app.
const (
	attrOrg      = "PK"
	attrApp      = "SK"
	attrDocument = "d" // the document as JSON
	attrVersion  = "v"
)

// Table is the table Applications.
type Table struct {
	client *dynamodb.Client
	name   string
}

// Open returns the table that APPLICATIONS_TABLE names.
func Open(env *coldstart.Env) *Table {
	t := New(dynamo.Client(env), env.String("APPLICATIONS_TABLE"))
	env.Warm("dynamodb", func(ctx context.Context) error {
		_, err := t.Get(ctx, "warm-up/warm-up")
		return err
	})
	return t
}

// New returns the table with the name given.
func New(client *dynamodb.Client, name string) *Table { return &Table{client: client, name: name} }

// Get returns the application with the id given, as of all answered writes, or nil when none is registered.
func (t *Table) Get(ctx context.Context, id string) (*application.Application, error) {
	org, app, ok := application.SplitID(id)
	if !ok {
		return nil, nil
	}
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			attrOrg: &types.AttributeValueMemberS{Value: org},
			attrApp: &types.AttributeValueMemberS{Value: app},
		},
	})
	if err != nil || out.Item == nil {
		return nil, err
	}
	return decode(out.Item)
}

// List returns all applications of an org, by name.
func (t *Table) List(ctx context.Context, org string) ([]*application.Application, error) {
	var apps []*application.Application
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String(attrOrg + " = :org"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":org": &types.AttributeValueMemberS{Value: org}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			app, err := decode(item)
			if err != nil {
				return nil, err
			}
			apps = append(apps, app)
		}
	}
	return apps, nil
}

// Put stores app as the version after app.Version, and notes that in it. The stored version must still be
// app.Version, with 0 for an application that is not there yet; otherwise it returns application.ErrStale.
func (t *Table) Put(ctx context.Context, app *application.Application) error {
	org, name, ok := application.SplitID(app.ID)
	if !ok {
		return fmt.Errorf("applicationtable: not an application id")
	}
	text, err := json.Marshal(app)
	if err != nil {
		return err
	}
	put := &dynamodb.PutItemInput{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrOrg:      &types.AttributeValueMemberS{Value: org},
			attrApp:      &types.AttributeValueMemberS{Value: name},
			attrDocument: &types.AttributeValueMemberS{Value: string(text)},
			attrVersion:  &types.AttributeValueMemberN{Value: strconv.FormatInt(app.Version+1, 10)},
		},
		ConditionExpression:                 aws.String("attribute_not_exists(" + attrOrg + ")"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if app.Version > 0 {
		put.ConditionExpression = aws.String(attrVersion + " = :read")
		put.ExpressionAttributeValues = map[string]types.AttributeValue{
			":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(app.Version, 10)},
		}
	}
	_, err = t.client.PutItem(ctx, put)
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		// A request that is sent again because its answer was lost fails on its own effect: the same document under the
		// next version is what was wanted.
		stored, decodeErr := decode(failed.Item)
		if decodeErr != nil || stored.Version != app.Version+1 || !sameDocument(stored, text) {
			return application.ErrStale
		}
	case err != nil:
		return err
	}
	app.Version++
	return nil
}

func sameDocument(stored *application.Application, text []byte) bool {
	again, err := json.Marshal(stored)
	return err == nil && string(again) == string(text)
}

func decode(item map[string]types.AttributeValue) (*application.Application, error) {
	document, ok := item[attrDocument].(*types.AttributeValueMemberS)
	number, ok2 := item[attrVersion].(*types.AttributeValueMemberN)
	if !ok || !ok2 {
		return nil, errors.New("stored application: document or version missing")
	}
	app := &application.Application{}
	if err := json.Unmarshal([]byte(document.Value), app); err != nil {
		return nil, fmt.Errorf("stored application: %w", err)
	}
	app.Complete()
	var err error
	app.Version, err = strconv.ParseInt(number.Value, 10, 64)
	return app, err
}
