package querycost

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// gather is the delay of every metered call: long enough that all parallel calls begin before the
// first of them ends. A call that begins after another has ended is sequential.
const gather = 25 * time.Millisecond

// Meter adds up the cost of DynamoDB reads, as DynamoDB reports it.
type Meter struct {
	mu    sync.Mutex
	calls []call
}

type call struct {
	began, ended time.Time
	units        float64
	rows         int32
}

// Cost is the cost of the calls of one request.
type Cost struct {
	Units  float64 // read units
	Calls  int
	Rounds int // longest chain of sequential calls
	Rows   int // returned by the calls
	Empty  int // calls that returned no row, for which DynamoDB Local reports no units
}

// AWSUnits returns the read units on AWS, where a call that returns no row costs half a unit.
func (c Cost) AWSUnits() float64 { return c.Units + float64(c.Empty)/2 }

// Attach makes a client request the consumed capacity of its reads and counts it. Pass it in the
// client's options.
func (m *Meter) Attach(o *dynamodb.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Meter", m.measure), middleware.Before)
	})
}

func (m *Meter) measure(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, meta middleware.Metadata, err error) {
	switch input := in.Parameters.(type) {
	case *dynamodb.QueryInput:
		input.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *dynamodb.GetItemInput:
		input.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	default:
		return next.HandleInitialize(ctx, in)
	}
	c := call{began: time.Now()}
	time.Sleep(gather)
	out, meta, err = next.HandleInitialize(ctx, in)
	if err != nil {
		return out, meta, err
	}
	var consumed *types.ConsumedCapacity
	switch output := out.Result.(type) {
	case *dynamodb.QueryOutput:
		consumed, c.rows = output.ConsumedCapacity, output.Count
	case *dynamodb.GetItemOutput:
		consumed, c.rows = output.ConsumedCapacity, 1
	}
	if consumed == nil || consumed.CapacityUnits == nil {
		return out, meta, fmt.Errorf("querycost: the response has no consumed capacity")
	}
	c.units = *consumed.CapacityUnits
	c.ended = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
	return out, meta, nil
}

// Take returns the cost since the previous Take.
func (m *Meter) Take() Cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cost Cost
	depth := make([]int, len(m.calls)) // calls are in the order of their ends
	for n, c := range m.calls {
		cost.Calls++
		cost.Units += c.units
		cost.Rows += int(c.rows)
		if c.rows == 0 {
			cost.Empty++
		}
		depth[n] = 1
		for before := range n {
			if m.calls[before].ended.Before(c.began) {
				depth[n] = max(depth[n], depth[before]+1)
			}
		}
		cost.Rounds = max(cost.Rounds, depth[n])
	}
	m.calls = nil
	return cost
}
