package querycost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// Wall is how long things took, each the median of rounds that took turns.
type Wall struct {
	Page  time.Duration // of an application's step, by the endpoint
	Query time.Duration // the call of DynamoDB for the same rows, alone
	Both  time.Duration // that call, and beside it one for the application's registration, which the endpoint has to read
}

// Wall measures the page of an application's step, and the calls without which there is none.
func (b *Bench) Wall(ctx context.Context, rounds int) (Wall, error) {
	const address = "/storage/instances?appId=" + alpha + "&workflow.currentStep=FormFilling&size=100"
	page, _, err := b.get(ctx, address, authtest.Owner("nav"))
	if err != nil {
		return Wall{}, err
	}
	raw := &dynamodb.QueryInput{
		TableName: &b.instances, IndexName: aws.String("byStep"), KeyConditionExpression: aws.String("byStep = :k"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":k": &types.AttributeValueMemberS{Value: instancetable.StepKey(alpha, "FormFilling", 0)}},
		Limit:                     aws.Int32(int32(page.Rows) - 1), // the registration is one of its rows
	}
	registration := &dynamodb.GetItemInput{TableName: &b.applications, Key: map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "nav"}, "SK": &types.AttributeValueMemberS{Value: "alpha"},
	}}
	query := func() error {
		out, err := b.client.Query(ctx, raw)
		if err == nil && out.Count != *raw.Limit {
			err = fmt.Errorf("the call alone found %d rows, the page read %d", out.Count, *raw.Limit)
		}
		return err
	}
	// As template.yaml has it for the functions.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	token := authtest.Owner("nav") // the same again, as a client's
	things := []func() error{
		func() error {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			r.Header.Set("Authorization", token)
			if b.plain.ServeHTTP(w, r); w.Code != http.StatusOK {
				return fmt.Errorf("%s: %d", address, w.Code)
			}
			return nil
		},
		query,
		func() error {
			var read error
			var reading sync.WaitGroup
			reading.Go(func() {
				out, err := b.client.GetItem(ctx, registration)
				if read = err; err == nil && out.Item == nil {
					read = errors.New("the registration is not where it was looked for")
				}
			})
			err := query()
			reading.Wait()
			return errors.Join(err, read)
		},
	}
	took := make([][]time.Duration, len(things))
	for range rounds {
		for n, thing := range things {
			began := time.Now()
			if err := thing(); err != nil {
				return Wall{}, err
			}
			took[n] = append(took[n], time.Since(began))
		}
	}
	for n := range took {
		slices.Sort(took[n])
	}
	return Wall{Page: took[0][rounds/2], Query: took[1][rounds/2], Both: took[2][rounds/2]}, nil
}
