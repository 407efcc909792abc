package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

// long is after every note is due, those of uploads included, which may be committed for a day.
const long = 48 * time.Hour

// sweepAndCheck lets the sweep run as if days had passed, and then looks at everything that is stored.
func (s *env) sweepAndCheck() {
	s.t.Helper()
	tableName, bucket := s.stack.Outputs["InstancesTable"], s.stack.Outputs["BlobsBucket"]
	if tableName == "" || bucket == "" {
		s.t.Fatalf("the stack does not say what its table and bucket are called: %v", s.stack.Outputs)
	}
	table := instancetable.New(s.db, tableName, "")
	report, err := sweep.Run(s.t.Context(), table, blobbucket.New(s.s3, bucket), time.Now().Add(long))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("swept: %+v", report)
	if report.Blobs == 0 || report.Instances == 0 {
		s.t.Error("the sweep found nothing to do: this shows nothing")
	}

	instances, labels := s.stored(table, tableName)
	wanted := map[string]string{} // SHA-256 by object
	wantedLabels := map[entry]int64{}
	for _, i := range instances {
		if i.Status.IsMarkedForHardDelete {
			s.t.Errorf("instance %s is deleted for good and still there", i.ID)
		}
		for _, d := range i.Data {
			wanted[blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision).String()] = d.SHA256
		}
		_, _, keys := instancetable.IndexKeys(i)
		for n, label := range i.Labels {
			wantedLabels[entry{i.ID, instancetable.LabelIndex(label), keys[n]}] = i.Version
		}
	}
	if !maps.Equal(labels, wantedLabels) {
		s.t.Errorf("labels stand in the indexes (with versions) as\n%v\nwant\n%v", labels, wantedLabels)
	}
	objects := s.objects(bucket)
	for key, sum := range wanted {
		if objects[key] != sum {
			s.t.Errorf("a data element has the bytes %q at %s, want %q", objects[key], key, sum)
		}
	}
	for key := range objects {
		if _, ok := wanted[key]; !ok {
			s.t.Errorf("nothing points at the bytes at %s", key)
		}
	}
	if len(instances) < 20 || len(wanted) < 20 {
		s.t.Errorf("%d instances with %d data elements: this shows little", len(instances), len(wanted))
	}
	if notes, err := instancetest.OrphanCheck(s.t.Context(), table, time.Now().Add(long)); err != nil || len(notes) != 0 {
		s.t.Errorf("notes left: %v, %v", notes, err)
	}
}

// entry is a place of an instance in a label's index.
type entry struct{ guid, index, key string }

// stored returns every instance, and the version of the item that stands in each place of the labels' indexes.
func (s *env) stored(table *instancetable.Table, name string) (instances []*instance.Instance, labels map[entry]int64) {
	s.t.Helper()
	labels = map[entry]int64{}
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range page.Items {
			owner, key := text(item["PK"]), text(item["SK"])
			for index, value := range item {
				if strings.HasPrefix(index, "byLabel") {
					labels[entry{strings.Split(key, "#")[1], index, text(value)}] = number(item["v"])
				}
			}
			if id, ok := strings.CutPrefix(key, "INSTANCE#"); ok {
				i, err := table.Get(s.t.Context(), owner, id)
				if err != nil {
					s.t.Fatal(err)
				}
				instances = append(instances, i)
			}
		}
	}
	return instances, labels
}

// objects returns the SHA-256 of every object's bytes.
func (s *env) objects(bucket string) map[string]string {
	s.t.Helper()
	sums := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, object := range page.Contents {
			out, err := s.s3.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: object.Key})
			if err != nil {
				s.t.Fatal(err)
			}
			body, err := io.ReadAll(out.Body)
			if err != nil {
				s.t.Fatal(err)
			}
			sum := sha256.Sum256(body)
			sums[aws.ToString(object.Key)] = hex.EncodeToString(sum[:])
		}
	}
	return sums
}

func text(v types.AttributeValue) string {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func number(v types.AttributeValue) int64 {
	n, _ := v.(*types.AttributeValueMemberN)
	if n == nil {
		return 0
	}
	value, _ := strconv.ParseInt(n.Value, 10, 64)
	return value
}
