// Package applicationtable stores applications in DynamoDB: one item per application, one small
// item per application for the list of its org, and one item per schema text. It never changes or
// deletes a schema item.
//
// Schemas are separate items because most requests read the registration, and only validation needs
// schemas.
package applicationtable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/fault"
)

// The attributes of an application: PK is the org, SK the app. An org has no #, which ends the
// prefixes of the other partitions.
const (
	attrOrg      = "PK"
	attrApp      = "SK"
	attrDocument = "d" // the document as JSON
	attrVersion  = "v"

	schemaPrefix = "SCHEMA#" // prefix of PK, followed by the schema's id
	schemaSort   = "SCHEMA"  // SK
	attrText     = "z"       // the schema's text, deflated

	listPrefix = "LIST#" // prefix of PK, followed by the org; SK is the app
	attrListed = "l"     // see encodeListed
)

// document is the stored form of an application. Documents that older versions of this project
// stored contain the schema texts.
type document struct {
	*application.Application
	DataTypes []dataType `json:"dataTypes"` // overrides Application.DataTypes
}

type dataType struct {
	application.DataType
	SchemaID string `json:"schemaId,omitempty"`
	XSDID    string `json:"xsdId,omitempty"`
}

// encode returns the stored form of an application without the texts of its schemas.
func encode(app *application.Application) ([]byte, error) {
	doc := document{app, make([]dataType, len(app.DataTypes))}
	for n, t := range app.DataTypes {
		doc.DataTypes[n] = dataType{t, t.SchemaID, t.XSDID}
	}
	return json.Marshal(doc)
}

// Table is the DynamoDB table of applications.
type Table struct {
	client *dynamodb.Client
	name   string
}

// Open returns the table named by APPLICATIONS_TABLE.
func Open(env *coldstart.Env) *Table {
	t := New(dynamo.Client(env), env.String("APPLICATIONS_TABLE"))
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.Get(ctx, "warm-up/warm-up")
		return err
	})
	return t
}

// New returns the named table.
func New(client *dynamodb.Client, name string) *Table { return &Table{client: client, name: name} }

// Get returns the application with the given id, or nil if it is not registered. The read is
// strongly consistent. The application has the ids of its schemas, and Schema returns their texts.
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

// Schema returns the text of a schema by its id. It fails if the id is unknown.
func (t *Table) Schema(ctx context.Context, id string) (json.RawMessage, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, ConsistentRead: aws.Bool(true), Key: schemaKey(id)})
	if err != nil {
		return nil, err
	}
	packed, ok := out.Item[attrText].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("stored schema: there is none with id %s", id)
	}
	text, err := application.Unpack(packed.Value, id)
	if err != nil {
		return nil, fmt.Errorf("stored schema: %s: %w", id, err)
	}
	return text, nil
}

// putSchema stores the text of a schema. Storing the same text again changes nothing.
func (t *Table) putSchema(ctx context.Context, id string, text []byte) error {
	packed, err := application.Pack(text)
	if err != nil {
		return err
	}
	item := schemaKey(id)
	item[attrText] = &types.AttributeValueMemberB{Value: packed}
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: item})
	return err
}

func schemaKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrOrg: &types.AttributeValueMemberS{Value: schemaPrefix + id}, attrApp: &types.AttributeValueMemberS{Value: schemaSort},
	}
}

// List returns all applications of an org, ordered by name, as application.Listed returns them. The
// read is strongly consistent. It reads about 50 bytes for each application, not its document: each
// page of a query of an org reads the list.
func (t *Table) List(ctx context.Context, org string) ([]*application.Application, error) {
	var apps []*application.Application
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String(attrOrg + " = :org"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":org": &types.AttributeValueMemberS{Value: listPrefix + org}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			app, err := decodeListed(org, item)
			if err != nil {
				return nil, err
			}
			apps = append(apps, app)
		}
	}
	return apps, nil
}

// listItem returns the item of an application in the list of its org.
func listItem(org, name string, app *application.Application, version *types.AttributeValueMemberN) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrOrg:     &types.AttributeValueMemberS{Value: listPrefix + org},
		attrApp:     &types.AttributeValueMemberS{Value: name},
		attrVersion: version,
		attrListed:  &types.AttributeValueMemberS{Value: encodeListed(app)},
	}
}

// encodeListed returns what List needs of an application besides its key and version: the number of
// shards, and each step with a letter for each member that is true, such as
// "1 FormFilling: Submit:lc Archived:lca".
func encodeListed(app *application.Application) string {
	text := strconv.Itoa(app.IndexShards)
	for _, step := range app.Workflow.Steps {
		text += " " + step.Name + ":"
		for _, flag := range flagsOf(&step) {
			if *flag.is {
				text += flag.letter
			}
		}
	}
	return text
}

