package storage

import (
	"reflect"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// A damaged orphan check is reported and does not block the others.
func TestDamagedOrphanCheckIsSkipped(t *testing.T) {
	name := table(t, "Instances")
	damaged := map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "ORPHAN#0"}, "SK": &types.AttributeValueMemberS{Value: "1980-01-01T00:00:00.000000Z#damaged"},
	}
	if _, err := dynamo(t).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(name), Item: damaged}); err != nil {
		t.Fatal(err)
	}
	good := instance.OrphanCheck{AppID: "nav/app", InstanceOwnerID: "50001", Revisions: []string{"r"}, At: time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)}
	for good.InstanceID = uuid.New().String(); good.Shard() != 0; good.InstanceID = uuid.New().String() {
	}
	instances := instancetable.New(dynamo(t), name, "")
	if err := instances.ScheduleOrphanChecks(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	checks, err := instances.OrphanChecks(t.Context(), 0, nil, good.At.Add(time.Second), 10)
	if err == nil || len(checks) != 1 || !reflect.DeepEqual(checks[0], good) {
		t.Errorf("%v, %v", checks, err)
	}
	// Other tests read all orphan checks and do not expect these.
	if _, err := dynamo(t).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(name), Key: damaged}); err != nil {
		t.Error(err)
	}
	if err := instances.DeleteOrphanChecks(t.Context(), good); err != nil {
		t.Error(err)
	}
}
