package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric/metrictest"
)

// TestSamples passes the sample events, which are batches of the queue, to the handler. Their
// instance does not exist, so there is nothing to record.
func TestSamples(t *testing.T) {
	samples, err := filepath.Glob("../../events/scan-record/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples, %v", err)
	}
	api := apitest.New(t)
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		var batch events.SQSEvent
		if err := json.Unmarshal(text, &batch); err != nil {
			t.Fatal(err)
		}
		r := newHandler(api)
		response, err := r.handle(t.Context(), batch)
		if err != nil || len(batch.Records) == 0 || len(response.BatchItemFailures) != 0 {
			t.Errorf("%s: %v, %v", sample, response, err)
		}
	}
}

func newHandler(api *apitest.API) *handler {
	return &handler{recorder: scan.Recorder{Store: api.Instances, Applications: api.Applications, Links: api.View.Links}, metrics: "instance-api"}
}

// message returns a message of the queue with a result of GuardDuty.
func message(id, key, status string) events.SQSMessage {
	return events.SQSMessage{MessageId: id, Body: fmt.Sprintf(`{"source":"aws.guardduty","detail-type":"GuardDuty Malware Protection Object Scan Result",
		"time":"2026-11-30T12:00:00Z","detail":{"s3ObjectDetails":{"objectKey":%q},"scanResultDetails":{"scanResultStatus":%q}}}`, key, status)}
}

// keyOf returns the name of the object with the content of a data element.
func keyOf(i *instance.Instance, n int) string {
	return blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[n].Revision).String()
}

// pending returns an API with a submitted instance of two data elements whose scans have no result.
// Its application has the event DataScanned.
func pending(t *testing.T) (*apitest.API, *instance.Instance) {
	api := apitest.New(t)
	api.Register(t, apitest.App, `{"events":["DataScanned"]}`)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Path: []string{"Submit"}})
	return api, api.Change(t, i, func(i *instance.Instance) error {
		for n := range i.Data {
			i.Data[n].Scan = &instance.Scan{Status: instance.ScanPending, At: i.CreatedDateTime}
		}
		return nil
	})
}

// TestResults sends the results of both data elements in one batch and in any order, each twice.
// The instance changes once, and the entity tag for writes stays.
func TestResults(t *testing.T) {
	api, i := pending(t)
	h := newHandler(api)
	batch := events.SQSEvent{Records: []events.SQSMessage{
		message("1", keyOf(i, 1), "UNSUPPORTED"), message("2", keyOf(i, 0), "THREATS_FOUND"),
		message("3", keyOf(i, 0), "NO_THREATS_FOUND"), message("4", keyOf(i, 1), "UNSUPPORTED"),
	}}
	for range 2 {
		if response, err := h.handle(t.Context(), batch); err != nil || len(response.BatchItemFailures) != 0 {
			t.Fatalf("%v, %v", response, err)
		}
	}
	stored := api.Stored(t, i)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	if stored.Version != i.Version+1 || *stored.Data[0].Scan != (instance.Scan{Status: instance.ScanInfected, At: at}) ||
		*stored.Data[1].Scan != (instance.Scan{Status: instance.ScanUnscannable, At: at}) {
		t.Errorf("version %d after %d, scans %+v and %+v", stored.Version, i.Version, stored.Data[0].Scan, stored.Data[1].Scan)
	}
	if !stored.LastChangedDateTime.Equal(i.LastChangedDateTime) || instancehttp.ETag(stored) != strings.TrimSuffix(instancehttp.ETag(i), `"`)+`.1"` {
		t.Errorf("changed at %v, entity tag %s after %s", stored.LastChangedDateTime, instancehttp.ETag(stored), instancehttp.ETag(i))
	}
	outbox := api.Instances.Outbox()
	if len(outbox) != 3 || outbox[1].EventType != event.DataScanned || outbox[1].ScanStatus != instance.ScanInfected || outbox[1].DataElementID != i.Data[0].ID ||
		outbox[2].ScanStatus != instance.ScanUnscannable || outbox[2].FormID != "attachment" || outbox[2].UserID != instance.Platform {
		t.Errorf("the events %+v", outbox)
	}
}

