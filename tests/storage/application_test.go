package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/application/applicationtest"
)

func TestApplications(t *testing.T) {
	applicationtest.Conformance(t, applicationtable.New(dynamo(t), table(t, "Applications")))
}

// An org can have more registrations than fit into one page of DynamoDB (1 MB).
func TestManyLargeApplications(t *testing.T) {
	applications := applicationtable.New(dynamo(t), table(t, "Applications"))
	for n := range 12 {
		app := &application.Application{ID: fmt.Sprintf("large/app%02d", n), Org: "large"}
		app.Title = map[string]string{"nb": strings.Repeat("x", 200_000)}
		app.SetDefaults()
		if err := applications.Put(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	apps, err := applications.List(t.Context(), "large")
	if err != nil || len(apps) != 12 || apps[0].ID != "large/app00" || apps[11].ID != "large/app11" {
		t.Errorf("%d applications, %v", len(apps), err)
	}
}

// Registrations of older versions get defaults. Damaged registrations are errors, never empty
// registrations.
func TestStoredApplications(t *testing.T) {
	client, name := dynamo(t), table(t, "Applications")
	applications := applicationtable.New(client, name)
	store := func(app string, attributes map[string]types.AttributeValue) {
		attributes["PK"], attributes["SK"] = &types.AttributeValueMemberS{Value: "stored"}, &types.AttributeValueMemberS{Value: app}
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: attributes}); err != nil {
			t.Fatal(err)
		}
	}
	document := func(text string) *types.AttributeValueMemberS { return &types.AttributeValueMemberS{Value: text} }
	version := &types.AttributeValueMemberN{Value: "4"}
	store("bare", map[string]types.AttributeValue{"d": document(`{"id":"stored/bare","org":"stored","later":1}`), "v": version})
	app, err := applications.Get(t.Context(), "stored/bare")
	if err != nil || app.Version != 4 || app.IndexShards != 1 || len(app.Workflow.Steps) != 3 || app.DataTypes == nil {
		t.Errorf("%+v, %v", app, err)
	}
	// An older version stored the text of a schema in the document.
	store("inline", map[string]types.AttributeValue{"d": document(`{"id":"stored/inline","org":"stored","dataTypes":[{"formId":"a","schema":{"type":"object"}}]}`), "v": version})
	app, err = applications.Get(t.Context(), "stored/inline")
	if err != nil || len(app.DataTypes) != 1 || !app.DataTypes[0].HasSchema() || string(app.DataTypes[0].Schema) != `{"type":"object"}` {
		t.Errorf("%+v, %v", app, err)
	}
	if err := errors.Join(applications.Put(t.Context(), app), app.LoadSchemas(t.Context(), applications.Schema)); err != nil || app.Version != 5 || string(app.DataTypes[0].Schema) != `{"type":"object"}` {
		t.Errorf("put back: %+v, %v", app, err)
	}
	id := application.SchemaID([]byte("true"))
	for what, packed := range map[string][]byte{"another text": {0x01, 0x02, 0x00, 0xfd, 0xff, '{', '}'}, "not deflated": []byte("true"), "nothing": {}} {
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: map[string]types.AttributeValue{
			"PK": document("SCHEMA#" + id), "SK": document("SCHEMA"), "z": &types.AttributeValueMemberB{Value: packed},
		}}); err != nil {
			t.Fatal(err)
		}
		if text, err := applications.Schema(t.Context(), id); err == nil {
			t.Errorf("%s: %s", what, text)
		}
	}
	for app, attributes := range map[string]map[string]types.AttributeValue{
		"no-document": {"v": version}, "no-version": {"d": document(`{}`)}, "torn": {"d": document(`{"id":`), "v": version},
	} {
		store(app, attributes)
		if got, err := applications.Get(t.Context(), "stored/"+app); err == nil {
			t.Errorf("%s: %+v", app, got)
		}
	}
}
