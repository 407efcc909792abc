package instancetable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/instance"
)

// attrOpen has the open uploads of an instance, as a set of members (see openUpload).
const attrOpen = "u"

// AddUpload stores an announced upload and its place among the open uploads of the instance, in one
// transaction. It returns instance.ErrAlreadyApplied if another upload with
// the id exists and has not expired. It returns the fault of Upload.CountError if the instance
// has instance.MaxOpenUploads open uploads. It succeeds if the stored upload is equal: an earlier
// attempt stored the upload, and its response was lost.
//
// An open upload loses its place when a commit stores its idempotency record, or when it has
// expired. AddUpload removes expired uploads only if it finds no free place. It returns fault.Busy
// after busy.MaxRaces conflicts with other transactions.
func (t *Table) AddUpload(ctx context.Context, u *instance.Upload) error {
	put, err := t.uploadPut(u)
	if err != nil {
		return err
	}
	ctx = busy.WithBudget(ctx)
	for {
		full, err := t.transact(ctx, []types.TransactWriteItem{
			{Update: t.openUpload(u)},
			{Put: put},
		})
		switch {
		case !errors.Is(err, errConflict):
			return err
		case full != nil:
			err = t.removeExpiredUploads(ctx, u, full)
		default:
			err = busy.Race(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (t *Table) uploadPut(u *instance.Upload) (*types.Put, error) {
	document, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	return &types.Put{
		TableName: &t.name,
		Item: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: uploadPrefix + u.ID},
			attrSort:      &types.AttributeValueMemberS{Value: uploadSort},
			attrDocument:  &types.AttributeValueMemberS{Value: string(document)},
			attrExpires:   unixTime(u.Expires.Time),
		},
		ConditionExpression: aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrExpires + " < :now OR " + attrDocument + " = :same"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now":  unixTime(time.Now()),
			":same": &types.AttributeValueMemberS{Value: string(document)},
		},
	}, nil
}

// openUpload returns the update that gives the upload a place. It fails if no place is free.
func (t *Table) openUpload(u *instance.Upload) *types.Update {
	return &types.Update{
		TableName: &t.name, Key: openUploadsKey(u.InstanceID),
		UpdateExpression:    aws.String("SET " + attrExpires + " = :expires ADD " + attrOpen + " :members"),
		ConditionExpression: aws.String("attribute_not_exists(" + attrOpen + ") OR size(" + attrOpen + ") < :max OR contains(" + attrOpen + ", :member)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":expires": unixTime(u.Expires.Time),
			":members": &types.AttributeValueMemberSS{Value: []string{openUploadMember(u)}},
			":member":  &types.AttributeValueMemberS{Value: openUploadMember(u)},
			":max":     &types.AttributeValueMemberN{Value: strconv.Itoa(instance.MaxOpenUploads)},
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// closeUploads returns the update that frees the places of committed uploads of one instance. It
// changes nothing for an upload that has none. If DynamoDB has deleted the item already, the update
// stores one that expires.
func (t *Table) closeUploads(committed []*instance.Upload) *types.Update {
	members := make([]string, len(committed))
	for n, u := range committed {
		members[n] = openUploadMember(u)
	}
	return &types.Update{
		TableName: &t.name, Key: openUploadsKey(committed[0].InstanceID),
		UpdateExpression: aws.String("SET " + attrExpires + " = if_not_exists(" + attrExpires + ", :expires) DELETE " + attrOpen + " :members"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":expires": unixTime(committed[0].Expires.Time),
			":members": &types.AttributeValueMemberSS{Value: members},
		},
	}
}

// removeExpiredUploads removes the expired uploads from item, the open uploads of u's instance. It
// returns the fault of Upload.CountError if none has expired.
func (t *Table) removeExpiredUploads(ctx context.Context, u *instance.Upload, item map[string]types.AttributeValue) error {
	open, ok := item[attrOpen].(*types.AttributeValueMemberSS)
	if !ok {
		return errors.New("stored open uploads: an attribute is missing")
	}
	now := time.Now()
	var expired []string
	var first time.Time
	for _, member := range open.Value {
		seconds, _, _ := strings.Cut(member, "#")
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return fmt.Errorf("stored open uploads: %w", err)
		}
		switch at := time.Unix(n, 0); {
		case at.Before(now):
			expired = append(expired, member)
		case first.IsZero() || at.Before(first):
			first = at
		}
	}
	if len(expired) == 0 {
		return u.CountError(first)
	}
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: openUploadsKey(u.InstanceID),
		UpdateExpression: aws.String("SET " + attrExpires + " = :expires DELETE " + attrOpen + " :members"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":expires": unixTime(u.Expires.Time),
			":members": &types.AttributeValueMemberSS{Value: expired},
		},
	})
	return err
}

func openUploadsKey(instanceID string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: openUploadsPrefix + instanceID},
		attrSort:      &types.AttributeValueMemberS{Value: openUploadsSort},
	}
}

// openUploadMember returns the member of an open upload: the time when it expires, and its
// revision, which no other upload has. Twenty members take one write unit.
func openUploadMember(u *instance.Upload) string {
	return strconv.FormatInt(u.Expires.Unix(), 10) + "#" + u.Content.Revision
}

func unixTime(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(t.Unix(), 10)}
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
