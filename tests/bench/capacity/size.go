// Package capacity provides what DynamoDB charges for reads and writes, by its published rules: the sizes of items, what a write
// costs in a table and in each of its indexes, what a read costs. It asks no server.
package capacity

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is an item, or the projection of one into an index.
type Item = map[string]types.AttributeValue

// Size returns the size of an item in bytes: its names and its values. No item has none.
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
	panic(fmt.Sprintf("units: no rule for the size of a %T", value))
}

// numberSize is a byte for two significant digits, one more for the number, and one for a sign. Zeros at either end are
// not significant.
func numberSize(text string) int {
	digits := strings.Trim(strings.ReplaceAll(strings.TrimPrefix(text, "-"), ".", ""), "0")
	size := (len(digits)+1)/2 + 1
	if strings.HasPrefix(text, "-") {
		size++
	}
	return size
}

// perWrite and perRead are how many bytes a unit takes.
const (
	perWrite = 1 << 10
	perRead  = 4 << 10
)

// each returns how many units of so many bytes a size takes, one at least.
func each(size, bytes int) int { return max((size+bytes-1)/bytes, 1) }

// Read returns the read units of reading so many bytes at once: of one item, or of all that a Query has examined.
// Consistent reads are a unit for each 4 KB begun, others half of that.
func Read(size int, consistent bool) float64 {
	n := float64(each(size, perRead))
	if consistent {
		return n
	}
	return n / 2
}
