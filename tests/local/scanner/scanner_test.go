package scanner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/servers"
)

// published collects results as "key scanStatus scanResultStatus threats".
type published struct {
	lines   []string
	batches int
	fail    error
}

func (p *published) publish(_ context.Context, results []Result) error {
	if p.fail != nil {
		return p.fail
	}
	p.batches++
	for _, r := range results {
		p.lines = append(p.lines, fmt.Sprint(r.Object.Key, " ", r.ScanStatus, " ", r.Details.Status, " ", r.Details.Threats))
	}
	return nil
}

// take returns the lines since the last call, sorted.
func (p *published) take() []string {
	lines := p.lines
	p.lines = nil
	slices.Sort(lines)
	return lines
}

func TestScan(t *testing.T) {
	endpoint, accessKey, secretKey, stop, err := servers.StartS3()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
	})
	client := s3.New(s3.Options{BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: credentials, UsePathStyle: true, HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient())})
	bucket := "blobs"
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	put := func(key, content, tags string) {
		t.Helper()
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)}
		if tags != "" {
			in.Tagging = &tags
		}
		if _, err := client.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	tagsOf := func(key string) string {
		t.Helper()
		out, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return err.Error()
		}
		var tags []string
		for _, tag := range out.TagSet {
			tags = append(tags, aws.ToString(tag.Key)+"="+aws.ToString(tag.Value))
		}
		slices.Sort(tags)
		return strings.Join(tags, "&")
	}
	results := &published{}
	s := &Scanner{S3: client, Bucket: bucket, Publish: results.publish}
	scan := func(want ...string) {
		t.Helper()
		n, err := s.Scan(t.Context())
		if got := results.take(); err != nil || n != len(want) || !slices.Equal(got, want) {
			t.Fatalf("%d results (%v)\n%s\nwant\n%s", n, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	scan()
	today := time.Now().UTC().Format(time.DateOnly)
	day := func(key string) string { return today + "/" + key }
	put("2020-01-01/old", "kept content", "")
	put(day("clean"), "<form/>", "scan=off")
	put(day("infected"), strings.Repeat("x", 64<<10-30)+EICAR()+"y", "scan=lenient")
	put(day("unsupported"), "PK SCAN-UNSCANNABLE", "")
	put(day("denied"), "SCAN-DENIED", "")
	put(day("failed"), "SCAN-FAILED", "")
	put(day("never"), EICAR()+" SCAN-NEVER", "")
	put(day("late"), EICAR()+" SCAN-LATE", "")
	put(day("twice"), "SCAN-TWICE", "")
	first := &Scanner{S3: client, Bucket: bucket, Publish: results.publish}
	s, results.fail = first, errors.New("no bus")
	if n, err := s.Scan(t.Context()); n != 0 || !errors.Is(err, results.fail) {
		t.Fatalf("a failing bus: %d results (%v)", n, err)
	}
	results.fail = nil
	clean := " COMPLETED NO_THREATS_FOUND []"
	eicar := " COMPLETED THREATS_FOUND [{EICAR-Test-File (not a virus)}]"
	scan("2020-01-01/old"+clean, day("clean")+clean, day("denied")+" SKIPPED ACCESS_DENIED []", day("failed")+" FAILED FAILED []",
		day("infected")+eicar, day("late")+eicar, day("twice")+clean, day("twice")+clean, day("unsupported")+" SKIPPED UNSUPPORTED []")
	scan()
	for key, want := range map[string]string{
		"clean": "GuardDutyMalwareScanStatus=NO_THREATS_FOUND&scan=off", "infected": "GuardDutyMalwareScanStatus=THREATS_FOUND&scan=lenient",
		"unsupported": "GuardDutyMalwareScanStatus=UNSUPPORTED", "late": "GuardDutyMalwareScanStatus=THREATS_FOUND",
	} {
		if got := tagsOf(day(key)); got != want {
			t.Errorf("the tags of %s are %s, want %s", key, got, want)
		}
	}
	if got := tagsOf(day("never")); strings.Contains(got, Tag) {
		t.Errorf("content without a result has the tags %s", got)
	}

	// The next scan gets new objects, in batches of ten, and a late result once its wait is over.
	s.Late = time.Hour
	put(day("later"), "SCAN-LATE", "")
	var want []string
	for n := range 11 {
		put(day(fmt.Sprintf("n%02d", n)), "n", "")
		want = append(want, day(fmt.Sprintf("n%02d", n))+clean)
	}
	results.batches = 0
	scan(want...)
	if results.batches != 2 {
		t.Errorf("%d batches, want 2", results.batches)
	}
	s.late[0].due = time.Now()
	scan(day("later") + clean)

	// Another scanner finds the tags of the first one.
	s = &Scanner{S3: client, Bucket: bucket, Publish: results.publish}
	scan()
}

func TestResultHasTheFormOfGuardDuty(t *testing.T) {
	r := Result{SchemaVersion: "1.0", ScanStatus: "COMPLETED", ResourceType: "S3_OBJECT", Object: Object{"blobs", "k", "e", "v", false}}
	r.Details.Status = "NO_THREATS_FOUND"
	got, err := json.Marshal(r)
	want := `{"schemaVersion":"1.0","scanStatus":"COMPLETED","resourceType":"S3_OBJECT",` +
		`"s3ObjectDetails":{"bucketName":"blobs","objectKey":"k","eTag":"e","versionId":"v","s3Throttled":false},` +
		`"scanResultDetails":{"scanResultStatus":"NO_THREATS_FOUND","threats":null}}`
	if err != nil || string(got) != want {
		t.Errorf("%s (%v)\nwant %s", got, err, want)
	}
}

// A marker is found wherever the content is split into reads; an error of a read is no verdict.
func TestFindMarkers(t *testing.T) {
	content := strings.Repeat("a", 70_000) + EICAR() + strings.Repeat("b", 70_000) + "SCAN-TWICE"
	for name, reader := range map[string]func() (map[string]bool, error){
		"whole":  func() (map[string]bool, error) { return findMarkers(strings.NewReader(content)) },
		"bytes":  func() (map[string]bool, error) { return findMarkers(iotest.OneByteReader(strings.NewReader(content))) },
		"at EOF": func() (map[string]bool, error) { return findMarkers(iotest.DataErrReader(strings.NewReader(content))) },
	} {
		if found, err := reader(); err != nil || !found[EICAR()] || !found[twice] || found[never] {
			t.Errorf("%s: found %v (%v)", name, found, err)
		}
	}
	if _, err := findMarkers(iotest.TimeoutReader(strings.NewReader(content))); err == nil {
		t.Error("a failed read is no error")
	}
}
