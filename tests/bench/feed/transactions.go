package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// transactions is the baseline: it appends the events of each application in transactions, one
// application after the other. A transaction increments the end of the feed, puts each event and
// its position, and deletes it from the outbox.
type transactions struct{ client *dynamodb.Client }

// Append appends the events, which must be new.
func (t *transactions) Append(ctx context.Context, docs []event.Encoded) []event.Result {
	feeds := map[string][]event.Encoded{}
	for _, doc := range docs {
		feeds[doc.Event.AppID] = append(feeds[doc.Event.AppID], doc)
	}
	result := event.Result{Outcome: event.Recorded}
	for appID, batch := range feeds {
		for part := range slices.Chunk(batch, maxPerTransaction) {
			if err := t.append(ctx, appID, part); err != nil {
				result = event.Result{Err: err}
			}
		}
	}
	return slices.Repeat([]event.Result{result}, len(docs))
}

func (t *transactions) append(ctx context.Context, appID string, docs []event.Encoded) error {
	end := keyOf("FEED#"+appID, "END")
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("Events"), Key: end, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err
	}
	seq, backoff := seqOf(out.Item), firstBackoff
	for {
		_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items(end, appID, seq, docs)})
		cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
		if err == nil || !ok {
			return err
		}
		if item := cancelled.CancellationReasons[0].Item; item != nil {
			seq = seqOf(item)
		}
		time.Sleep(time.Duration(rand.Float64() * backoff * float64(time.Millisecond)))
		backoff = min(2*backoff, longestBackoff)
	}
}

// items returns the items of the transaction that appends docs after the position seq.
func items(end map[string]types.AttributeValue, appID string, seq int64, docs []event.Encoded) []types.TransactWriteItem {
	raise := &types.Update{
		TableName: aws.String("Events"), Key: end, UpdateExpression: aws.String("SET seq = :new"),
		ConditionExpression: aws.String("seq = :old OR attribute_not_exists(PK)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":old": numberOf(seq), ":new": numberOf(seq + int64(len(docs))),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	all := []types.TransactWriteItem{{Update: raise}}
	put := func(item map[string]types.AttributeValue) {
		all = append(all, types.TransactWriteItem{Put: &types.Put{
			TableName: aws.String("Events"), Item: item, ConditionExpression: aws.String("attribute_not_exists(PK)"),
		}})
	}
	for n, doc := range docs {
		entry := keyOf("FEED#"+appID, fmt.Sprintf("%020d", seq+int64(n)+1))
		entry["d"] = &types.AttributeValueMemberS{Value: string(doc.JSON)}
		put(entry)
		position := keyOf("INSTANCE#"+doc.InstanceGuid, fmt.Sprintf("%020d", doc.Number))
		position["seq"] = numberOf(seq + int64(n) + 1)
		put(position)
		all = append(all, types.TransactWriteItem{Delete: &types.Delete{
			TableName: aws.String("Outbox"), Key: outboxtable.Key(doc.InstanceGuid, doc.Number),
		}})
	}
	return all
}

func keyOf(partition, sort string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: partition}, "SK": &types.AttributeValueMemberS{Value: sort},
	}
}

func numberOf(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func seqOf(item map[string]types.AttributeValue) int64 {
	n, _ := item["seq"].(*types.AttributeValueMemberN)
	if n == nil {
		return 0
	}
	seq, _ := strconv.ParseInt(n.Value, 10, 64)
	return seq
}
