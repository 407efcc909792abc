package eventtable

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attributes and keys; the access patterns are in the package comment.
const (
	attrPartition  = "PK"
	attrSort       = "SK"
	attrEvents     = "e"
	attrCount      = "n"
	attrRecordedAt = "at"
	attrWriteID    = "w"
	attrCounts     = "c"
	attrSeq        = "seq"
	attrSlot       = "slot"
	attrAppID      = "appId"
	attrOwner      = "o"

	placesSort = "PLACES"
)

func feedPartition(appID string) string { return "FEED#" + appID }

func dayPartition(appID string) string { return "DAY#" + appID }

func heldPartition(org string) string { return "HELD#" + org }

func instancePartition(guid string) string { return "INSTANCE#" + guid }

// padded20 formats a position or event number with 20 digits, so that text order is numeric order.
func padded20[N int | int64](n N) string { return fmt.Sprintf("%020d", n) }

func key(partition, sort string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: text(partition),
		attrSort:      text(sort),
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func textOf(item map[string]types.AttributeValue, name string) string {
	if s, ok := item[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func numberOf(item map[string]types.AttributeValue, name string) (int64, error) {
	n, ok := item[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("eventtable: attribute %s is not a number", name)
	}
	return strconv.ParseInt(n.Value, 10, 64)
}
