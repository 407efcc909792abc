package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/metric"
)

// handler records the scan results of a batch of the queue.
type handler struct {
	recorder scan.Recorder
	metrics  metric.Namespace // namespace of scansFailed
}

// margin is the part of the invocation's time that is reserved for the log line and the response.
const margin = time.Second

// detail is the part of a result of GuardDuty that the handler reads.
type detail struct {
	S3ObjectDetails struct {
		ObjectKey string `json:"objectKey"`
	} `json:"s3ObjectDetails"`
	ScanResultDetails struct {
		ScanResultStatus string `json:"scanResultStatus"`
	} `json:"scanResultDetails"`
}

// statuses are the scan statuses of the results of GuardDuty that are verdicts.
var statuses = map[string]string{
	"NO_THREATS_FOUND": instance.ScanClean,
	"THREATS_FOUND":    instance.ScanInfected,
	"UNSUPPORTED":      instance.ScanUnscannable,
}

// handle records the results in the messages, each in an EventBridge envelope. It returns the
// messages that the queue must deliver again: those for which AWS failed, and unreadable ones,
// which the queue moves to the dead-letter queue after several attempts.
//
// Without a verdict, as when GuardDuty has no access to the object, the content stays pending. If
// GuardDuty cannot write the tag of a result, it sends another event, and the bucket denies the
// content. handle counts both in the metric scansFailed.
func (h *handler) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	// Never nil: Lambda does not accept null.
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var cause error
	fail := func(message string, err error) {
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message})
		if cause == nil { // log the first error only
			cause = err
		}
	}
	var results []scan.Result
	var messages []string // message ids of results
	noVerdict := 0
	for _, message := range batch.Records {
		result, err := readResult(message.Body)
		switch {
		case errors.Is(err, errNoVerdict):
			noVerdict++
		case errors.Is(err, errNoContent):
		case err != nil:
			fail(message.MessageId, err)
		default:
			results, messages = append(results, result), append(messages, message.MessageId)
		}
	}
	for n, err := range h.recorder.Record(ctx, results) {
		if err != nil {
			fail(messages[n], err)
		}
	}
	level, text := slog.LevelInfo, ""
	if cause != nil {
		level, text = slog.LevelError, cause.Error()
	}
	failed := metric.Directive{Metrics: []metric.Metric{{Name: "scansFailed", Unit: metric.Count}}}
	slog.LogAttrs(ctx, level, "recorded scans", slog.Int("messages", len(batch.Records)), slog.Int("scansFailed", noVerdict),
		slog.Int("failed", len(response.BatchItemFailures)), slog.String("cause", text), h.metrics.Set(failed).Attr(time.Now()))
	return response, nil
}

var (
	errNoVerdict = errors.New("the scan failed, or the tag of its result is missing")
	errNoContent = errors.New("the scanned object is no content") // such as the object with which GuardDuty tests its permissions
)

// readResult returns the result in an EventBridge envelope. It returns errNoContent if the object
// is not the content of a data element, and errNoVerdict if GuardDuty could not scan it. The text
// of other errors has nothing of the envelope.
func readResult(body string) (scan.Result, error) {
	var envelope events.CloudWatchEvent
	if err := json.Unmarshal([]byte(body), &envelope); err != nil {
		return scan.Result{}, errors.New("the message is not an envelope")
	}
	var d detail
	if err := json.Unmarshal(envelope.Detail, &d); err != nil || d.S3ObjectDetails.ObjectKey == "" {
		return scan.Result{}, errors.New("the envelope has no scan result")
	}
	key, err := blob.ParseKey(d.S3ObjectDetails.ObjectKey)
	if err != nil {
		return scan.Result{}, errNoContent
	}
	status, verdict := statuses[d.ScanResultDetails.ScanResultStatus]
	if !verdict {
		return scan.Result{}, errNoVerdict
	}
	return scan.Result{Key: key, ScanResult: instance.ScanResult{Status: status, At: instance.TruncateTime(envelope.Time)}}, nil
}
