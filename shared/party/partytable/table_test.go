package partytable_test

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/party/partytable"
)

// TestOpenReportsInvalidVariables tests only Open; package tests/storage tests the other operations
// on DynamoDB Local.
func TestOpenReportsInvalidVariables(t *testing.T) {
	for _, test := range []struct {
		name, table, key string
		want             string // in the error; "" means none
	}{
		{"all", "Parties", "thirty-two characters are enough", ""},
		{"nothing", "", "", "IDENTITY_KEY, PARTIES_TABLE"},
		{"a short key", "Parties", "thirty-one characters, no more.", "IDENTITY_KEY must have 32 characters or more"},
		{"a reference", "Parties", "{{resolve:secretsmanager:identity-key}}", "IDENTITY_KEY is a reference that was not resolved"},
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
