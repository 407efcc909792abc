package instancetable

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

// Notes of litter are spread over parts, so that one partition's thousand writes a second is no limit on uploads. A
// part is read in the order of time.
const (
	litterPrefix = "LITTER#"
	litterParts  = 8
	attrOwner    = "o" // the instanceOwnerId
)

const litterTime = "2006-01-02T15:04:05.000000Z"

// NoteLitter notes what may become litter, all of it or, with an error, any part: call it before bytes are stored or
// let go of. The same note again is the same note.
func (t *Table) NoteLitter(ctx context.Context, notes ...instance.Litter) error {
	for some := range slices.Chunk(notes, batchItems) {
		var writes []types.WriteRequest
		for _, l := range some {
			item := litterKey(l)
			item[attrOwner] = &types.AttributeValueMemberS{Value: l.InstanceOwnerID}
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
		}
		if err := t.writeBatch(ctx, writes); err != nil {
			return err
		}
	}
	return nil
}

// Litter returns up to limit notes of before, the oldest of each part first.
func (t *Table) Litter(ctx context.Context, before time.Time, limit int) ([]instance.Litter, error) {
	var notes []instance.Litter
	for part := range litterParts {
		if len(notes) >= limit {
			break
		}
		out, err := t.client.Query(ctx, &dynamodb.QueryInput{
			TableName: &t.name, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit - len(notes))),
			KeyConditionExpression: aws.String(attrPartition + " = :part AND " + attrSort + " < :before"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":part":   &types.AttributeValueMemberS{Value: litterPrefix + strconv.Itoa(part)},
				":before": &types.AttributeValueMemberS{Value: before.UTC().Format(litterTime)},
			},
		})
		if err != nil {
			return nil, err
		}
		for _, item := range out.Items {
			l, err := decodeLitter(item)
			if err != nil {
				return nil, err
			}
			notes = append(notes, l)
		}
	}
	return notes, nil
}

// ForgetLitter deletes a note.
func (t *Table) ForgetLitter(ctx context.Context, l instance.Litter) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: litterKey(l)})
	return err
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

func litterKey(l instance.Litter) map[string]types.AttributeValue {
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.InstanceID)) // never fails
	sort := strings.Join([]string{l.At.UTC().Format(litterTime), l.AppID, l.InstanceID, l.DataGuid, l.Revision}, "#")
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: litterPrefix + strconv.Itoa(int(h.Sum32()%litterParts))},
		attrSort:      &types.AttributeValueMemberS{Value: sort},
	}
}

func decodeLitter(item map[string]types.AttributeValue) (instance.Litter, error) {
	sort, ok := item[attrSort].(*types.AttributeValueMemberS)
	owner, ok2 := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok || !ok2 {
		return instance.Litter{}, errors.New("stored note of litter: an attribute is missing")
	}
	parts := strings.Split(sort.Value, "#")
	if len(parts) != 5 {
		return instance.Litter{}, errors.New("stored note of litter: its key is damaged")
	}
	at, err := time.Parse(litterTime, parts[0])
	return instance.Litter{
		At: at, AppID: parts[1], InstanceID: parts[2], DataGuid: parts[3], Revision: parts[4], InstanceOwnerID: owner.Value,
	}, err
}
