package instancetable

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

const (
	scanPrefix  = "SCAN#"
	scanSort    = "SCAN"
	attrScan    = "s"  // the status of a scan result
	attrScanned = "at" // when the scanner published it
)

// PutScanResult stores the scan result of a revision, unless the stored one is at least as severe.
// It returns the result that is stored then. The store keeps a result for
// instance.ScanResultLifetime.
func (t *Table) PutScanResult(ctx context.Context, revision string, result instance.ScanResult) (stored instance.ScanResult, err error) {
	severity := &types.AttributeValueMemberN{Value: strconv.Itoa(instance.ScanSeverity(result.Status))}
	item := scanKey(revision)
	item[attrScan] = &types.AttributeValueMemberS{Value: result.Status}
	item[attrCount] = severity
	item[attrScanned] = &types.AttributeValueMemberS{Value: rfc3339.Format(result.At)}
	item[attrExpires] = unixTime(result.At.Add(instance.ScanResultLifetime))
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: item,
		ConditionExpression:                 aws.String("attribute_not_exists(" + attrPartition + ") OR " + attrCount + " < :severity"),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":severity": severity},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		_, stored, err = decodeScanResult(failed.Item)
		return stored, err
	}
	return result, err
}

// ScanResults returns the stored scan results of the revisions that have one. The reads are
// strongly consistent: of a writer that commits content and then reads its result, and a recorder
// that stores the result and then reads the document, at least one sees the other's write.
func (t *Table) ScanResults(ctx context.Context, revisions ...string) (map[string]instance.ScanResult, error) {
	results := map[string]instance.ScanResult{}
	keys := make([]map[string]types.AttributeValue, len(revisions))
	for n, revision := range revisions {
		keys[n] = scanKey(revision)
	}
	err := t.batchGet(ctx, keys, true, func(item map[string]types.AttributeValue) error {
		revision, result, err := decodeScanResult(item)
		results[revision] = result
		return err
	})
	return results, err
}

func scanKey(revision string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: scanPrefix + revision},
		attrSort:      &types.AttributeValueMemberS{Value: scanSort},
	}
}

func decodeScanResult(item map[string]types.AttributeValue) (revision string, result instance.ScanResult, err error) {
	partition, ok := item[attrPartition].(*types.AttributeValueMemberS)
	status, ok2 := item[attrScan].(*types.AttributeValueMemberS)
	scanned, ok3 := item[attrScanned].(*types.AttributeValueMemberS)
	if !ok || !ok2 || !ok3 {
		return "", instance.ScanResult{}, errors.New("stored scan result: an attribute is missing")
	}
	at, ok := rfc3339.Parse(scanned.Value)
	if !ok {
		return "", instance.ScanResult{}, errors.New("stored scan result: the time is invalid")
	}
	return strings.TrimPrefix(partition.Value, scanPrefix), instance.ScanResult{Status: status.Value, At: at}, nil
}
