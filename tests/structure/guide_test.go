package structure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/logging"
)

// allFunctions names, in the guide, the log groups of every function.
const allFunctions = "log groups of all functions"

// findings has, for each alarm, a part of the first row of each query of its section. A row is
// written as its columns in alphabetical order.
var findings = map[string][]string{
	"AppsServerErrorsAlarm":       {"cause:throttled by DynamoDB code:busy", "error:INTEGRATION_TIMEOUT functionError:timed out requests:2"},
	"AppsLatencyAlarm":            {"code:busy requests:1 route:GET /busy slowest:3500"},
	"StorageLatencyAlarm":         {"caller.name:nav durationMs:4200 examined:5000 found:10 route:GET /slow"},
	"ThrottlesAlarm":              {"processes:0.325 requests:1 route:GET /feed", "caller.kind:owner caller.name:nav requests:3 seconds:27.2"},
	"InstancesThrottlesAlarm":     {"caller.name:nav cause:throttled by DynamoDB requests:1 route:GET /busy"},
	"FeedLagAlarm":                {"added:1 bin(5m):one period early:0 errors:0 known:0 lagMs:18"},
	"OutboxStreamAgeAlarm":        {"cause:delivery: the image has no document failed:1 lowestFailed:111 published:0 records:1"},
	"FeedQueueAgeAlarm":           {"added:1 batches:1 bin(1m):one period errors:0"},
	"OutboxAgeAlarm":              {"failed:0 outboxAgeMs:3600000 published:0 stopped:time"},
	"OutboxSweepAlarm":            {"cause:outbox item x.1 is damaged failed:1"},
	"EventPublishErrorsAlarm":     {"lines:2 record.status:timeout slowest:25000"},
	"PublishDeadLettersAlarm":     {"batches:1 cause:delivery: the image has no document since:20"},
	"FeedDeadLettersAlarm":        {"batches:1 cause:event: not JSON since:20"},
	"AgendaLagAlarm":              {"agendaLagMs:700000 backfilled:0 cause:instance x: damaged effects:3 notes:64"},
	"BlobSweepAlarm":              {"blobs:2 cause:AccessDenied checks:3 instances:1"},
	"ScanTroubleAlarm":            {"bin(5m):one period scans:1"},
	"ScanDeadLettersAlarm":        {"batches:1 cause:throttled by DynamoDB failedMessages:1 since:20"},
	"ScanQueueAgeAlarm":           {"batches:1 bin(1m):one period errors:1"},
	"DeadLettersAlarm":            nil, // EventBridge writes no log
	"StorageServerErrorsAlarm":    nil, // in the section of another alarm, as the following
	"OutboxThrottlesAlarm":        nil,
	"EventsThrottlesAlarm":        nil,
	"ApplicationsThrottlesAlarm":  nil,
	"PartiesThrottlesAlarm":       nil,
	"EventRecordErrorsAlarm":      nil,
	"WebhookDeadLettersAlarm":     nil, // one kind of line, without a query, as the following
	"WebhooksPausedAlarm":         nil,
	"ScanOverdueAlarm":            nil,
	"WebhookSendErrorsAlarm":      nil,
	"SubscriptionsThrottlesAlarm": nil,
}

// section is a section of the operations guide.
type section struct {
	heading, body string
	queries       []guideQuery
}

// guideQuery is a query of the guide, and the paragraph before it, which names its log groups.
type guideQuery struct{ before, text string }

// guideSections returns the sections of the operations guide: the parts between headings.
func guideSections(t *testing.T) (sections []section) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, operationsGuide))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`^    (filter|fields|stats) `)
	for _, part := range regexp.MustCompile(`(?m)^##+ `).Split(string(content), -1) {
		var s section
		s.heading, s.body, _ = strings.Cut(part, "\n")
		before := ""
		for _, block := range strings.Split(s.body, "\n\n") {
			if block = strings.Trim(block, "\n"); command.MatchString(block) {
				s.queries = append(s.queries, guideQuery{before, block})
			} else {
				before = block
			}
		}
		sections = append(sections, s)
	}
	return sections
}

