package eventtable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Place is one of the places for an organisation's held requests. A request reserves a place until
// a time, so that the place becomes free even if the process ends without Release.
type Place struct {
	number int   // from 0
	lease  int64 // when the place becomes free, in nanoseconds since 1970
}

// maxTakeAttempts is the maximum number of writes of Take. An attempt fails only if another request
// took the same place in the meantime.
const maxTakeAttempts = 10

// Take takes one of an organisation's first limit places until the given time. It returns nil if
// other requests have all of them. It costs one write unit for each attempt, and rarely needs more
// than two.
func (f *Feed) Take(ctx context.Context, org string, limit int, now, until time.Time) (*Place, error) {
	// The random part distinguishes the leases of two requests that end at the same time.
	place := &Place{number: rand.IntN(limit), lease: until.UnixNano() + rand.Int64N(int64(time.Second))}
	for range maxTakeAttempts {
		err := f.updatePlace(ctx, org, place, "SET #place = :lease", "attribute_not_exists(#place) OR #place <= :now",
			map[string]types.AttributeValue{":lease": number(place.lease), ":now": number(now.UnixNano())})
		var failed *types.ConditionalCheckFailedException
		if err == nil || !errors.As(err, &failed) {
			return place, err
		}
		item := failed.Item
		if item == nil { // the response omits the item
			if item, err = f.item(ctx, heldPartition(org), placesSort); err != nil {
				return nil, err
			}
		}
		var free []int
		for n := range limit {
			lease, _ := numberOf(item, placeName(n)) // 0 if no request has the place
			if n == place.number && lease == place.lease {
				return place, nil // the response to an earlier attempt was lost
			}
			if lease <= now.UnixNano() {
				free = append(free, n)
			}
		}
		if len(free) == 0 {
			return nil, nil
		}
		place.number = free[rand.IntN(len(free))]
	}
	return nil, nil // too many requests take places at this moment
}

// Release frees a place. It does nothing if the place's time has passed and another request has
// taken the place. It costs one write unit.
func (f *Feed) Release(ctx context.Context, org string, place *Place) error {
	err := f.updatePlace(ctx, org, place, "REMOVE #place", "#place = :lease",
		map[string]types.AttributeValue{":lease": number(place.lease)})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return err
}

func (f *Feed) updatePlace(ctx context.Context, org string, place *Place, update, condition string, values map[string]types.AttributeValue) error {
	_, err := f.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &f.table, Key: key(heldPartition(org), placesSort),
		UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames:            map[string]string{"#place": placeName(place.number)},
		ExpressionAttributeValues:           values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		return fmt.Errorf("eventtable: places of held requests: %w", err)
	}
	return nil
}

func placeName(n int) string { return "p" + strconv.Itoa(n) }