// TestClean records a clean result. There is no event.
func TestClean(t *testing.T) {
	api, i := pending(t)
	if _, err := newHandler(api).handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message("1", keyOf(i, 0), "NO_THREATS_FOUND")}}); err != nil {
		t.Fatal(err)
	}
	if stored := api.Stored(t, i); stored.Data[0].ScanStatus() != instance.ScanClean || stored.Data[1].ScanStatus() != instance.ScanPending || len(api.Instances.Outbox()) != 1 {
		t.Errorf("the scans %+v and %+v, the events %+v", stored.Data[0].Scan, stored.Data[1].Scan, api.Instances.Outbox())
	}
}

// TestLost applies the stored result, not the arriving one: a crash between storing an infection
// and changing the element must not let a later clean result release the content.
func TestLost(t *testing.T) {
	api, i := pending(t)
	if _, err := api.Instances.PutScanResult(t.Context(), i.Data[0].Revision, instance.ScanResult{Status: instance.ScanInfected, At: i.CreatedDateTime}); err != nil {
		t.Fatal(err)
	}
	if _, err := newHandler(api).handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message("1", keyOf(i, 0), "NO_THREATS_FOUND")}}); err != nil {
		t.Fatal(err)
	}
	if stored := api.Stored(t, i); stored.Data[0].ScanStatus() != instance.ScanInfected {
		t.Errorf("the scan is %+v", stored.Data[0].Scan)
	}
}

// TestOtherObjects sends results that change no data element: of content that is not committed, not
// scanned or replaced, of a deleted instance and of no content, and without a verdict.
func TestOtherObjects(t *testing.T) {
	api, i := pending(t)
	i = api.Change(t, i, func(i *instance.Instance) error { i.Data[1].Scan = nil; return nil })
	early := blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID)
	other := blob.NewKey(i.AppID, i.InstanceOwnerID, uuid.NewV7().String())
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&log, slog.LevelInfo))
	defer slog.SetDefault(before)
	response, err := newHandler(api).handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		message("1", early.String(), "THREATS_FOUND"), message("2", other.String(), "THREATS_FOUND"), message("3", keyOf(i, 1), "THREATS_FOUND"),
		message("4", "malware-protection-resource-validation-object", "NO_THREATS_FOUND"), message("5", keyOf(i, 0), "ACCESS_DENIED"), message("6", keyOf(i, 0), "FAILED"),
		{MessageId: "tag", Body: `{"detail":{"s3ObjectDetails":{"objectKey":"` + keyOf(i, 0) + `"},"postScanActions":[{"actionType":"TAGGING","failureReason":"ACCESS_DENIED"}]}}`},
		{MessageId: "7", Body: "{"}, {MessageId: "8", Body: `{"detail":{}}`},
	}})
	if err != nil || len(response.BatchItemFailures) != 2 || response.BatchItemFailures[0].ItemIdentifier != "7" || response.BatchItemFailures[1].ItemIdentifier != "8" {
		t.Errorf("%v, %v", response, err)
	}
	if stored := api.Stored(t, i); stored.Version != i.Version {
		t.Errorf("version %d, want %d", stored.Version, i.Version)
	}
	if metrics := metrictest.Read(t, log.Bytes()); len(metrics) != 1 || metrics[0].Name != "scansFailed" || metrics[0].Values[0] != 3 {
		t.Errorf("the metrics %+v", metrics)
	}
	results, err := api.Instances.ScanResults(t.Context(), early.Revision())
	if err != nil || results[early.Revision()].Status != instance.ScanInfected {
		t.Errorf("the result of content that is not committed: %v, %v", results, err)
	}
}

// TestManyResults records more results than one change may have events.
func TestManyResults(t *testing.T) {
	api := apitest.New(t)
	api.Register(t, apitest.App, `{"events":["DataScanned"],"dataTypes":[{"formId":"attachment","maxCount":0}]}`)
	i := api.Add(t, apitest.InstanceSpec{Forms: slices.Repeat([]string{"attachment"}, 2*instance.MaxScansPerChange+1)})
	var results []scan.Result
	i = api.Change(t, i, func(i *instance.Instance) error {
		results = nil
		for n := range i.Data {
			i.Data[n].Scan = &instance.Scan{Status: instance.ScanPending, At: i.CreatedDateTime}
			results = append(results, scan.Result{Key: blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[n].Revision), ScanResult: instance.ScanResult{Status: instance.ScanInfected, At: i.CreatedDateTime}})
		}
		return nil
	})
	if err := errors.Join(newHandler(api).recorder.Record(t.Context(), results)...); err != nil {
		t.Fatal(err)
	}
	stored := api.Stored(t, i)
	if pending := stored.PendingScans(time.Time{}); len(pending) != 0 || stored.Version != i.Version+3 || len(api.Instances.Outbox()) != 1+len(results) {
		t.Errorf("%d elements are pending, version %d after %d, %d events", len(pending), stored.Version, i.Version, len(api.Instances.Outbox()))
	}
}