// readSubscription returns the template of an owner's subscription.
func readSubscription(t *testing.T) *template {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "events/owner/subscription.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := parseTemplate(content)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// The operations guide has one section for each alarm of the template and of an owner's
// subscription, with numbered steps, and for no other alarm.
func TestGuideHasASectionForEachAlarm(t *testing.T) {
	var alarms, documented []string
	for _, alarm := range append(readTemplate(t).ofType("AWS::CloudWatch::Alarm"), readSubscription(t).ofType("AWS::CloudWatch::Alarm")...) {
		alarms = append(alarms, alarm.Name)
		if alarm.Properties["AlarmDescription"] == nil {
			t.Errorf("%s has no description", alarm.Name)
		}
		if alarm.Properties["AlarmActions"] == nil || alarm.Properties["OKActions"] == nil {
			t.Errorf("%s has no actions", alarm.Name)
		}
	}
	name := regexp.MustCompile("`([A-Za-z]+Alarm)`")
	for _, s := range guideSections(t) {
		for _, found := range name.FindAllStringSubmatch(s.heading, -1) {
			documented = append(documented, found[1])
			if !strings.Contains(s.body, "\n1. ") {
				t.Errorf("the section of %s has no numbered steps", found[1])
			}
		}
	}
	slices.Sort(alarms)
	slices.Sort(documented)
	if tested := slices.Sorted(maps.Keys(findings)); !slices.Equal(alarms, documented) || !slices.Equal(alarms, tested) {
		t.Errorf("alarms in the templates: %v\nin the operations guide:   %v\nin findings:               %v", alarms, documented, tested)
	}
}

// Each query of the operations guide finds something in the log groups that it names, and the query
// of an alarm finds the fault that the alarm reports. Functions wrote the lines.
func TestGuideQueries(t *testing.T) {
	groups := guideLines(t)
	var all []string
	for _, lines := range groups {
		all = append(all, lines...)
	}
	name := regexp.MustCompile("`([A-Za-z]+Logs)`")
	alarm := regexp.MustCompile("`([A-Za-z]+Alarm)`")
	for _, s := range guideSections(t) {
		of := alarm.FindStringSubmatch(s.heading)
		if of != nil && len(s.queries) != len(findings[of[1]]) {
			t.Errorf("the section of %s has %d queries, but findings has %d", of[1], len(s.queries), len(findings[of[1]]))
			continue
		}
		before := ""
		for n, q := range s.queries {
			if paragraph := strings.Join(strings.Fields(q.before), " "); strings.Contains(strings.ToLower(paragraph), "log group") {
				before = paragraph
			}
			lines := all
			if of != nil {
				lines = nil
				for _, found := range name.FindAllStringSubmatch(before, -1) {
					if groups[found[1]] == nil {
						t.Errorf("%s: there is no log group %s, or it has no lines in this test", s.heading, found[1])
					}
					lines = append(lines, groups[found[1]]...)
				}
				if strings.Contains(strings.ToLower(before), allFunctions) {
					lines = groups[allFunctions]
				}
			}
			rows, err := insights(q.text, lines)
			if err != nil || len(rows) == 0 {
				t.Errorf("%s:\n%s\nfinds %v, %v", s.heading, q.text, rows, err)
				continue
			}
			if of == nil {
				continue
			}
			if first := rows[0].String(); !strings.Contains(first, findings[of[1]][n]) {
				t.Errorf("%s:\n%s\nfinds first %q, want %q", s.heading, q.text, first, findings[of[1]][n])
			}
		}
	}
}

// logged returns the only line that call logs.
func logged(t *testing.T, call func(ctx context.Context)) string {
	t.Helper()
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&out, slog.LevelInfo))
	defer slog.SetDefault(before)
	call(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r"}))
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("want one line, got %q", out.String())
	}
	return out.String()
}

// with returns a line with other values for members that it has.
func with(t *testing.T, line string, members map[string]any) string {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal([]byte(line), &document); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if _, ok := document[name]; !ok {
			t.Errorf("the line has no member %s: %s", name, line)
		}
		document[name] = value
	}
	out, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// attributes returns the attributes of all log lines in a source file, with the given values. It
