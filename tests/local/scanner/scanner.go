// Package scanner is a stand-in for GuardDuty Malware Protection for S3, which the local AWS does
// not have. It scans the new objects of a bucket, adds GuardDuty's tag to them, and publishes
// results in GuardDuty's form. Markers in the content choose the result; see verdict.
package scanner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Source and DetailType identify the results of GuardDuty on the default bus.
const (
	Source     = "aws.guardduty"
	DetailType = "GuardDuty Malware Protection Object Scan Result"
)

// Tag is the object tag in which GuardDuty writes the status of a result.
const Tag = "GuardDutyMalwareScanStatus"

// Result is the detail of a result of GuardDuty, as its guide describes it under "Monitoring S3
// object scans with Amazon EventBridge".
type Result struct {
	SchemaVersion string `json:"schemaVersion"`
	ScanStatus    string `json:"scanStatus"`
	ResourceType  string `json:"resourceType"`
	Object        Object `json:"s3ObjectDetails"`
	Details       struct {
		Status  string   `json:"scanResultStatus"`
		Threats []Threat `json:"threats"` // null without a threat
	} `json:"scanResultDetails"`
}

// Object is the scanned object.
type Object struct {
	Bucket    string `json:"bucketName"`
	Key       string `json:"objectKey"`
	ETag      string `json:"eTag"`
	Version   string `json:"versionId"`
	Throttled bool   `json:"s3Throttled"`
}

// Threat is malware in an object.
type Threat struct {
	Name string `json:"name"`
}

// Scanner scans the objects of a bucket. All fields but Late are required. It is safe for
// concurrent use.
type Scanner struct {
	S3     *s3.Client
	Bucket string

	// Publish publishes up to ten results. The scanner publishes them again if Publish fails.
	Publish func(ctx context.Context, results []Result) error

	// Late is how long the result of content with the marker SCAN-LATE waits. The next Scan
	// publishes a result whose wait is over.
	Late time.Duration

	mu      sync.Mutex
	after   string          // the name of an object before all that the next Scan lists
	known   map[string]bool // scanned objects, by name
	late    []delayed
	results []Result // to publish
}

// delayed is a verdict of content with SCAN-LATE.
type delayed struct {
	scanned scanned
	due     time.Time
}

// scanned is an object and its verdict.
type scanned struct {
	object  Object
	verdict verdict
}

// maxBatch is the largest number of results that Publish gets.
const maxBatch = 10

// Scan scans the objects that are new since the last Scan, and publishes the results. It returns
// the number of published results. An object with the tag of an earlier result is not new. After an
// error the next Scan continues.
func (s *Scanner) Scan(ctx context.Context) (published int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	if err := s.endWaits(ctx); err != nil {
		return 0, err
	}
	if err := s.scanNew(ctx); err != nil {
		return 0, err
	}
	for len(s.results) > 0 {
		batch := s.results[:min(maxBatch, len(s.results))]
		if err := s.Publish(ctx, batch); err != nil {
			return published, err
		}
		published += len(batch)
		s.results = s.results[len(batch):]
	}
	return published, nil
}

// Run scans every interval until ctx ends, and reports errors.
func (s *Scanner) Run(ctx context.Context, interval time.Duration, report func(error)) {
	for ticker := time.NewTicker(interval); ; {
		if _, err := s.Scan(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}

// endWaits records the results of late verdicts that are due.
func (s *Scanner) endWaits(ctx context.Context) error {
	late := s.late
	s.late = nil
	for n, d := range late {
		if time.Now().Before(d.due) {
			s.late = append(s.late, d)
			continue
		}
		if err := s.record(ctx, d.scanned); err != nil {
			s.late = append(s.late, late[n:]...)
			return err
		}
	}
	return nil
}

// scanNew scans the objects that are not known. The first call lists the whole bucket. Later calls
// list the objects of yesterday and today, because a name begins with the day of its creation.
func (s *Scanner) scanNew(ctx context.Context) error {
	next := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	pages := s3.NewListObjectsV2Paginator(s.S3, &s3.ListObjectsV2Input{Bucket: &s.Bucket, StartAfter: nonEmpty(s.after)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("scanner: list the bucket: %w", err)
		}
		for _, object := range page.Contents {
			key := aws.ToString(object.Key)
			if s.known[key] {
				continue
			}
			if err := s.scanOne(ctx, key); err != nil {
				return fmt.Errorf("scanner: %s: %w", key, err)
			}
			s.known[key] = true
		}
	}
	s.after = next
	return nil
}

// scanOne scans an object and records its result, unless a marker in the content delays or prevents
// the result.
func (s *Scanner) scanOne(ctx context.Context, key string) error {
	tags, err := s.tags(ctx, key)
	switch {
	case isDeleted(err):
		return nil
	case err != nil:
		return err
	case slices.ContainsFunc(tags, func(tag types.Tag) bool { return aws.ToString(tag.Key) == Tag }):
		return nil
	}
	content, err := s.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if isDeleted(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Body.Close()
	found, err := findMarkers(content.Body)
	if err != nil {
		return err
	}
	result := scanned{
		Object{Bucket: s.Bucket, Key: key, ETag: strings.Trim(aws.ToString(content.ETag), `"`), Version: cmp.Or(aws.ToString(content.VersionId), "null")},
		verdictOf(found),
	}
	switch {
	case found[never]:
		return nil
	case found[late]:
		s.late = append(s.late, delayed{result, time.Now().Add(s.Late)})
		return nil
	}
	return s.record(ctx, result)
}

// record adds the tag to an object, and its result to those to publish.
func (s *Scanner) record(ctx context.Context, of scanned) error {
	tags, err := s.tags(ctx, of.object.Key)
	if err == nil {
		tags = append(tags, types.Tag{Key: aws.String(Tag), Value: &of.verdict.status})
		_, err = s.S3.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &s.Bucket, Key: &of.object.Key, Tagging: &types.Tagging{TagSet: tags}})
	}
	if isDeleted(err) {
		err = nil // GuardDuty publishes the result of an object that was deleted after its scan
	}
	if err != nil {
		return err
	}
	result := Result{SchemaVersion: "1.0", ScanStatus: of.verdict.scanStatus, ResourceType: "S3_OBJECT", Object: of.object}
	result.Details.Status, result.Details.Threats = of.verdict.status, of.verdict.threats
	for range of.verdict.times {
		s.results = append(s.results, result)
	}
	return nil
}

// tags returns the tags of an object.
func (s *Scanner) tags(ctx context.Context, key string) ([]types.Tag, error) {
	out, err := s.S3.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.Bucket, Key: &key})
	var apiErr smithy.APIError
	switch {
	case errors.As(err, &apiErr) && (apiErr.ErrorCode() == "NoSuchTagSet" || apiErr.ErrorCode() == "NoSuchTagSetError"):
		return nil, nil // of an S3 server that differs from AWS
	case err != nil:
		return nil, err
	}
	return out.TagSet, nil
}

// isDeleted reports whether S3 has no object with the name.
func isDeleted(err error) bool {
	var apiErr smithy.APIError
	return errors.As(err, &apiErr) && (apiErr.ErrorCode() == "NoSuchKey" || apiErr.ErrorCode() == "NotFound")
}

func nonEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
