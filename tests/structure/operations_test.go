package structure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/logging"
)

// Whoever is woken by an alarm reads of it in the README, and the README tells of none that is not there.
func TestReadmeTellsOfEveryAlarm(t *testing.T) {
	var there, told []string
	for _, alarm := range readTemplate(t).ofType("AWS::CloudWatch::Alarm") {
		there = append(there, alarm.Name)
		if text(alarm.Properties["AlarmDescription"]) == "" {
			t.Errorf("%s says nothing", alarm.Name)
		}
	}
	name := regexp.MustCompile("`([A-Za-z]+Alarm)`")
	for _, cells := range readmeRows(t) {
		for _, found := range name.FindAllStringSubmatch(cells[0], -1) {
			told = append(told, found[1])
			if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" || strings.TrimSpace(cells[2]) == "" {
				t.Errorf("README.md: the row of %s does not say what it means and what to do", found[1])
			}
		}
	}
	slices.Sort(there)
	slices.Sort(told)
	if !slices.Equal(there, told) {
		t.Errorf("alarms in template.yaml: %v\nin README.md: %v", there, told)
	}
}

// amazons are the metrics of AWS's own that are looked at, with their dimensions. Nothing tells of a metric that does not
// exist: its graph is empty, its alarm silent.
var amazons = map[string][]string{
	"AWS/ApiGateway Count": {"ApiId"}, "AWS/ApiGateway 4xx": {"ApiId"}, "AWS/ApiGateway 5xx": {"ApiId"}, "AWS/ApiGateway Latency": {"ApiId"},
	"AWS/Lambda Errors": {"FunctionName"}, "AWS/Lambda IteratorAge": {"FunctionName"}, "AWS/Lambda Duration": {"FunctionName"},
	"AWS/Lambda Throttles": {}, "AWS/Lambda ConcurrentExecutions": {}, // of the account
	"AWS/SQS ApproximateNumberOfMessagesVisible": {"QueueName"}, "AWS/SQS ApproximateAgeOfOldestMessage": {"QueueName"},
	"AWS/Events Invocations": {"EventBusName", "RuleName"}, "AWS/Events FailedInvocations": {"EventBusName", "RuleName"},
	"AWS/DynamoDB ConsumedReadCapacityUnits": {"TableName"}, "AWS/DynamoDB ConsumedWriteCapacityUnits": {"TableName"},
	"AWS/DynamoDB ReadThrottleEvents": {"TableName"}, "AWS/DynamoDB WriteThrottleEvents": {"TableName"},
	"AWS/DynamoDB ThrottledRequests": {"TableName", "Operation"},
}

// kinds is the type of resource that a dimension's value has to be.
var kinds = map[string]string{
	"ApiId": "AWS::Serverless::HttpApi", "FunctionName": "AWS::Serverless::Function", "QueueName": "AWS::SQS::Queue",
	"TableName": "AWS::DynamoDB::Table", "EventBusName": "AWS::Events::EventBus",
}

// checkMetric checks one metric that an alarm or the dashboard names; dimensions are names and what the values refer to.
func checkMetric(tpl *template, ours map[string][]string, namespace, name string, dimensions [][2]string) error {
	var names []string
	for _, d := range dimensions {
		names = append(names, d[0])
		if kind := kinds[d[0]]; kind != "" {
			resource, _, _ := strings.Cut(d[1], ".")
			if r := tpl.resource(resource); r == nil || r.Type != kind {
				return fmt.Errorf("%s of %s %s is %s, which is no %s", d[0], namespace, name, d[1], kind)
			}
		}
	}
	want, known := amazons[namespace+" "+name]
	if namespace == settings["METRIC_NAMESPACE"] {
		want, known = ours[name]
	}
	if slices.Contains(names, "GlobalSecondaryIndexName") {
		want = append(slices.Clone(want), "GlobalSecondaryIndexName")
		if index := dimensions[len(dimensions)-1][1]; !slices.Contains(indexesOf(tpl.resource(dimensions[0][1])), index) {
			return fmt.Errorf("%s has no index %s", dimensions[0][1], index)
		}
	}
	if !known || !slices.Equal(names, want) {
		return fmt.Errorf("there is no metric %s %s with the dimensions %v", namespace, name, names)
	}
	return nil
}

// indexesOf returns the names of a table's indexes.
func indexesOf(table *resource) (names []string) {
	for _, index := range list(table.Properties["GlobalSecondaryIndexes"]) {
		names = append(names, text(object(index)["IndexName"]))
	}
	return names
}

