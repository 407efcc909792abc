// Package store tests the tables and the blob store against servers that keep AWS's semantics: the conformance
// suites that the in-memory fakes pass too, and what only a real server can show.
package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"

	"altinn.no/instanceapi/tests/local/checkout"
	"altinn.no/instanceapi/tests/local/service"
)

// stop ends DynamoDB Local, if a test has started it.
var stop = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stop()
	os.Exit(code)
}

var startDynamo = sync.OnceValues(func() (string, error) {
	endpoint, end, err := service.StartDynamoDB()
	if err == nil {
		stop = end
	}
	return endpoint, err
})

// dynamo returns a client of DynamoDB Local: one server, and one database, for all tests of the package.
func dynamo(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint, err := startDynamo()
	if err != nil {
		t.Fatal(err)
	}
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: "eu-north-1", DisableValidateResponseChecksum: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "store", SecretAccessKey: "store"}, nil
		}),
	})
}

var tables sync.Map // logical id -> func() error

// table makes sure that a table of template.yaml is there, with the keys and indexes it has there, and returns its
// name. Tests share it and keep to partitions of their own. It has no stream: nothing here reads one.
func table(t *testing.T, logicalID string) string {
	t.Helper()
	client := dynamo(t)
	create, _ := tables.LoadOrStore(logicalID, sync.OnceValue(func() error { return createTable(client, logicalID) }))
	if err := create.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return logicalID
}

func createTable(client *dynamodb.Client, logicalID string) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		return err
	}
	type key struct {
		AttributeName string `yaml:"AttributeName"`
		AttributeType string `yaml:"AttributeType"`
		KeyType       string `yaml:"KeyType"`
	}
	var template struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		return err
	}
	resource, ok := template.Resources[logicalID]
	if !ok {
		return fmt.Errorf("template.yaml has no table %s", logicalID)
	}
	var properties struct {
		AttributeDefinitions   []key `yaml:"AttributeDefinitions"`
		KeySchema              []key `yaml:"KeySchema"`
		GlobalSecondaryIndexes []struct {
			IndexName  string `yaml:"IndexName"`
			KeySchema  []key  `yaml:"KeySchema"`
			Projection struct {
				ProjectionType string `yaml:"ProjectionType"`
			} `yaml:"Projection"`
		} `yaml:"GlobalSecondaryIndexes"`
	}
	if err := resource.Properties.Decode(&properties); err != nil {
		return err
	}
	schema := func(keys []key) (elements []types.KeySchemaElement) {
		for _, k := range keys {
			elements = append(elements, types.KeySchemaElement{AttributeName: aws.String(k.AttributeName), KeyType: types.KeyType(k.KeyType)})
		}
		return elements
	}
	input := &dynamodb.CreateTableInput{
		TableName: &logicalID, BillingMode: types.BillingModePayPerRequest, KeySchema: schema(properties.KeySchema),
	}
	for _, a := range properties.AttributeDefinitions {
		input.AttributeDefinitions = append(input.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String(a.AttributeName), AttributeType: types.ScalarAttributeType(a.AttributeType),
		})
	}
	for _, index := range properties.GlobalSecondaryIndexes {
		input.GlobalSecondaryIndexes = append(input.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(index.IndexName), KeySchema: schema(index.KeySchema),
			Projection: &types.Projection{ProjectionType: types.ProjectionType(index.Projection.ProjectionType)},
		})
	}
	_, err = client.CreateTable(context.Background(), input)
	return err
}