// fails for an attribute that the file does not log.
func attributes(t *testing.T, path string, given map[string]any) (attrs []slog.Attr) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if of, ok := call.Fun.(*ast.SelectorExpr); ok && fmt.Sprint(of.X) == "slog" && len(call.Args) == 2 {
				for _, key := range stringsIn(call.Args[0]) {
					keys[key] = true
				}
			}
		}
		return true
	})
	for name, value := range given {
		if !keys[name] {
			t.Errorf("%s logs no attribute %s", path, name)
		}
		attrs = append(attrs, slog.Any(name, value))
	}
	return attrs
}

// requestLine returns the line of a request for which h adds attributes.
func requestLine(t *testing.T, route string, h httpapi.HandlerFunc) string {
	t.Helper()
	event := events.APIGatewayV2HTTPRequest{RouteKey: route, Headers: map[string]string{"authorization": authtest.Owner("nav")}}
	event.RequestContext.HTTP.Method, event.RequestContext.DomainName = "GET", "localhost"
	verifier := authtest.Verifier()
	return logged(t, func(ctx context.Context) {
		lambdahttp.New(httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			if _, err := verifier.Authenticate(r); err != nil {
				return err
			}
			return h(w, r)
		})).Handle(ctx, event)
	})
}

// accessLine returns a line of API Gateway in the format of the template. A member without a value
// is "-".
func accessLine(t *testing.T, values map[string]any) string {
	t.Helper()
	format := text(at(readTemplate(t).resource("AppsApi").Properties, "AccessLogSettings", "Format"))
	return with(t, regexp.MustCompile(`\$context[a-zA-Z.]+`).ReplaceAllString(format, "-"), values)
}

// timeoutLine is Lambda's line for a process that it ended, with SystemLogLevel WARN.
const timeoutLine = `{"time":"2026-11-25T10:00:00.000Z","type":"platform.report","record":{"requestId":"r","status":"timeout",` +
	`"metrics":{"durationMs":25000.0,"billedDurationMs":25000,"memorySizeMB":512,"maxMemoryUsedMB":60}}}`

// failingBus publishes no event.
type failingBus struct{}

func (failingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	return slices.Repeat([]error{errors.New("throttled by EventBridge")}, len(docs))
}

// acceptingBus publishes every event.
type acceptingBus struct{}

func (acceptingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	return make([]error, len(docs))
}

// damagedOutbox is an outbox with an unreadable item and another event.
type damagedOutbox struct{ at time.Time }

func (o damagedOutbox) Scan(context.Context, time.Time) iter.Seq2[event.Backlog, error] {
	return func(yield func(event.Backlog, error) bool) {
		yield(event.Backlog{
			Documents:  []event.Encoded{eventtest.Document("nav/app2018", "0192a5f8-0000-7000-8000-000000000001", 1, o.at, "Submit")},
			Unreadable: []string{"x.1"}, Oldest: o.at,
		}, nil)
	}
}

func (damagedOutbox) Pending(context.Context, []event.Encoded) (int, error) { return 0, nil }