// What an index refuses is in no figure of its table, but for the requests by operation. So the alarm of a table with indexes
// looks at every operation that some function may do, and at transactions, which need no permission of their own; and the
// dashboard has every index.
func TestThrottlingOfAnIndexIsSeen(t *testing.T) {
	tpl := readTemplate(t)
	dashboard := text(list(at(tpl.resource("Dashboard").Properties, "DashboardBody", "Fn::Sub"))[0])
	for _, table := range tpl.ofType("AWS::DynamoDB::Table") {
		indexes := indexesOf(table)
		if len(indexes) == 0 {
			continue
		}
		want := []string{"TransactWriteItems"}
		for _, f := range tpl.functions() {
			for _, s := range f.Statements {
				for _, action := range s.Actions {
					name, is := strings.CutPrefix(action, "dynamodb:")
					if is && slices.Contains(s.Resources, table.Name+".Arn") && !slices.Contains(want, name) {
						want = append(want, name)
					}
				}
			}
		}
		var got []string
		for _, m := range list(tpl.resource(table.Name + "ThrottlesAlarm").Properties["Metrics"]) {
			if metric := at(m, "MetricStat", "Metric"); text(at(metric, "MetricName")) == "ThrottledRequests" {
				got = append(got, text(object(list(at(metric, "Dimensions"))[1])["Value"]))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%sThrottlesAlarm looks at %v, want %v", table.Name, got, want)
		}
		for _, index := range indexes {
			for _, metric := range []string{"Read", "Write"} {
				if !strings.Contains(dashboard, fmt.Sprintf(`"%sThrottleEvents", "TableName", "${%s}", "GlobalSecondaryIndexName", "%s"`, metric, table.Name, index)) {
					t.Errorf("the dashboard has no %sThrottleEvents of the index %s", metric, index)
				}
			}
		}
	}
}

// Every output says what it is, and what a command of the README takes from one is there.
func TestOutputs(t *testing.T) {
	outputs := map[string]bool{}
	word := regexp.MustCompile(`[A-Z][a-z]+`)
	for name, output := range readTemplate(t).Outputs {
		if text(object(output)["Description"]) == "" {
			t.Errorf("the output %s does not say what it is", name)
		}
		outputs[strings.ToUpper(strings.Join(word.FindAllString(name, -1), "_"))] = true
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\$([A-Z_]+_ARN)\b`).FindAllStringSubmatch(string(readme), -1)
	if len(found) == 0 {
		t.Error("README.md uses no output")
	}
	for _, variable := range found {
		if !outputs[variable[1]] {
			t.Errorf("README.md uses $%s, which no output has", variable[1])
		}
	}
}

// metricsOfTheCode returns the metrics that log lines are, with their dimensions: every metric.Directive of the code.
func metricsOfTheCode(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, "shared"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if selector, is := literalType(literal, ok); !is || selector != "metric.Directive" {
				return true
			}
			dimensions := []string{}
			var names []string
			for _, element := range literal.Elts {
				pair := element.(*ast.KeyValueExpr)
				texts := stringsIn(pair.Value)
				if pair.Key.(*ast.Ident).Name == "Dimensions" {
					dimensions = texts
				} else {
					names = texts
				}
			}
			for _, name := range names {
				found[name] = dimensions
			}
			return true
		})
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	return found
}

func literalType(literal *ast.CompositeLit, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	selector, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	return selector.X.(*ast.Ident).Name + "." + selector.Sel.Name, true
}

func stringsIn(node ast.Node) []string {
	var all []string
	ast.Inspect(node, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			s, _ := strconv.Unquote(literal.Value)
			all = append(all, s)
		}
		return true
	})
	return all
}

func TestAlarmsAreAboutMetricsThatExist(t *testing.T) {
	tpl, ours := readTemplate(t), metricsOfTheCode(t)
	for _, alarm := range tpl.ofType("AWS::CloudWatch::Alarm") {
		metrics := []any{alarm.Properties}
		for _, m := range list(alarm.Properties["Metrics"]) {
			if metric := at(m, "MetricStat", "Metric"); metric != nil {
				metrics = append(metrics, metric)
			}
		}
		if len(metrics) > 1 {
			metrics = metrics[1:]
			if len(metrics) > 10 {
				t.Errorf("%s looks at %d metrics, and may at ten", alarm.Name, len(metrics))
			}
		}
		for _, m := range metrics {
			var dimensions [][2]string
			for _, d := range list(object(m)["Dimensions"]) {
				dimensions = append(dimensions, [2]string{text(object(d)["Name"]), reference(object(d)["Value"])})
			}
			if err := checkMetric(tpl, ours, reference(object(m)["Namespace"]), text(object(m)["MetricName"]), dimensions); err != nil {
				t.Errorf("%s: %v", alarm.Name, err)
			}
		}
	}
}

func TestDashboard(t *testing.T) {
	tpl, ours := readTemplate(t), metricsOfTheCode(t)
	sub := list(at(tpl.resource("Dashboard").Properties, "DashboardBody", "Fn::Sub"))
	own := object(sub[1])
	body := regexp.MustCompile(`\$\{([^}]+)\}`).ReplaceAllStringFunc(text(sub[0]), func(s string) string {
		name, _, _ := strings.Cut(s[2:len(s)-1], ".")
		if _, ok := own[name]; !ok && tpl.resource(name) == nil && !strings.HasPrefix(name, "AWS::") {
			t.Errorf("the dashboard refers to %s", s)
		}
		return s[2 : len(s)-1]
	})
	var dashboard struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title, Region, View string
				Stacked             bool
				Period              int
				Alarms              []string
				Metrics             [][]any
			}
		}
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&dashboard); err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, w := range dashboard.Widgets {
		if w.X+w.Width > 24 || w.Width < 1 || w.Height < 1 || w.Properties.Title == "" {
			t.Errorf("%s is at %d, %d wide", w.Properties.Title, w.X, w.Width)
		}
		shown = append(shown, w.Properties.Alarms...)
		if w.Type == "metric" && (w.Properties.Region != "AWS::Region" || w.Properties.Period%60 != 0 || len(w.Properties.Metrics) == 0) {
			t.Errorf("%s: %+v", w.Properties.Title, w.Properties)
		}
		for _, m := range w.Properties.Metrics {
			if err := checkGraph(tpl, ours, m); err != nil {
				t.Errorf("%s: %v", w.Properties.Title, err)
			}
		}
	}
	var alarms []string
	for _, alarm := range tpl.ofType("AWS::CloudWatch::Alarm") {
		alarms = append(alarms, alarm.Name+".Arn")
	}
	slices.Sort(alarms)
	slices.Sort(shown)
	if !slices.Equal(shown, alarms) {
		t.Errorf("the dashboard shows the alarms %v", shown)
	}
}

// search is what the dashboard looks for: a namespace, in quotes as a stack's name may have hyphens, dimensions, and one metric.
var search = regexp.MustCompile(`^SEARCH\('\{"([^,]+)",([a-zA-Z,]+)\} MetricName="([a-zA-Z]+)"( statusClass="[1-5]xx")?', '(p99|Sum|SampleCount)', \d+\)$`)

// checkGraph checks one line of a widget: namespace, name, names and values of dimensions in turns, and how to draw it.
func checkGraph(tpl *template, ours map[string][]string, m []any) error {
	options, ok := m[len(m)-1].(map[string]any)
	if !ok {
		return fmt.Errorf("%v does not say how", m)
	}
	if expression, ok := options["expression"].(string); ok {
		found := search.FindStringSubmatch(expression)
		if found == nil {
			return fmt.Errorf("%s", expression)
		}
		var dimensions [][2]string
		for _, name := range strings.Split(found[2], ",") {
			dimensions = append(dimensions, [2]string{name})
		}
		return checkMetric(tpl, ours, found[1], found[3], dimensions)
	}
	if stat := text(options["stat"]); !slices.Contains([]string{"Sum", "Maximum", "p50", "p95", "p99"}, stat) {
		return fmt.Errorf("%v by %q", m, stat)
	}
	var dimensions [][2]string
	for n := 2; n+1 < len(m)-1; n += 2 {
		dimensions = append(dimensions, [2]string{text(m[n]), text(m[n+1])})
	}
	return checkMetric(tpl, ours, text(m[0]), text(m[1]), dimensions)
}

// The queries of the runbook are over members that log lines have.
func TestReadmeQueriesMembersOfTheLogLine(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- insights -->")
	queries, _, found := strings.Cut(rest, "<!-- /insights -->")
	if !found {
		t.Fatal("README.md has no queries")
	}
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&out, slog.LevelInfo))
	defer slog.SetDefault(before)
	h := httpapi.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.Unavailable, "busy", "Later.").WithCause(fs.ErrClosed)
	})
	event := events.APIGatewayV2HTTPRequest{RouteKey: "GET /x"}
	event.RequestContext.HTTP.Method, event.RequestContext.DomainName = "GET", "localhost"
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r"})
	lambdahttp.New(h).Handle(ctx, event)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	words := "filter fields stats sort and by as desc count max sum pct answers slowest requests p megabytes request"
	quoted := regexp.MustCompile(`"[^"]*"`)
	for _, word := range regexp.MustCompile(`[a-zA-Z]+`).FindAllString(quoted.ReplaceAllString(queries, ""), -1) {
		if _, member := line[word]; !member && !slices.Contains(strings.Fields(words), word) {
			t.Errorf("a query of README.md is about %q, which %s does not have", word, out.String())
		}
	}
}
