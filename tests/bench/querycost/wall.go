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

// Wall holds durations, each the median of alternated rounds.
type Wall struct {
	Page  time.Duration // a page of an application's step, from the endpoint
	Query time.Duration // the DynamoDB call for the same rows alone
	Both  time.Duration // that call, in parallel with the read of the application's registration that the endpoint needs
}

// Wall measures the page of an application's step, and the DynamoDB calls that it needs.
func (b *Bench) Wall(ctx context.Context, rounds int) (Wall, error) {
	const address = "/storage/instances?appId=" + alpha + "&workflow.currentStep=FormFilling&size=100"
	page, _, err := b.get(ctx, address, authtest.Owner("nav"))
	if err != nil {
		return Wall{}, err
	}
	raw := &dynamodb.QueryInput{
		TableName: &b.instances, IndexName: aws.String("byStep"), KeyConditionExpression: aws.String("byStep = :k"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":k": &types.AttributeValueMemberS{Value: instancetable.StepKey(alpha, "FormFilling", 0)}},
		Limit:                     aws.Int32(int32(page.Rows) - 1), // one of the rows is the registration
	}
	registration := &dynamodb.GetItemInput{TableName: &b.applications, Key: map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "nav"}, "SK": &types.AttributeValueMemberS{Value: "alpha"},
	}}
	query := func() error {
		out, err := b.client.Query(ctx, raw)
		if err == nil && out.Count != *raw.Limit {
			err = fmt.Errorf("the Query alone found %d rows, the page read %d", out.Count, *raw.Limit)
		}
		return err
	}
	// The functions run with this setting of template.yaml.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	token := authtest.Owner("nav") // the same token in every request, as a client sends it
	operations := []func() error{
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
			var readErr error
			var wg sync.WaitGroup
			wg.Go(func() {
				out, err := b.client.GetItem(ctx, registration)
				if readErr = err; err == nil && out.Item == nil {
					readErr = errors.New("the registration was not found")
				}
			})
			err := query()
			wg.Wait()
			return errors.Join(err, readErr)
		},
	}
	took := make([][]time.Duration, len(operations))
	for range rounds {
		for n, operation := range operations {
			began := time.Now()
			if err := operation(); err != nil {
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
