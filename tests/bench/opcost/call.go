package opcost

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/tests/bench/capacity"
)

// dynamoCall is the part of a request to DynamoDB that determines its cost.
type dynamoCall struct {
	table      string
	consistent bool
	writes     []ItemWrite
	keys       []capacity.Item // of the writes
	gets       int             // items that a BatchGetItem requests
}

// keyNames are the key attributes of every table.
var keyNames = []string{"PK", "SK"}

// readCall decodes a request, and returns it and a copy that requests the consumed capacity. It
// fails for a request without a rule.
func readCall(operation string, body []byte) (c dynamoCall, withCapacity []byte, err error) {
	var in struct {
		TableName            string
		ConsistentRead       bool
		FilterExpression     string
		ProjectionExpression string
		Key, Item            jsonItem
		RequestItems         map[string]json.RawMessage
		TransactItems        []map[string]struct {
			TableName string
			Key, Item jsonItem
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return c, nil, err
	}
	c.table, c.consistent = in.TableName, in.ConsistentRead
	write := func(table string, key jsonItem, transaction bool) {
		item := capacity.Item{}
		for _, name := range keyNames {
			if value, ok := key[name]; ok {
				item[name] = value.AttributeValue
			}
		}
		c.table = table
		c.keys, c.writes = append(c.keys, item), append(c.writes, ItemWrite{Table: table, Transaction: transaction})
	}
	switch {
	case in.FilterExpression != "" || in.ProjectionExpression != "":
		return c, nil, errors.New("opcost: the units of a filtered read cannot be computed from its response")
	case operation == "PutItem":
		write(in.TableName, in.Item, false)
	case operation == "UpdateItem", operation == "DeleteItem":
		write(in.TableName, in.Key, false)
	case operation == "BatchGetItem":
		for table, text := range in.RequestItems {
			var request struct {
				Keys           []jsonItem
				ConsistentRead bool
			}
			if err := json.Unmarshal(text, &request); err != nil {
				return c, nil, err
			}
			c.table, c.consistent, c.gets = table, request.ConsistentRead, c.gets+len(request.Keys)
		}
	case operation == "BatchWriteItem":
		for table, text := range in.RequestItems {
			var requests []struct {
				PutRequest    *struct{ Item jsonItem }
				DeleteRequest *struct{ Key jsonItem }
			}
			if err := json.Unmarshal(text, &requests); err != nil {
				return c, nil, err
			}
			for _, request := range requests {
				if request.PutRequest != nil {
					write(table, request.PutRequest.Item, false)
				} else {
					write(table, request.DeleteRequest.Key, false)
				}
			}
		}
	case operation == "TransactWriteItems":
		for _, part := range in.TransactItems {
			for _, request := range part {
				write(request.TableName, coalesce(request.Item, request.Key), true)
			}
		}
		c.table = "(" + fmt.Sprint(len(in.TransactItems)) + " items)"
	case operation == "GetItem", operation == "Query", operation == "Scan":
	default:
		return c, nil, fmt.Errorf("opcost: no rule for %s", operation)
	}
	var raw map[string]any
	if err := json.Unmarshal(body, &raw); err != nil {
		return c, nil, err
	}
	raw["ReturnConsumedCapacity"] = "INDEXES"
	withCapacity, err = json.Marshal(raw)
	return c, withCapacity, err
}

func coalesce(item, key jsonItem) jsonItem {
	if item != nil {
		return item
	}
	return key
}

// reads returns the read units of a call, computed from its response, and the part for the items
// of a batch that do not exist.
func (c *dynamoCall) reads(response []byte) (units, absent float64, err error) {
	if len(c.writes) > 0 {
		return 0, 0, nil
	}
	var out struct {
		Item      jsonItem
		Items     []jsonItem
		Responses map[string][]jsonItem
	}
	if err := json.Unmarshal(response, &out); err != nil {
		return 0, 0, err
	}
	if c.gets > 0 { // each size is rounded up
		found := out.Responses[c.table]
		absent = float64(c.gets-len(found)) * capacity.Read(0, c.consistent)
		units = absent
		for _, item := range found {
			units += capacity.Read(capacity.Size(item.item()), c.consistent)
		}
		return units, absent, nil
	}
	size := capacity.Size(out.Item.item())
	for _, item := range out.Items {
		size += capacity.Size(item.item())
	}
	return capacity.Read(size, c.consistent), 0, nil
}

// jsonItem is an item in the JSON of DynamoDB's protocol.
type jsonItem map[string]jsonValue

func (j jsonItem) item() capacity.Item {
	item := capacity.Item{}
	for name, value := range j {
		item[name] = value.AttributeValue
	}
	return item
}

type jsonValue struct{ types.AttributeValue }

// UnmarshalJSON decodes {"S": "text"} and the other types that the project stores.
func (v *jsonValue) UnmarshalJSON(text []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	var s string
	for kind, value := range raw {
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("opcost: an attribute of type %s: %w", kind, err)
		}
		switch kind {
		case "S":
			v.AttributeValue = &types.AttributeValueMemberS{Value: s}
		case "N":
			v.AttributeValue = &types.AttributeValueMemberN{Value: s}
		case "B":
			content, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return err
			}
			v.AttributeValue = &types.AttributeValueMemberB{Value: content}
		default:
			return fmt.Errorf("opcost: no attribute of the project has type %s", kind)
		}
	}
	return nil
}

func sortedKeys(a, b map[string]float64) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
