// Package opcost measures the consumption of every operation of the API: read and write units,
// calls, and sequential calls. It runs the real binaries with a recorder between them and DynamoDB
// and S3. It computes the units of the calls and their changes by DynamoDB's published rules
// (package capacity). It compares them with the report of DynamoDB Local.
package opcost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/bench/capacity"
)

// gather is the delay of every call: long enough that all parallel calls arrive before the first
// of them ends. A call that arrives after another has ended is sequential.
const gather = 40 * time.Millisecond

// Call is a call of a function to DynamoDB or S3, and its cost.
type Call struct {
	Name   string // "PutItem Instances", "PUT object"
	Reads  float64
	Absent float64 // the part of Reads for items that do not exist
	Writes []ItemWrite

	began, ended time.Time
}

// ItemWrite is a write of one item, as a call or as a part of one.
type ItemWrite struct {
	Table         string
	Before, After capacity.Item
	Transaction   bool
	Rejected      bool
}

// Recorder records the calls between the functions and the servers. One request at a time is served
// through it, so the difference of a table before and after a call is the effect of the call.
type Recorder struct {
	tables map[string]capacity.Table
	direct *dynamodb.Client // not through the recorder; set before the first call

	// hurries is set while the order of calls does not matter. Calls are then not delayed.
	hurries atomic.Bool

	mu     sync.Mutex
	calls  []Call
	broken []error // contradictions of the rules

	proxies []*awsproxy.Proxy
}

// Between implements runtime.Options.Between: it starts a recording proxy in front of a server.
func (r *Recorder) Between(service, endpoint string) string {
	proxy, err := awsproxy.Start(endpoint, func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		response, err := r.handle(service, c, send)
		if err != nil {
			r.addError(err)
		}
		return response, err
	})
	if err != nil {
		panic(err) // no port of this machine is free
	}
	r.proxies = append(r.proxies, proxy)
	return proxy.URL
}

// Take returns the calls since the previous Take, in the order of their ends. It fails if
// DynamoDB's report contradicts the rules.
func (r *Recorder) Take() ([]Call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	if len(r.broken) > 0 {
		return nil, r.broken[0]
	}
	return calls, nil
}

func (r *Recorder) addError(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, err)
}

// handle sends a call and records it.
func (r *Recorder) handle(service string, c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
	if c.WarmUp { // made once, at a cold start
		return send(c.Body)
	}
	began := time.Now()
	if !r.hurries.Load() {
		time.Sleep(gather)
	}
	if service == "s3" {
		response, err := send(c.Body)
		r.add(Call{Name: c.Request.Method + " object", began: began})
		return response, err
	}
	return r.metered(c, began, send)
}

// metered sends a call to DynamoDB and records its cost.
func (r *Recorder) metered(made *awsproxy.Call, began time.Time, send awsproxy.Send) (*awsproxy.Response, error) {
	c, withCapacity, err := readCall(made.Operation, made.Body)
	if err != nil {
		return nil, err
	}
	ctx := made.Request.Context()
	for n := range c.writes {
		if c.writes[n].Before, err = r.item(ctx, c.writes[n].Table, c.keys[n]); err != nil {
			return nil, err
		}
	}
	response, err := send(withCapacity)
	if err != nil {
		return nil, err
	}
	for n := range c.writes {
		if c.writes[n].After, err = r.item(ctx, c.writes[n].Table, c.keys[n]); err != nil {
			return nil, err
		}
		c.writes[n].Rejected = response.Status != http.StatusOK
	}
	call := Call{Name: made.Operation + " " + c.table, Writes: c.writes, began: began}
	if response.Status == http.StatusOK {
		if call.Reads, call.Absent, err = c.reads(response.Body); err != nil {
			return nil, err
		}
		if err := r.check(call, response.Body); err != nil {
			return nil, err
		}
	}
	r.add(call)
	return response, nil
}

func (r *Recorder) add(c Call) {
	c.ended = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

func (r *Recorder) item(ctx context.Context, table string, key capacity.Item) (capacity.Item, error) {
	consistent := true
	out, err := r.direct.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: &consistent})
	if err != nil {
		return nil, fmt.Errorf("opcost: %s: %w", table, err)
	}
	return out.Item, nil
}

// check compares the units that DynamoDB Local reports with the rules. Its report is correct for
// reads and for writes outside transactions. For a transaction it doubles the cost of the
// indexes, which DynamoDB's documentation does not state, and omits items of a table that has
// more than one. It reports nothing for a query without results and for absent items of a batch,
// for which DynamoDB charges the minimum. It reports two units for the deletion of an absent item,
// which a second delivery of an event makes, so check ignores such calls.
func (r *Recorder) check(call Call, content []byte) error {
	var reported struct{ ConsumedCapacity json.RawMessage }
	if err := json.Unmarshal(content, &reported); err != nil {
		return err
	}
	type consumed struct {
		TableName              string
		CapacityUnits          float64
		Table                  struct{ CapacityUnits float64 }
		GlobalSecondaryIndexes map[string]struct{ CapacityUnits float64 }
	}
	var all []consumed
	if len(reported.ConsumedCapacity) > 0 && reported.ConsumedCapacity[0] == '{' {
		all = make([]consumed, 1)
		if err := json.Unmarshal(reported.ConsumedCapacity, &all[0]); err != nil {
			return err
		}
	} else if err := json.Unmarshal(reported.ConsumedCapacity, &all); err != nil {
		return fmt.Errorf("opcost: %s: the response has no consumed capacity: %w", call.Name, err)
	}
	want, got, items := map[string]float64{}, map[string]float64{}, map[string]int{}
	if call.Reads > 0 && !bytes.Contains(content, []byte(`"Items":[]`)) {
		want["total"] = call.Reads - call.Absent
	}
	for _, w := range call.Writes {
		if w.Before == nil && w.After == nil {
			return nil
		}
		cost := r.cost(w)
		if w.Transaction {
			items[w.Table]++
		}
		want[w.Table] += float64(cost.Base)
		for index, n := range cost.Indexes {
			if w.Transaction {
				n *= 2
			}
			want[w.Table+" "+index] += float64(n)
		}
	}
	for _, c := range all {
		if len(call.Writes) == 0 {
			got["total"] += c.CapacityUnits
			continue
		}
		got[c.TableName] += c.Table.CapacityUnits
		for index, n := range c.GlobalSecondaryIndexes {
			if n.CapacityUnits > 0 {
				got[c.TableName+" "+index] += n.CapacityUnits
			}
		}
	}
	for _, name := range sortedKeys(want, got) {
		if table, _, _ := strings.Cut(name, " "); want[name] != got[name] && items[table] <= 1 {
			return fmt.Errorf("opcost: %s: by the rules it consumes %v of %s, DynamoDB Local reports %v; %s", call.Name, want[name], name, got[name], reported.ConsumedCapacity)
		}
	}
	return nil
}

// cost returns the write units of a write.
func (r *Recorder) cost(w ItemWrite) capacity.Write {
	if w.Rejected {
		return r.tables[w.Table].Rejected(w.Before, w.Transaction)
	}
	return r.tables[w.Table].Write(w.Before, w.After, w.Transaction)
}
