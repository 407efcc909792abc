package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/party/partytable"
	"altinn.no/instanceapi/shared/party/partytest"
	"altinn.no/instanceapi/tests/faults"
)

var (
	identityKey = []byte("the key of the digests in these tests")
	person      = party.Identity{Kind: party.SSN, Value: "12247918309"}

	partyTables atomic.Int32
)

// partyTable returns the client of a database and the name of a new, empty table Parties in it.
func partyTable(t *testing.T) (*dynamodb.Client, string) {
	t.Helper()
	client, name := dynamo(t), fmt.Sprintf("PartyTest%d", partyTables.Add(1))
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("PK"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("PK"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, name
}

// openParties returns a store of the table. Each store has its own cache, as each process has.
func openParties(t *testing.T, client *dynamodb.Client, name string) *partytable.Table {
	t.Helper()
	table, err := partytable.New(client, name, identityKey)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// processes spreads the calls of a test over the stores of several processes on the same table.
type processes struct {
	tables []*partytable.Table
	calls  atomic.Uint32
}

func (p *processes) next() *partytable.Table {
	return p.tables[int(p.calls.Add(1))%len(p.tables)]
}

func (p *processes) Find(ctx context.Context, identities ...party.Identity) (string, bool, error) {
	return p.next().Find(ctx, identities...)
}

func (p *processes) FindOrAssign(ctx context.Context, identities ...party.Identity) (string, error) {
	return p.next().FindOrAssign(ctx, identities...)
}

func (p *processes) Lookup(ctx context.Context, identity party.Identity) (string, error) {
	return p.next().Lookup(ctx, identity)
}

func (p *processes) Exists(ctx context.Context, instanceOwnerID string) (bool, error) {
	return p.next().Exists(ctx, instanceOwnerID)
}

func TestParties(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d processes", n), func(t *testing.T) {
			partytest.Conformance(t, func(t *testing.T) partytest.Register {
				client, name := partyTable(t)
				p := &processes{}
				for range n {
					p.tables = append(p.tables, openParties(t, client, name))
				}
				return p
			})
		})
	}
}

func TestPartiesStoreNoIdentity(t *testing.T) {
	client, name := partyTable(t)
	if _, err := openParties(t, client, name).FindOrAssign(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	stored, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(stored.Items)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), person.Value) || len(stored.Items) != 2 {
		t.Errorf("stored %d items, want 2 without the identity: %s", len(stored.Items), text)
	}
	other, err := partytable.New(client, name, []byte("another key, as long as is required"))
	if err != nil {
		t.Fatal(err)
	}
	if number, found, err := other.Find(t.Context(), person); found || err != nil {
		t.Errorf("found with another key: %s, %v", number, err)
	}
	if _, err := partytable.New(client, name, []byte("thirty-one characters, no more.")); err == nil {
		t.Error("a key of 31 characters was accepted")
	}
}

// The response to the whole call is lost, as when the function is killed. The next call must see
// the effect, for an assignment and for a link.
func TestPartiesAfterAnUnknownOutcome(t *testing.T) {
	client, name := partyTable(t)
	named := party.Identity{Kind: party.UserName, Value: "ola"}
	want := ""
	for _, identities := range [][]party.Identity{{person}, {person, named}} {
		in := faults.New()
		in.ArmOne(len(identities)+1, faults.Lost) // after one read of each identity
		losing := dynamodb.New(client.Options(), func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, in.Install) })
		if number, err := openParties(t, losing, name).FindOrAssign(t.Context(), identities...); !errors.As(err, new(*faults.Error)) {
			t.Fatalf("FindOrAssign = %q, %v; want a lost response", number, err)
		}
		if fired := in.Fired(); len(fired) != 1 || !strings.Contains(fired[0], "TransactWriteItems") {
			t.Fatalf("faults %q, want one of TransactWriteItems", fired)
		}
		number, found, err := openParties(t, client, name).Find(t.Context(), identities[len(identities)-1])
		if err != nil || !found || want != "" && number != want {
			t.Errorf("Find = %q, %v, %v; want the number %s of the lost call", number, found, err, want)
		}
		want = number
		if exists, err := openParties(t, client, name).Exists(t.Context(), number); !exists || err != nil {
			t.Errorf("Exists(%s) = %v, %v", number, exists, err)
		}
	}
}

// If a response is lost, the SDK retries the call, which must not fail on the effect of the first
// attempt.
func TestPartiesAfterALostResponse(t *testing.T) {
	client, name := partyTable(t)
	for n, operation := range []string{"GetItem", "TransactWriteItems"} {
		losing, transport := losingClient(t, operation, 1)
		identity := party.Identity{Kind: party.SSN, Value: fmt.Sprintf("1224790000%d", n)}
		number, err := openParties(t, losing, name).FindOrAssign(t.Context(), identity)
		if err != nil || transport.lost.Load() != 1 {
			t.Fatalf("%s: %v, %d responses lost", operation, err, transport.lost.Load())
		}
		if again, err := openParties(t, client, name).FindOrAssign(t.Context(), identity); again != number || err != nil {
			t.Errorf("%s: FindOrAssign = %s, then %s, %v", operation, number, again, err)
		}
	}
}
