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

// The key of a note is its whole content except the instance owner, so storing a note again changes
// nothing.
const (
	agendaPrefix      = "AGENDA#"
	backfillPartition = agendaPrefix + "BACKFILL" // the sort key is the appId
	attrBackfillAt    = "at"
	attrBackfillStep  = "step"
	attrBackfillShard = "shard"
	attrBackfillAfter = "after"
)

// ScheduleAgenda stores notes. Call it before the change that makes them necessary. After an error
// some of the notes may be stored.
func (t *Table) ScheduleAgenda(ctx context.Context, notes ...instance.AgendaNote) error {
	return writeAll(ctx, t, notes, func(n instance.AgendaNote) types.WriteRequest {
		return types.WriteRequest{PutRequest: &types.PutRequest{Item: with(agendaKey(n), attrOwner, n.InstanceOwnerID)}}
	})
}

// DeleteAgendaNotes deletes notes. After an error some of them may be deleted.
func (t *Table) DeleteAgendaNotes(ctx context.Context, notes ...instance.AgendaNote) error {
	return writeAll(ctx, t, notes, func(n instance.AgendaNote) types.WriteRequest {
		return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: agendaKey(n)}}
	})
}

// AgendaNotes returns up to limit notes of a shard with a time not after now, oldest first. after,
// if not nil, is the last note of the previous page. If some notes are unreadable, AgendaNotes
// returns the others and an error.
func (t *Table) AgendaNotes(ctx context.Context, shard int, after *instance.AgendaNote, now time.Time, limit int) ([]instance.AgendaNote, error) {
	var start map[string]types.AttributeValue
	if after != nil {
		start = agendaKey(*after)
	}
	end := rfc3339.Format(now) + "#~" // after all notes of now
	return readDue(ctx, t, agendaPrefix, shard, start, end, limit, decodeAgendaNote)
}

func agendaKey(n instance.AgendaNote) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: agendaPrefix + strconv.Itoa(n.Shard())},
		attrSort:      &types.AttributeValueMemberS{Value: rfc3339.Format(n.At) + "#" + n.InstanceID},
	}
}

func decodeAgendaNote(item map[string]types.AttributeValue) (instance.AgendaNote, error) {
	sort, ok := item[attrSort].(*types.AttributeValueMemberS)
	owner, ok2 := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok || !ok2 {
		return instance.AgendaNote{}, errors.New("stored agenda note: an attribute is missing")
	}
	text, id, ok := strings.Cut(sort.Value, "#")
	at, valid := rfc3339.Parse(text)
	if !ok || !valid {
		return instance.AgendaNote{}, errors.New("stored agenda note: invalid key")
	}
	return instance.AgendaNote{InstanceOwnerID: owner.Value, InstanceID: id, At: at}, nil
}

// PutBackfill stores a backfill that begins with the first instance of the application, and
// replaces an earlier one.
func (t *Table) PutBackfill(ctx context.Context, appID string, now time.Time) error {
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: backfillItem(instance.Backfill{AppID: appID, At: instance.TruncateTime(now)})})
	return err
}

// Backfills returns the stored backfills.
func (t *Table) Backfills(ctx context.Context) ([]instance.Backfill, error) {
	var backfills []instance.Backfill
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String(attrPartition + " = :partition"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":partition": &types.AttributeValueMemberS{Value: backfillPartition}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			b, err := decodeBackfill(item)
			if err != nil {
				return nil, err
			}
			backfills = append(backfills, b)
		}
	}
	return backfills, nil
}

// AdvanceBackfill replaces the position of a backfill, unless a newer registration has replaced the
// backfill.
func (t *Table) AdvanceBackfill(ctx context.Context, b instance.Backfill) error {
	item := backfillItem(b)
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: item, ConditionExpression: aws.String("#at = :at"),
		ExpressionAttributeNames:  map[string]string{"#at": attrBackfillAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{":at": item[attrBackfillAt]},
	})
	return unlessReplaced(err)
}

// DeleteBackfill deletes a backfill, unless a newer registration has replaced it.
func (t *Table) DeleteBackfill(ctx context.Context, b instance.Backfill) error {
	item := backfillItem(b)
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &t.name, Key: map[string]types.AttributeValue{attrPartition: item[attrPartition], attrSort: item[attrSort]},
		ConditionExpression:       aws.String("#at = :at"),
		ExpressionAttributeNames:  map[string]string{"#at": attrBackfillAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{":at": item[attrBackfillAt]},
	})
	return unlessReplaced(err)
}

// unlessReplaced returns nil instead of the error of a failed condition.
func unlessReplaced(err error) error {
	var replaced *types.ConditionalCheckFailedException
	if errors.As(err, &replaced) {
		return nil
	}
	return err
}

func backfillItem(b instance.Backfill) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition:     &types.AttributeValueMemberS{Value: backfillPartition},
		attrSort:          &types.AttributeValueMemberS{Value: b.AppID},
		attrBackfillAt:    &types.AttributeValueMemberS{Value: rfc3339.Format(b.At)},
		attrBackfillStep:  &types.AttributeValueMemberN{Value: strconv.Itoa(b.Step)},
		attrBackfillShard: &types.AttributeValueMemberN{Value: strconv.Itoa(b.Shard)},
		attrBackfillAfter: &types.AttributeValueMemberS{Value: b.After},
	}
}

func decodeBackfill(item map[string]types.AttributeValue) (instance.Backfill, error) {
	text := func(name string) string {
		switch v := item[name].(type) {
		case *types.AttributeValueMemberS:
			return v.Value
		case *types.AttributeValueMemberN:
			return v.Value
		}
		return ""
	}
	at, ok := rfc3339.Parse(text(attrBackfillAt))
	step, stepErr := strconv.Atoi(text(attrBackfillStep))
	shard, shardErr := strconv.Atoi(text(attrBackfillShard))
	if !ok || stepErr != nil || shardErr != nil {
		return instance.Backfill{}, errors.New("stored backfill: an attribute is missing or invalid")
	}
	return instance.Backfill{AppID: text(attrSort), At: at, Step: step, Shard: shard, After: text(attrBackfillAfter)}, nil
}
