package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/party/partytable"
	"altinn.no/instanceapi/shared/party/partytest"
)

var (
	identityKey = []byte("the key of the digests in these tests")
	someone     = party.Identity{Kind: party.SSN, Value: "12247918309"}

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

// openParties returns a register in the table. Each has a memory of its own, as each process has.
func openParties(t *testing.T, client *dynamodb.Client, name string) *partytable.Table {
	t.Helper()
	table, err := partytable.New(client, name, identityKey)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// processes spreads the calls of a test over several processes' registers of the same table.
type processes struct {
	tables []*partytable.Table
	calls  atomic.Uint32
}

func (p *processes) next() *partytable.Table {
	return p.tables[int(p.calls.Add(1))%len(p.tables)]
}

func (p *processes) Find(ctx context.Context, identity party.Identity) (string, bool, error) {
	return p.next().Find(ctx, identity)
}

func (p *processes) FindOrAssign(ctx context.Context, identity party.Identity) (string, error) {
	return p.next().FindOrAssign(ctx, identity)
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
	if _, err := openParties(t, client, name).FindOrAssign(t.Context(), someone); err != nil {
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
	if strings.Contains(string(text), someone.Value) || len(stored.Items) != 3 {
		t.Errorf("stored %d items, want 3 without the identity: %s", len(stored.Items), text)
	}
	other, err := partytable.New(client, name, []byte("another key, as long as is required"))
	if err != nil {
		t.Fatal(err)
	}
	if number, found, err := other.Find(t.Context(), someone); found || err != nil {
		t.Errorf("found with another key: %s, %v", number, err)
	}
	if _, err := partytable.New(client, name, []byte("thirty-one characters, no more.")); err == nil {
		t.Error("a key of 31 characters was taken")
	}
}

// The whole call is lost after it took effect, as when the function is killed: the next one has to find what it did.
func TestPartiesAfterAnUnknownOutcome(t *testing.T) {
	for _, operation := range []string{"UpdateItem", "TransactWriteItems"} {
		t.Run(operation, func(t *testing.T) {
			client, name := partyTable(t)
			var lost atomic.Bool
			forgetful := dynamodb.New(client.Options(), func(o *dynamodb.Options) {
				o.APIOptions = append(o.APIOptions, loseOnce(operation, &lost))
			})
			if number, err := openParties(t, forgetful, name).FindOrAssign(t.Context(), someone); !errors.Is(err, errLost) {
				t.Fatalf("FindOrAssign = %q, %v; want the lost answer", number, err)
			}
			number, err := openParties(t, client, name).FindOrAssign(t.Context(), someone)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"UpdateItem": "50002", "TransactWriteItems": "50001"}[operation]
			if number != want {
				t.Errorf("made again, FindOrAssign = %s, want %s", number, want)
			}
			if exists, err := openParties(t, client, name).Exists(t.Context(), number); !exists || err != nil {
				t.Errorf("Exists(%s) = %v, %v", number, exists, err)
			}
		})
	}
}

var errLost = errors.New("the answer was lost")

// loseOnce lets the first call of the operation take effect and loses its answer for good, retries included.
func loseOnce(operation string, lost *atomic.Bool) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("loseOnce",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleInitialize(ctx, in)
				if middleware.GetOperationName(ctx) == operation && lost.CompareAndSwap(false, true) {
					return middleware.InitializeOutput{}, metadata, errors.Join(errLost, err)
				}
				return out, metadata, err
			}), middleware.Before)
	}
}

// An answer lost on the way is sent for again by the SDK, which must not fail on its own effect.
func TestPartiesWhenTheNetworkLosesAnAnswer(t *testing.T) {
	client, name := partyTable(t)
	for n, operation := range []string{"GetItem", "UpdateItem", "TransactWriteItems"} {
		flaky := &flakyNetwork{operation: operation, next: client.Options().HTTPClient}
		through := dynamodb.New(client.Options(), func(o *dynamodb.Options) { o.HTTPClient = flaky })
		identity := party.Identity{Kind: party.SSN, Value: fmt.Sprintf("1224790000%d", n)}
		number, err := openParties(t, through, name).FindOrAssign(t.Context(), identity)
		if err != nil || !flaky.lost.Load() {
			t.Fatalf("%s: %v, answer lost: %v", operation, err, flaky.lost.Load())
		}
		if again, err := openParties(t, client, name).FindOrAssign(t.Context(), identity); again != number || err != nil {
			t.Errorf("%s: FindOrAssign = %s, then %s, %v", operation, number, again, err)
		}
	}
}

// flakyNetwork delivers requests, and loses the answer to the first one of an operation.
type flakyNetwork struct {
	operation string
	next      dynamodb.HTTPClient
	lost      atomic.Bool
}

func (f *flakyNetwork) Do(r *http.Request) (*http.Response, error) {
	response, err := f.next.Do(r)
	if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+f.operation) || !f.lost.CompareAndSwap(false, true) {
		return response, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(nil))
	return nil, io.ErrUnexpectedEOF
}

// After a restore the counter can be behind the numbers given out since. None of them is given again.
func TestPartiesWithACounterThatIsBehind(t *testing.T) {
	client, name := partyTable(t)
	table := openParties(t, client, name)
	first, err := table.FindOrAssign(t.Context(), someone)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &name, Key: map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "COUNTER"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	second, err := table.FindOrAssign(t.Context(), party.Identity{Kind: party.UserName, Value: "ola"})
	if err != nil || second == first {
		t.Errorf("the second identity got %s, %v; the first has %s", second, err, first)
	}
}
