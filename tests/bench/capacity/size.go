// Package capacity computes the units that DynamoDB charges, by its published rules: for a read,
// and for a write to a table and each of its indexes. It calls no server.
package capacity

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is an item, or its projection into an index.
type Item = map[string]types.AttributeValue

// Size returns the size of an item in bytes: its attribute names and values. The size of a nil
// item is 0.
func Size(item Item) int {
	size := 0
	for name, value := range item {
		size += len(name) + valueSize(value)
	}
	return size
}

func valueSize(value types.AttributeValue) int {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberSize(v.Value)
	case *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		return 1
	case *types.AttributeValueMemberSS:
		return len(strings.Join(v.Value, ""))
	case *types.AttributeValueMemberL:
		size := 3
		for _, each := range v.Value {
			size += 1 + valueSize(each)
		}
		return size
	case *types.AttributeValueMemberM:
		size := 3
		for name, each := range v.Value {
			size += 1 + len(name) + valueSize(each)
		}
		return size
	}
	panic(fmt.Sprintf("capacity: no rule for the size of a %T", value))
}

// numberSize returns one byte for two significant digits, one for the number, and one for a minus
// sign. Zeros at either end are not significant.
func numberSize(text string) int {
	digits := strings.Trim(strings.ReplaceAll(strings.TrimPrefix(text, "-"), ".", ""), "0")
	size := (len(digits)+1)/2 + 1
	if strings.HasPrefix(text, "-") {
		size++
	}
	return size
}

// perWrite and perRead are the bytes per unit.
const (
	perWrite = 1 << 10
	perRead  = 4 << 10
)

// each returns the number of units for size bytes, at least one.
func each(size, bytes int) int { return max((size+bytes-1)/bytes, 1) }

// Read returns the read units of one operation that reads size bytes: one item, or everything
// that a Query examines. A consistent read costs a unit for each 4 KB begun, an eventually
// consistent one half of that.
func Read(size int, consistent bool) float64 {
	n := float64(each(size, perRead))
	if consistent {
		return n
	}
	return n / 2
}
