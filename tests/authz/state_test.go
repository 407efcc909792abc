package authz

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// state returns every item of every table and every object of the bucket, by name.
func (e *env) state(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range e.system.Template.Tables {
		pages := dynamodb.NewScanPaginator(e.system.Dynamo, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				content, err := json.Marshal(item) // sorts the attributes by name
				if err != nil {
					t.Fatal(err)
				}
				all[table+" "+scalar(item["PK"])+" "+scalar(item["SK"])] = string(content)
			}
		}
	}
	pages := s3.NewListObjectsV2Paginator(e.system.S3, &s3.ListObjectsV2Input{Bucket: &e.system.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			all["object "+aws.ToString(object.Key)] = aws.ToString(object.ETag)
		}
	}
	return all
}

func scalar(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// differences describes what changed between two states.
func differences(before, after map[string]string) []string {
	var all []string
	for name, content := range before {
		if now, exists := after[name]; !exists {
			all = append(all, "removed "+name)
		} else if now != content {
			all = append(all, fmt.Sprintf("changed %s from\n%s\nto\n%s", name, content, now))
		}
	}
	for name, content := range after {
		if _, existed := before[name]; !existed {
			all = append(all, "added "+name+": "+content)
		}
	}
	return all
}
