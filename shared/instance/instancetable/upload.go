package instancetable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

// AddUpload stores an announced upload. If another upload with the id exists and has not expired,
// AddUpload returns instance.ErrAlreadyApplied. It succeeds if the stored upload is equal: an
// earlier attempt stored the upload, and its response was lost.
func (t *Table) AddUpload(ctx context.Context, u *instance.Upload) error {
	document, err := json.Marshal(u)
	if err != nil {
		return err
	}
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: uploadPrefix + u.ID},
			attrSort:      &types.AttributeValueMemberS{Value: uploadSort},
			attrDocument:  &types.AttributeValueMemberS{Value: string(document)},
			attrExpires:   &types.AttributeValueMemberN{Value: strconv.FormatInt(u.Expires.Unix(), 10)},
		},
		ConditionExpression: aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrExpires + " < :now OR " + attrDocument + " = :same"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now":  &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Unix(), 10)},
			":same": &types.AttributeValueMemberS{Value: string(document)},
		},
	})
	var conditionFailed *types.ConditionalCheckFailedException
	if errors.As(err, &conditionFailed) {
		return instance.ErrAlreadyApplied
	}
	return err
}

// Upload returns the upload with the given id, or nil if no such upload exists or it has expired.
func (t *Table) Upload(ctx context.Context, id string) (*instance.Upload, error) {
	item, err := t.item(ctx, uploadPrefix+id, uploadSort)
	if err != nil || item == nil {
		return nil, err
	}
	document, ok := item[attrDocument].(*types.AttributeValueMemberS)
	if !ok {
		return nil, errors.New("stored upload: an attribute is missing")
	}
	u := &instance.Upload{}
	if err := json.Unmarshal([]byte(document.Value), u); err != nil {
		return nil, fmt.Errorf("stored upload: %w", err)
	}
	if u.Expires.Before(time.Now()) { // DynamoDB deletes expired items with a delay
		return nil, nil
	}
	return u, nil
}
