package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/scanner"
)

const (
	scanInterval = 500 * time.Millisecond // between two scans
	scanLate     = 10 * time.Second       // for content with the marker SCAN-LATE
)

// startScan starts a scanner that replaces GuardDuty until Stop. It publishes results on the
// default bus. The rule and the queue of template.yaml bring them to scan-record.
func (s *Stack) startScan(logf func(format string, args ...any)) {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
	})
	scan := &scanner.Scanner{
		S3: s3.New(s3.Options{
			BaseEndpoint: &s.AWSEndpoint, Region: Region, Credentials: credentials, UsePathStyle: true,
			HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient()), DisableLogOutputChecksumValidationSkipped: true,
		}),
		Bucket: s.Outputs["BlobsBucket"], Publish: s.publishScans, Late: scanLate,
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s.endScan = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		scan.Run(ctx, scanInterval, func(err error) { logf("%v", err) })
	}()
}

// publishScans puts results on the default bus. PutEvents of the local AWS rejects GuardDuty's
// source, as AWS does, so aws.py has its own path.
func (s *Stack) publishScans(ctx context.Context, results []scanner.Result) error {
	type entry struct{ Source, DetailType, Detail string }
	var in struct{ Entries []entry }
	for _, result := range results {
		detail, err := json.Marshal(result)
		if err != nil {
			return err
		}
		in.Entries = append(in.Entries, entry{scanner.Source, scanner.DetailType, string(detail)})
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.AWSEndpoint+"/_local/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("publishing results of scans: %w", err)
	}
	defer resp.Body.Close()
	var out struct{ FailedEntryCount int }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return fmt.Errorf("publishing results of scans: %s: %w", resp.Status, err)
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("publishing results of scans: the bus rejected %d of %d", out.FailedEntryCount, len(results))
	}
	return nil
}
