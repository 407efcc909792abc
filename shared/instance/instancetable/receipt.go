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

// Receipt returns the receipt with the id given and the instance as it was answered, or nil when there is none that
// is still valid.
func (t *Table) Receipt(ctx context.Context, id string) (*instance.Answered, error) {
	item, err := t.item(ctx, receiptPrefix+id, receiptSort)
	if err != nil || item == nil {
		return nil, err
	}
	i, err := decode(item)
	if err != nil {
		return nil, err
	}
	fingerprint, ok := item[attrFingerprint].(*types.AttributeValueMemberS)
	element, ok2 := item[attrElement].(*types.AttributeValueMemberS)
	number, ok3 := item[attrExpires].(*types.AttributeValueMemberN)
	if !ok || !ok2 || !ok3 {
		return nil, fmt.Errorf("stored receipt: an attribute is missing")
	}
	expires, err := strconv.ParseInt(number.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("stored receipt: %w", err)
	}
	receipt := instance.Receipt{ID: id, Fingerprint: fingerprint.Value, DataGuid: element.Value, Expires: time.Unix(expires, 0)}
	if receipt.Expires.Before(time.Now()) { // DynamoDB takes its time to delete what has expired
		return nil, nil
	}
	return &instance.Answered{Receipt: receipt, Instance: i}, nil
}

// receipt returns the write of a receipt beside the instance whose document shared holds. It fails when one that is
// still valid is there.
func (t *Table) receipt(shared map[string]types.AttributeValue, r *instance.Receipt, now time.Time) *types.Put {
	return &types.Put{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrPartition:   &types.AttributeValueMemberS{Value: receiptPrefix + r.ID},
			attrSort:        &types.AttributeValueMemberS{Value: receiptSort},
			attrDocument:    shared[attrDocument],
			attrVersion:     shared[attrVersion],
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

// writeReceipt stores the receipt of a request that found nothing to change, if it has one: asked again later, when there
// is something, it must not change that.
func (t *Table) writeReceipt(ctx context.Context, i *instance.Instance) error {
	if i.Receipt == nil {
		return nil
	}
	stored, err := itemsOf(i, i.Version)
	if err != nil {
		return err
	}
	for r := i.Receipt; r != nil; r = r.Beside {
		if _, err := t.putOne(ctx, t.receipt(stored.own, r, time.Now())); errors.Is(err, errLostRace) {
			return instance.ErrAnswered
		} else if err != nil {
			return err
		}
	}
	return nil
}

func isReceipt(item map[string]types.AttributeValue) bool {
	key, ok := item[attrPartition].(*types.AttributeValueMemberS)
	return ok && strings.HasPrefix(key.Value, receiptPrefix)
}