// guideLines returns log lines of an incident, by log group: what the functions and API Gateway log
// while AWS throttles calls and items are damaged.
func guideLines(t *testing.T) map[string][]string {
	t.Helper()
	now := time.Now()
	trace := "1-67891233-abcdef012345678912345678" // the example of the guide
	busy := requestLine(t, "GET /busy", func(http.ResponseWriter, *http.Request) error {
		return fault.Busy(errors.New("throttled by DynamoDB"))
	})
	slow := requestLine(t, "GET /slow", func(_ http.ResponseWriter, r *http.Request) error {
		logging.Add(r.Context(), attributes(t, "shared/instance/instancehttp/query.go", map[string]any{"found": 10, "examined": 5000})...)
		return nil
	})
	held := requestLine(t, "GET /feed", func(_ http.ResponseWriter, r *http.Request) error {
		logging.Add(r.Context(), attributes(t, "shared/event/eventhttp/feed.go", map[string]any{"heldMs": 19000})...)
		return nil
	})
	doc := eventtest.Document("nav/app2018", "0192a5f8-0000-7000-8000-000000000002", 1, now.Add(-3*time.Minute), "Submit")
	envelope, err := json.Marshal(map[string]any{"detail-type": doc.Event.EventType, "source": "no.altinn.apps.nav", "detail": doc.JSON})
	if err != nil {
		t.Fatal(err)
	}
	published := logged(t, func(ctx context.Context) {
		record := events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{SequenceNumber: "111"}}
		_, err = (&delivery.Publisher{Bus: failingBus{}}).Handle(ctx, events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
	})
	recorded := logged(t, func(ctx context.Context) {
		_, err = (&delivery.Recorder{Feed: eventtest.NewMemory(time.Now)}).Handle(ctx, events.SQSEvent{Records: []events.SQSMessage{
			{MessageId: "m1", Body: string(envelope)}, {MessageId: "m2", Body: "{}"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	swept := logged(t, func(ctx context.Context) {
		sweeper := delivery.Sweeper{Outbox: damagedOutbox{now.Add(-time.Hour)}, Bus: acceptingBus{}, Now: func() time.Time { return now }}
		if sweeper.Handle(ctx) == nil {
			t.Error("the sweep of a damaged item succeeds")
		}
	})
	stopped := logged(t, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond) // too little time for a page
		defer cancel()
		sweeper := delivery.Sweeper{Outbox: damagedOutbox{now.Add(-time.Hour)}, Bus: acceptingBus{}, Now: func() time.Time { return now }}
		if err := sweeper.Handle(ctx); err != nil {
			t.Error(err)
		}
	})
	agenda := logged(t, func(ctx context.Context) {
		slog.LogAttrs(ctx, slog.LevelError, messageOf(t, "functions/agenda-run/handler.go"), attributes(t, "functions/agenda-run/handler.go", map[string]any{
			"notes": 64, "effects": 3, "backfilled": 0, "agendaLagMs": 700_000, "cause": "instance x: damaged"})...)
	})
	blobs := logged(t, func(ctx context.Context) {
		slog.LogAttrs(ctx, slog.LevelError, messageOf(t, "functions/blob-sweep/handler.go"), attributes(t, "functions/blob-sweep/handler.go", map[string]any{
			"checks": 3, "blobs": 2, "instances": 1, "cause": "AccessDenied"})...)
	})
	scans := logged(t, func(ctx context.Context) {
		slog.LogAttrs(ctx, slog.LevelError, messageOf(t, "functions/scan-record/handler.go"), attributes(t, "functions/scan-record/handler.go", map[string]any{
			"messages": 10, "scansFailed": 1, "failed": 1, "cause": "throttled by DynamoDB"})...)
	})
	notStarted := logged(t, func(ctx context.Context) {
		slog.LogAttrs(ctx, slog.LevelError, "cannot start", slog.String("cause", "AccessDenied"))
	})
	access := []string{
		accessLine(t, map[string]any{"route": "GET /x", "status": "503", "functionError": "timed out", "error": "INTEGRATION_TIMEOUT"}),
		accessLine(t, map[string]any{"route": "GET /x", "status": "401", "error": "UNAUTHORIZED", "tokenError": "expired"}),
		accessLine(t, map[string]any{"route": "GET /x", "status": "404", "functionStatus": "404"}),
	}
	groups := map[string][]string{
		"InstanceGetLogs":  {with(t, busy, map[string]any{"traceId": trace, "durationMs": 3500.0}), with(t, slow, map[string]any{"durationMs": 4200.0})},
		"EventQueryLogs":   {with(t, held, map[string]any{"durationMs": 19_500.0})},
		"EventPublishLogs": {published, timeoutLine, timeoutLine}, "EventRecordLogs": {recorded, notStarted}, "OutboxSweepLogs": {swept, stopped},
		"AgendaRunLogs": {agenda}, "BlobSweepLogs": {blobs}, "ScanRecordLogs": {scans},
	}
	var functions []string
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if readTemplate(t).resource(group) == nil {
			t.Errorf("template.yaml has no log group %s", group)
		}
		functions = append(functions, groups[group]...)
	}
	groups[allFunctions] = functions
	groups["AppsApiLogs"], groups["StorageApiLogs"] = access, access
	return groups
}

// messageOf returns the message of the only log line in a source file.
func messageOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`slog\.LogAttrs\(ctx, level, "([^"]+)"`).FindAllStringSubmatch(string(content), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d log lines, want one", path, len(found))
	}
	return found[0][1]
}
