package instancetable

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

// IdempotencyRecord returns the record with the given id, or nil if no such record exists or it has
// expired.
func (t *Table) IdempotencyRecord(ctx context.Context, id string) (*instance.IdempotencyRecord, error) {
	item, err := t.item(ctx, idempotencyPrefix+id, idempotencySort)
	if err != nil || item == nil {
		return nil, err
	}
	fingerprint, ok := item[attrFingerprint].(*types.AttributeValueMemberS)
	element, ok2 := item[attrElement].(*types.AttributeValueMemberS)
	number, ok3 := item[attrExpires].(*types.AttributeValueMemberN)
	owner, ok4 := item[attrOwner].(*types.AttributeValueMemberS)
	guid, ok5 := item[attrInstance].(*types.AttributeValueMemberS)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 {
		return nil, errors.New("stored idempotency record: an attribute is missing")
	}
	expires, err := strconv.ParseInt(number.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("stored idempotency record: %w", err)
	}
	record := &instance.IdempotencyRecord{
		ID: id, Fingerprint: fingerprint.Value, DataGuid: element.Value, Expires: time.Unix(expires, 0),
		InstanceOwnerID: owner.Value, InstanceID: guid.Value,
	}
	if record.Expires.Before(time.Now()) { // DynamoDB deletes expired items with a delay
		return nil, nil
	}
	return record, nil
}

// idempotencyRecord returns the write of a record of a request for i. The write fails if a record
// with the same id exists that has not expired.
func (t *Table) idempotencyRecord(i *instance.Instance, r *instance.IdempotencyRecord, now time.Time) *types.Put {
	return &types.Put{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrPartition:   &types.AttributeValueMemberS{Value: idempotencyPrefix + r.ID},
			attrSort:        &types.AttributeValueMemberS{Value: idempotencySort},
			attrOwner:       &types.AttributeValueMemberS{Value: i.InstanceOwnerID},
			attrInstance:    &types.AttributeValueMemberS{Value: i.ID},
			attrFingerprint: &types.AttributeValueMemberS{Value: r.Fingerprint},
			attrElement:     &types.AttributeValueMemberS{Value: r.DataGuid},
			attrExpires:     &types.AttributeValueMemberN{Value: strconv.FormatInt(r.Expires.Unix(), 10)},
		},
		ConditionExpression: aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrExpires + " < :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now": &types.AttributeValueMemberN{Value: strconv.FormatInt(now.Unix(), 10)},
		},
	}
}

// writeIdempotencyRecord stores the idempotency records of a request that changed nothing, so that
// a later retry cannot change the instance. It returns instance.ErrAlreadyApplied if a record
// exists.
func (t *Table) writeIdempotencyRecord(ctx context.Context, i *instance.Instance) error {
	for r := i.IdempotencyRecord; r != nil; r = r.Next {
		if _, err := t.put(ctx, t.idempotencyRecord(i, r, time.Now())); errors.Is(err, errConflict) {
			return instance.ErrAlreadyApplied
		} else if err != nil {
			return err
		}
	}
	return nil
}

// identifiesRequest reports whether item is an idempotency record, or an upload, which is the
// record of its announcement.
func identifiesRequest(item types.TransactWriteItem) bool {
	if item.Put == nil {
		return false
	}
	key, ok := item.Put.Item[attrPartition].(*types.AttributeValueMemberS)
	return ok && (strings.HasPrefix(key.Value, idempotencyPrefix) || strings.HasPrefix(key.Value, uploadPrefix))
}
