// Package tables creates the tables of template.yaml on a local server, with their keys and
// indexes. It omits streams, which would slow the server down. It never changes an existing table.
package tables

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/workspace"
)

type key struct {
	AttributeName string `yaml:"AttributeName"`
	AttributeType string `yaml:"AttributeType"`
	KeyType       string `yaml:"KeyType"`
}

type table struct {
	AttributeDefinitions   []key `yaml:"AttributeDefinitions"`
	KeySchema              []key `yaml:"KeySchema"`
	GlobalSecondaryIndexes []struct {
		IndexName  string `yaml:"IndexName"`
		KeySchema  []key  `yaml:"KeySchema"`
		Projection struct {
			ProjectionType   string   `yaml:"ProjectionType"`
			NonKeyAttributes []string `yaml:"NonKeyAttributes"`
		} `yaml:"Projection"`
	} `yaml:"GlobalSecondaryIndexes"`
}

// Client returns a client of the DynamoDB of a local server, which has a separate database for each
// access key. Options can change the configuration.
func Client(endpoint, region, accessKey string, options ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: region, DisableValidateResponseChecksum: true,
		HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: accessKey}, nil // a local server verifies no signature
		}),
	}, options...)
}

// Create creates the table logicalID of template.yaml with the given name.
func Create(ctx context.Context, client *dynamodb.Client, logicalID, name string) error {
	wanted, err := read(logicalID)
	if err != nil {
		return err
	}
	input := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: schema(wanted.KeySchema),
	}
	for _, a := range wanted.AttributeDefinitions {
		input.AttributeDefinitions = append(input.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String(a.AttributeName), AttributeType: types.ScalarAttributeType(a.AttributeType),
		})
	}
	for _, index := range wanted.GlobalSecondaryIndexes {
		input.GlobalSecondaryIndexes = append(input.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(index.IndexName), KeySchema: schema(index.KeySchema),
			Projection: &types.Projection{
				ProjectionType: types.ProjectionType(index.Projection.ProjectionType), NonKeyAttributes: index.Projection.NonKeyAttributes,
			},
		})
	}
	_, err = client.CreateTable(ctx, input)
	return err
}

func read(logicalID string) (*table, error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	var template struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		return nil, err
	}
	resource := template.Resources[logicalID]
	if resource.Type != "AWS::DynamoDB::Table" {
		return nil, fmt.Errorf("template.yaml has no table %s", logicalID)
	}
	var t table
	return &t, resource.Properties.Decode(&t)
}

func schema(keys []key) (elements []types.KeySchemaElement) {
	for _, k := range keys {
		elements = append(elements, types.KeySchemaElement{AttributeName: aws.String(k.AttributeName), KeyType: types.KeyType(k.KeyType)})
	}
	return elements
}
