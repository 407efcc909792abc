// Package storage tests the tables and the blob store against servers with the semantics of AWS. It
// runs the conformance suites of the in-memory fakes, and tests behaviour that only a real server
// has.
package storage

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
)

var server servers.SharedDynamoDB

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// dynamo returns a client of DynamoDB Local: one server and one database for all tests of the
// package.
func dynamo(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint, err := server.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	return tables.Client(endpoint, "eu-north-1", "store")
}

var created sync.Map // logical id -> func() error

// table creates a table of template.yaml with its keys and indexes, if no test has done so, and
// returns its name. Tests share it and use separate partitions. It has no stream, because no test
// reads one.
func table(t *testing.T, logicalID string) string {
	t.Helper()
	client := dynamo(t)
	create, _ := created.LoadOrStore(logicalID, sync.OnceValue(func() error { return tables.Create(context.Background(), client, logicalID, logicalID) }))
	if err := create.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return logicalID
}
