package instancetable

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

// orphanCheckPrefix begins the name of the partition of each shard.
const orphanCheckPrefix = "ORPHAN#"

// ScheduleOrphanChecks stores checks of revisions that may become orphans. Call it before a
// document stops referring to them. After an error some of the checks
// may be stored. Storing a check again changes nothing.
func (t *Table) ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error {
	return writeAll(ctx, t, checks, func(c instance.OrphanCheck) types.WriteRequest {
		return types.WriteRequest{PutRequest: &types.PutRequest{Item: orphanCheckItem(c)}}
	})
}

// DeleteOrphanChecks deletes checks. After an error some of them may be deleted.
func (t *Table) DeleteOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error {
	return writeAll(ctx, t, checks, func(c instance.OrphanCheck) types.WriteRequest {
		return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: orphanCheckKey(c)}}
	})
}

// OrphanChecks returns up to limit checks of a shard with a time earlier than before, oldest first.
// after, if not nil, is the last check of the previous page. If some checks are unreadable,
// OrphanChecks returns the others and an error.
func (t *Table) OrphanChecks(ctx context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error) {
	var start map[string]types.AttributeValue
	if after != nil {
		start = orphanCheckKey(*after)
	}
	return readDue(ctx, t, orphanCheckPrefix, shard, start, rfc3339.Format(before), limit, decodeOrphanCheck)
}

// deletionRecordLifetime is how long a deletion record exists. Point-in-time recovery restores the
// table as it was up to 35 days ago.
const deletionRecordLifetime = 40 * 24 * time.Hour

// Remove deletes the item of an instance that is marked for hard delete, and stores a deletion
// record, so that no restore of a backup brings the instance back. It returns an error for any
// other instance, and if the stored version is not i's. A missing item is no error.
func (t *Table) Remove(ctx context.Context, i *instance.Instance) error {
	if !i.Status.IsMarkedForHardDelete {
		return errors.New("instancetable: the instance is not marked for hard delete")
	}
	record := DeletionRecordKey(i.ID)
	record[attrExpires] = &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(deletionRecordLifetime).Unix(), 10)}
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: &t.name, Item: record}},
		{Delete: &types.Delete{
			TableName: &t.name,
			Key:       instanceItemKey(i.InstanceOwnerID, i.ID),
			// No request writes a marked instance. The condition enforces this.
			ConditionExpression: aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrVersion + " = :read"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(i.Version, 10)},
			},
		}},
	}})
	return err
}

// DeletionRecordKey returns the key of the record that an instance was deleted permanently.
func DeletionRecordKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: deletionPrefix + id},
		attrSort:      &types.AttributeValueMemberS{Value: deletionSort},
	}
}

func orphanCheckItem(c instance.OrphanCheck) map[string]types.AttributeValue {
	item := with(orphanCheckKey(c), attrOwner, c.InstanceOwnerID)
	if len(c.Revisions) > 1 {
		item[attrRevisions] = &types.AttributeValueMemberS{Value: strings.Join(c.Revisions[1:], "#")}
	}
	return item
}

func orphanCheckKey(c instance.OrphanCheck) map[string]types.AttributeValue {
	first := "" // of the revisions; the others follow in the item
	if len(c.Revisions) > 0 {
		first = c.Revisions[0]
	}
	sort := strings.Join([]string{rfc3339.Format(c.At), c.AppID, c.InstanceID, first}, "#")
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: orphanCheckPrefix + strconv.Itoa(c.Shard())},
		attrSort:      &types.AttributeValueMemberS{Value: sort},
	}
}

func decodeOrphanCheck(item map[string]types.AttributeValue) (instance.OrphanCheck, error) {
	sort, ok := item[attrSort].(*types.AttributeValueMemberS)
	owner, ok2 := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok || !ok2 {
		return instance.OrphanCheck{}, errors.New("stored orphan check: an attribute is missing")
	}
	parts := strings.Split(sort.Value, "#")
	if len(parts) != 4 {
		return instance.OrphanCheck{}, errors.New("stored orphan check: invalid key")
	}
	at, ok := rfc3339.Parse(parts[0])
	if !ok {
		return instance.OrphanCheck{}, errors.New("stored orphan check: the key has no time")
	}
	c := instance.OrphanCheck{At: at, AppID: parts[1], InstanceID: parts[2], InstanceOwnerID: owner.Value}
	if parts[3] != "" {
		c.Revisions = []string{parts[3]}
	}
	if others, ok := item[attrRevisions].(*types.AttributeValueMemberS); ok {
		c.Revisions = append(c.Revisions, strings.Split(others.Value, "#")...)
	}
	return c, nil
}
