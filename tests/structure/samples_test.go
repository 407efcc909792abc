package structure

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/tests/event/sample"
)

// The samples under events/ have the format of the events that invoke the functions, so that
// `sam local invoke` can use them.
func TestSamples(t *testing.T) {
	tpl := readTemplate(t)
	readers := map[string]string{}
	for source, mapping := range mappings(tpl) {
		readers[mapped(mapping)] = source
	}
	for _, f := range tpl.functions() {
		samples, err := filepath.Glob(filepath.Join(root, "events", f.Folder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range samples {
			t.Run(f.Folder+"/"+filepath.Base(path), func(t *testing.T) {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case len(f.Routes) > 0:
					checkRequest(t, content, f.Routes)
				case readers[f.Name] == "Outbox.StreamArn":
					checkStream(t, content)
				case readers[f.Name] == "FeedQueue.Arn", readers[f.Name] == "WebhookQueue.Arn" && bytes.Contains(content, []byte("Records")):
					checkQueue(t, content)
				case readers[f.Name] == "ScanQueue.Arn":
					checkScanResults(t, content)
				default:
					checkSchedule(t, content)
				}
			})
		}
	}
	for _, folder := range folders(t, "events") {
		if folder == "owner" { // files for application owners
			continue
		}
		if _, err := os.Stat(filepath.Join(root, "functions", folder)); err != nil && hasSamples(folder) {
			t.Errorf("events/%s has samples, but there is no such function", folder)
		}
	}
}

// hasSamples reports whether a folder of events/ has sample events.
func hasSamples(folder string) bool {
	samples, _ := filepath.Glob(filepath.Join(root, "events", folder, "*.json"))
	return len(samples) > 0
}

func decode(t *testing.T, content []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(content, v); err != nil {
		t.Fatal(err)
	}
}

func checkRequest(t *testing.T, content []byte, routes []route) {
	var r events.APIGatewayV2HTTPRequest
	decode(t, content, &r)
	at := slices.IndexFunc(routes, func(route route) bool { return route.String() == r.RouteKey })
	if at < 0 {
		t.Fatalf("the route key %q is not one of %v", r.RouteKey, routes)
	}
	if r.Version != "2.0" || r.RequestContext.RouteKey != r.RouteKey || r.RequestContext.HTTP.Method != routes[at].Method {
		t.Errorf("version %q and the context of %s %s do not match %s", r.Version, r.RequestContext.HTTP.Method, r.RequestContext.RouteKey, r.RouteKey)
	}
	path := routes[at].Path
	for name, value := range r.PathParameters {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if path != r.RawPath || r.RequestContext.HTTP.Path != r.RawPath {
		t.Errorf("the path is %s, want %s", r.RawPath, path)
	}
	for name, want := range map[string][]string{
		"instanceOwnerId": {sample.InstanceOwnerID, sample.InstanceGUID}, "instanceGuid": {sample.InstanceGUID}, "dataGuid": {sample.DataGUID, sample.AttachmentGUID},
	} {
		if value, ok := r.PathParameters[name]; ok && !slices.Contains(want, value) {
			t.Errorf("%s is %s, want %v, which `make event` replaces", name, value, want)
		}
	}
	for name, value := range r.Headers {
		if name != strings.ToLower(name) {
			t.Errorf("header %s must be in lower case, as API Gateway sends it", name)
		}
		if name == "authorization" && value != "Bearer TOKEN" {
			t.Error("the sample contains a token, want \"Bearer TOKEN\"")
		}
	}
}

func checkStream(t *testing.T, content []byte) {
	var batch events.DynamoDBEvent
	decode(t, content, &batch)
	if len(batch.Records) == 0 {
		t.Error("the sample has no records")
	}
	for _, record := range batch.Records {
		if _, err := delivery.ReadImage(record.Change.NewImage); err != nil || record.EventName != "INSERT" {
			t.Errorf("want a readable INSERT record, got %s: %v", record.EventName, err)
		}
	}
}

// envelopes returns the EventBridge envelopes in the messages of a batch. It fails the test if
// there are none.
func envelopes(t *testing.T, content []byte) (all []events.CloudWatchEvent) {
	t.Helper()
	var batch events.SQSEvent
	decode(t, content, &batch)
	if len(batch.Records) == 0 {
		t.Error("the sample has no records")
	}
	for _, message := range batch.Records {
		var envelope events.CloudWatchEvent
		decode(t, []byte(message.Body), &envelope)
		all = append(all, envelope)
	}
	return all
}

func checkQueue(t *testing.T, content []byte) {
	for _, envelope := range envelopes(t, content) {
		if strings.HasSuffix(envelope.Source, "-webhooks") { // a changed subscription
			var changed webhook.Key
			decode(t, envelope.Detail, &changed)
			if changed.Org == "" || changed.Subscription == "" || envelope.DetailType != "SubscriptionChanged" {
				t.Errorf("%s names no subscription", envelope.Detail)
			}
			continue
		}
		doc, err := event.Decode(envelope.Detail)
		if err != nil || envelope.DetailType != doc.Event.EventType || !strings.HasSuffix(envelope.Source, "."+doc.Event.Org) {
			t.Errorf("detail-type %s and source %s do not match the event: %v", envelope.DetailType, envelope.Source, err)
		}
	}
}

// checkScanResults fails the test unless the messages are results of GuardDuty for stored content.
func checkScanResults(t *testing.T, content []byte) {
	pattern := object(readTemplate(t).resource("ScanRule").Properties["EventPattern"])
	for _, envelope := range envelopes(t, content) {
		if !slices.Contains(list(pattern["source"]), any(envelope.Source)) || !slices.Contains(list(pattern["detail-type"]), any(envelope.DetailType)) {
			t.Errorf("detail-type %s and source %s do not match ScanRule", envelope.DetailType, envelope.Source)
		}
		var detail struct {
			ScanStatus        string
			S3ObjectDetails   struct{ BucketName, ObjectKey, VersionID string }
			ScanResultDetails struct {
				ScanResultStatus string
				Threats          []struct{ Name string }
			}
		}
		decode(t, envelope.Detail, &detail)
		key, err := blob.ParseKey(detail.S3ObjectDetails.ObjectKey)
		if err != nil || key.InstanceGuid() != sample.InstanceGUID || detail.S3ObjectDetails.BucketName == "" {
			t.Errorf("the result is for %q: %v", detail.S3ObjectDetails.ObjectKey, err)
		}
		status := detail.ScanResultDetails.ScanResultStatus
		if scans := scanResults[status]; scans != detail.ScanStatus || (len(detail.ScanResultDetails.Threats) > 0) != (status == "THREATS_FOUND") {
			t.Errorf("the result %q has the scan status %q and the threats %v", status, detail.ScanStatus, detail.ScanResultDetails.Threats)
		}
	}
}

func checkSchedule(t *testing.T, content []byte) {
	var e events.CloudWatchEvent
	decode(t, content, &e)
	if e.Source != "aws.events" || e.DetailType != "Scheduled Event" {
		t.Errorf("want a Scheduled Event of aws.events, got %s of %s", e.DetailType, e.Source)
	}
}