// TestLateResults sends results of content that was replaced or deleted, and of instances in every
// state. Only the state of a permanently deleted instance stays.
func TestLateResults(t *testing.T) {
	api, i := pending(t)
	app, err := api.Applications.Get(t.Context(), i.AppID)
	if err != nil {
		t.Fatal(err)
	}
	records := func(keys ...string) {
		t.Helper()
		var batch events.SQSEvent
		for _, key := range keys {
			batch.Records = append(batch.Records, message(key, key, "THREATS_FOUND"))
		}
		if response, err := newHandler(api).handle(t.Context(), batch); err != nil || len(response.BatchItemFailures) != 0 {
			t.Fatalf("%v, %v", response, err)
		}
	}
	old := []string{keyOf(i, 0), keyOf(i, 1)}
	i = api.Transition(t, i, "FormFilling")
	i = api.Replace(t, i, i.Data[0].ID, apitest.Content)
	i = api.Change(t, i, func(i *instance.Instance) error { return i.RemoveData(app, i.Data[1].ID, "1001", time.Now()) })
	api.AssertUnchanged(t, i, func() { records(old...) })
	for state, change := range map[string]func(*instance.Instance) error{
		"archived":     func(i *instance.Instance) error { i.Status.IsArchived = true; return nil },
		"soft-deleted": func(i *instance.Instance) error { return i.Delete(application.User, time.Now()) },
		"held":         func(i *instance.Instance) error { i.LegalHold = &instance.LegalHold{By: "nav"}; return nil },
		"hard-deleted": func(i *instance.Instance) error { return i.HardDelete(nil, application.Owner, time.Now()) },
	} {
		api, i := pending(t)
		i = api.Change(t, i, change)
		batch := events.SQSEvent{Records: []events.SQSMessage{message("1", keyOf(i, 0), "THREATS_FOUND")}}
		if response, err := newHandler(api).handle(t.Context(), batch); err != nil || len(response.BatchItemFailures) != 0 {
			t.Errorf("%s: %v, %v", state, response, err)
		}
		if got := api.Stored(t, i).Data[0].ScanStatus(); (got == instance.ScanInfected) != (state != "hard-deleted") {
			t.Errorf("%s: the status is %s", state, got)
		}
	}
}

// TestUnregisteredApplication records a result of an instance whose application has no
// registration.
func TestUnregisteredApplication(t *testing.T) {
	api, i := pending(t)
	h := newHandler(api)
	h.recorder.Applications = noApplications{}
	if response, err := h.handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message("1", keyOf(i, 0), "THREATS_FOUND")}}); err != nil || len(response.BatchItemFailures) != 0 {
		t.Fatalf("%v, %v", response, err)
	}
	if got := api.Stored(t, i).Data[0].ScanStatus(); got != instance.ScanInfected {
		t.Errorf("the status is %s", got)
	}
}

type noApplications struct{}

func (noApplications) Get(context.Context, string) (*application.Application, error) { return nil, nil }

// TestFailure returns the messages of the instance whose change failed.
func TestFailure(t *testing.T) {
	api, i := pending(t)
	api.Instances.Fail = func() error { return errors.New("no response") }
	batch := events.SQSEvent{Records: []events.SQSMessage{message("1", keyOf(i, 0), "NO_THREATS_FOUND"), message("2", keyOf(i, 1), "NO_THREATS_FOUND")}}
	response, err := newHandler(api).handle(t.Context(), batch)
	if err != nil || len(response.BatchItemFailures) != 2 {
		t.Errorf("%v, %v", response, err)
	}
	api.Instances.Fail = nil
	if response, err := newHandler(api).handle(t.Context(), batch); err != nil || len(response.BatchItemFailures) != 0 || api.Stored(t, i).Data[1].ScanStatus() != instance.ScanClean {
		t.Errorf("%v, %v", response, err)
	}
}