// flag is a member of a listed step, with its letter.
type flag struct {
	letter string
	is     *bool
}

func flagsOf(step *application.Step) []flag {
	return []flag{{"l", &step.LocksData}, {"c", &step.Completes}, {"a", &step.Archives}}
}

// decodeListed returns the application of an item that listItem returned.
func decodeListed(org string, item map[string]types.AttributeValue) (*application.Application, error) {
	name, ok1 := item[attrApp].(*types.AttributeValueMemberS)
	number, ok2 := item[attrVersion].(*types.AttributeValueMemberN)
	text, ok3 := item[attrListed].(*types.AttributeValueMemberS)
	if !ok1 || !ok2 || !ok3 {
		return nil, errors.New("stored list of applications: an attribute is missing")
	}
	app := &application.Application{ID: org + "/" + name.Value, Org: org}
	fields := strings.Fields(text.Value)
	if len(fields) < 2 {
		return nil, fmt.Errorf("stored list of applications: %s has no steps", app.ID)
	}
	var err1, err2 error
	app.Version, err1 = strconv.ParseInt(number.Value, 10, 64)
	app.IndexShards, err2 = strconv.Atoi(fields[0])
	for _, field := range fields[1:] {
		var step application.Step
		var letters string
		step.Name, letters, _ = strings.Cut(field, ":")
		for _, flag := range flagsOf(&step) {
			*flag.is = strings.Contains(letters, flag.letter)
		}
		app.Workflow.Steps = append(app.Workflow.Steps, step)
	}
	return app, errors.Join(err1, err2)
}

// Put stores app as version app.Version+1 and increments app.Version. It returns
// application.ErrVersionMismatch if the stored version is not app.Version; 0 means that the
// application is not registered. Put stores the texts of the schemas first, so every stored id has
// its text.
func (t *Table) Put(ctx context.Context, app *application.Application) error {
	org, name, ok := application.SplitID(app.ID)
	if !ok {
		return errors.New("applicationtable: invalid application id")
	}
	bare, texts, err := app.WithoutSchemas()
	if err != nil {
		return err
	}
	text, err := encode(bare)
	if err != nil {
		return err
	}
	for id, text := range texts {
		if err := t.putSchema(ctx, id, text); err != nil {
			return err
		}
	}
	version := &types.AttributeValueMemberN{Value: strconv.FormatInt(app.Version+1, 10)}
	put := &types.Put{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrOrg:      &types.AttributeValueMemberS{Value: org},
			attrApp:      &types.AttributeValueMemberS{Value: name},
			attrDocument: &types.AttributeValueMemberS{Value: string(text)},
			attrVersion:  version,
		},
		ConditionExpression: aws.String("attribute_not_exists(" + attrOrg + ")"),
	}
	if app.Version > 0 {
		put.ConditionExpression = aws.String(attrVersion + " = :read")
		put.ExpressionAttributeValues = map[string]types.AttributeValue{
			":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(app.Version, 10)},
		}
	}
	// The SDK sends the same request token with every retry, so a retry after a lost response does
	// not conflict with the first attempt.
	_, err = t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: put},
		{Put: &types.Put{TableName: &t.name, Item: listItem(org, name, bare, version)}},
	}})
	if isConflict(err) {
		return application.ErrVersionMismatch
	}
	if err != nil {
		return err
	}
	app.Version++
	return nil
}

// isConflict reports whether a transaction failed because another write came between or runs.
func isConflict(err error) bool {
	var cancelled *types.TransactionCanceledException
	if fault.IsBusy(err) || !errors.As(err, &cancelled) {
		return false
	}
	return slices.ContainsFunc(cancelled.CancellationReasons, func(reason types.CancellationReason) bool {
		code := aws.ToString(reason.Code)
		return code == "ConditionalCheckFailed" || code == "TransactionConflict"
	})
}

func decode(item map[string]types.AttributeValue) (*application.Application, error) {
	text, ok := item[attrDocument].(*types.AttributeValueMemberS)
	number, ok2 := item[attrVersion].(*types.AttributeValueMemberN)
	if !ok || !ok2 {
		return nil, errors.New("stored application: document or version missing")
	}
	app := &application.Application{}
	doc := document{Application: app}
	if err := json.Unmarshal([]byte(text.Value), &doc); err != nil {
		return nil, fmt.Errorf("stored application: %w", err)
	}
	for _, t := range doc.DataTypes {
		t.DataType.SchemaID, t.DataType.XSDID = t.SchemaID, t.XSDID
		app.DataTypes = append(app.DataTypes, t.DataType)
	}
	app.SetDefaults()
	var err error
	app.Version, err = strconv.ParseInt(number.Value, 10, 64)
	return app, err
}
