package instancetable

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

// Notes of litter are in as many partitions as they have parts, so that one's thousand writes a second is no limit on uploads. A
// part is read in the order of time.
const (
	orphanCheckPrefix = "ORPHAN#"
	attrOwner         = "o" // the instanceOwnerId
)

const orphanCheckTime = "2006-01-02T15:04:05.000000Z"

// ScheduleOrphanChecks notes what may become litter, all of it or, with an error, any part: call it before bytes are stored or
// let go of. The same note again is the same note.
func (t *Table) ScheduleOrphanChecks(ctx context.Context, notes ...instance.OrphanCheck) error {
	return t.writeOrphanChecks(ctx, notes, func(l instance.OrphanCheck) types.WriteRequest {
		item := orphanCheckKey(l)
		item[attrOwner] = &types.AttributeValueMemberS{Value: l.InstanceOwnerID}
		return types.WriteRequest{PutRequest: &types.PutRequest{Item: item}}
	})
}

// DeleteOrphanChecks deletes notes, all of them or, with an error, any part.
func (t *Table) DeleteOrphanChecks(ctx context.Context, notes ...instance.OrphanCheck) error {
	return t.writeOrphanChecks(ctx, notes, func(l instance.OrphanCheck) types.WriteRequest {
		return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: orphanCheckKey(l)}}
	})
}

func (t *Table) writeOrphanChecks(ctx context.Context, notes []instance.OrphanCheck, write func(instance.OrphanCheck) types.WriteRequest) error {
	for some := range slices.Chunk(notes, batchItems) {
		var batch []types.WriteRequest
		for _, l := range some {
			batch = append(batch, write(l))
		}
		if err := t.writeBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// OrphanCheck returns up to limit notes of a part that were made before the time given, the oldest first: those after the note given, or
// from the first one on. With an error that is about single notes, which are damaged, it returns the others.
func (t *Table) OrphanChecks(ctx context.Context, part int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error) {
	query := &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression: aws.String(attrPartition + " = :part AND " + attrSort + " < :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":part":   &types.AttributeValueMemberS{Value: orphanCheckPrefix + strconv.Itoa(part)},
			":before": &types.AttributeValueMemberS{Value: before.UTC().Format(orphanCheckTime)},
		},
	}
	if after != nil {
		query.ExclusiveStartKey = orphanCheckKey(*after)
	}
	out, err := t.client.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	var notes []instance.OrphanCheck
	var damaged []error
	for _, item := range out.Items {
		l, err := decodeOrphanCheck(item)
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		notes = append(notes, l)
	}
	return notes, errors.Join(damaged...)
}

// Remove deletes the item of an instance that is marked for hard delete. Any other is left as it is.
func (t *Table) Remove(ctx context.Context, i *instance.Instance) error {
	if !i.Status.IsMarkedForHardDelete {
		return errors.New("instancetable: the instance is not marked for hard delete")
	}
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &t.name,
		Key: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: i.InstanceOwnerID},
			attrSort:      &types.AttributeValueMemberS{Value: InstanceKey(i.ID)},
		},
		// Nothing writes an instance that is marked; the condition keeps it true.
		ConditionExpression: aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrVersion + " = :read"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(i.Version, 10)},
		},
	})
	return err
}

func orphanCheckKey(l instance.OrphanCheck) map[string]types.AttributeValue {
	sort := strings.Join([]string{l.At.UTC().Format(orphanCheckTime), l.AppID, l.InstanceID, l.DataGuid, l.Revision}, "#")
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: orphanCheckPrefix + strconv.Itoa(l.Shard())},
		attrSort:      &types.AttributeValueMemberS{Value: sort},
	}
}

func decodeOrphanCheck(item map[string]types.AttributeValue) (instance.OrphanCheck, error) {
	sort, ok := item[attrSort].(*types.AttributeValueMemberS)
	owner, ok2 := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok || !ok2 {
		return instance.OrphanCheck{}, errors.New("stored note of litter: an attribute is missing")
	}
	parts := strings.Split(sort.Value, "#")
	if len(parts) != 5 {
		return instance.OrphanCheck{}, errors.New("stored note of litter: its key is damaged")
	}
	at, err := time.Parse(orphanCheckTime, parts[0])
	return instance.OrphanCheck{
		At: at, AppID: parts[1], InstanceID: parts[2], DataGuid: parts[3], Revision: parts[4], InstanceOwnerID: owner.Value,
	}, err
}
