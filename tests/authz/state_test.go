package authz

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// state returns all that is stored: every item of every table and every object of the bucket, by a name.
func (w *env) state(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range w.system.Template.Tables {
		pages := dynamodb.NewScanPaginator(w.system.Dynamo, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				content, err := json.Marshal(item) // attributes in the order of their names
				if err != nil {
					t.Fatal(err)
				}
				all[table+" "+scalar(item["PK"])+" "+scalar(item["SK"])] = string(content)
			}
		}
	}
	pages := s3.NewListObjectsV2Paginator(w.system.S3, &s3.ListObjectsV2Input{Bucket: &w.system.Bucket})
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

// differences returns what has become of a state.
func differences(before, after map[string]string) []string {
	var all []string
	for name, content := range before {
		if now, there := after[name]; !there {
			all = append(all, "removed "+name)
		} else if now != content {
			all = append(all, fmt.Sprintf("changed %s from\n%s\nto\n%s", name, content, now))
		}
	}
	for name, content := range after {
		if _, there := before[name]; !there {
			all = append(all, "added "+name+": "+content)
		}
	}
	return all
}

// meter counts the calls that the functions make to DynamoDB.
type meter struct{ calls atomic.Int64 }

// between is an Options.Between.
func (m *meter) between(service, endpoint string) string {
	if service != "dynamodb" {
		return endpoint
	}
	to, err := url.Parse(endpoint)
	if err != nil {
		panic(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.calls.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	return server.URL
}
