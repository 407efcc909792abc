package partytable_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/party/partytable"
)

// Package tests/storage tests the operations on DynamoDB Local. TestBusyAssignments scripts what
// DynamoDB Local never reports.

func TestOpenReportsInvalidVariables(t *testing.T) {
	for _, test := range []struct {
		name, table, key string
		want             string // in the error; "" means none
	}{
		{"all", "Parties", "thirty-two characters are enough", ""},
		{"nothing", "", "", "PARTIES_TABLE, IDENTITY_KEY_SECRET"},
		{"a short key", "Parties", "thirty-one characters, no more.", "IDENTITY_KEY must have 32 characters or more"},
		{"a reference", "Parties", "{{resolve:secretsmanager:identity-key}}", "IDENTITY_KEY is a reference that was not resolved"},
		{"JSON", "Parties", `{"key":"thirty-two characters are enough"}`, "IDENTITY_KEY is JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := coldstart.FromMap(map[string]string{
				"PARTIES_TABLE": test.table, "IDENTITY_KEY": test.key, "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
			})
			partytable.Open(env)
			err := env.Err()
			if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Err = %v, want it to contain %q", err, test.want)
			}
			if err != nil && test.key != "" && strings.Contains(err.Error(), test.key) {
				t.Errorf("%q contains the key", err)
			}
		})
	}
}

// contended is a DynamoDB in which no identity has a number, and in which every transaction is
// cancelled for the same reason.
type contended struct {
	reason       string
	transactions int
}

func (c *contended) Do(r *http.Request) (*http.Response, error) {
	status, body := 200, "{}"
	switch _, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); target {
	case "UpdateItem":
		body = `{"Attributes":{"last":{"N":"50001"}}}`
	case "TransactWriteItems":
		c.transactions++
		status, body = 400, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"m",
			"CancellationReasons":[{"Code":"`+c.reason+`"},{"Code":"None"}]}`
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// TestBusyAssignments assigns a number while DynamoDB throttles, and while other assignments win
// every race. The result is fault.Busy after a bounded number of transactions.
func TestBusyAssignments(t *testing.T) {
	for reason, most := range map[string]int{"ThrottlingError": 1 + busy.MaxRetries, "TransactionConflict": 1 + busy.MaxRaces, "ConditionalCheckFailed": 1 + busy.MaxRaces} {
		synctest.Test(t, func(t *testing.T) {
			c := &contended{reason: reason}
			table, err := partytable.New(dynamodb.New(dynamodb.Options{
				HTTPClient: c, Region: "eu-north-1", DisableValidateResponseChecksum: true,
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
				}),
			}, dynamo.Retries), "Parties", []byte(strings.Repeat("k", 32)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = table.FindOrAssign(t.Context(), party.Identity{Kind: party.UserName, Value: "kari"})
			if !fault.IsBusy(err) || c.transactions != most {
				t.Errorf("%s: %v after %d transactions, want fault.Busy after %d", reason, err, c.transactions, most)
			}
		})
	}
}
