package structure

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// awsMetrics are the metrics of AWS services that alarms and dashboard use, with their dimensions.
// AWS reports no error for a missing metric: its graph stays empty and its alarm never fires.
var awsMetrics = map[string][]string{
	"AWS/ApiGateway Count": {"ApiId"}, "AWS/ApiGateway Latency": {"ApiId"},
	"AWS/ApiGateway 4xx": {"ApiId"}, "AWS/ApiGateway 5xx": {"ApiId"},
	"AWS/Lambda Errors": {"FunctionName"}, "AWS/Lambda IteratorAge": {"FunctionName"},
	"AWS/Lambda Duration":  {"FunctionName"},
	"AWS/Lambda Throttles": {}, "AWS/Lambda ConcurrentExecutions": {}, // of the account
	"AWS/SQS ApproximateNumberOfMessagesVisible": {"QueueName"},
	"AWS/SQS ApproximateAgeOfOldestMessage":      {"QueueName"},
	"AWS/Events Invocations":                     {"EventBusName", "RuleName"},
	"AWS/Events FailedInvocations":               {"EventBusName", "RuleName"},
	"AWS/DynamoDB ConsumedReadCapacityUnits":     {"TableName"},
	"AWS/DynamoDB ConsumedWriteCapacityUnits":    {"TableName"},
	"AWS/DynamoDB ReadThrottleEvents":            {"TableName"},
	"AWS/DynamoDB WriteThrottleEvents":           {"TableName"},
	"AWS/DynamoDB ThrottledRequests":             {"TableName", "Operation"},
}

// dimensionTypes is the type of resource that the value of a dimension must refer to.
var dimensionTypes = map[string]string{
	"ApiId": "AWS::Serverless::HttpApi", "FunctionName": "AWS::Serverless::Function",
	"QueueName": "AWS::SQS::Queue", "TableName": "AWS::DynamoDB::Table",
	"EventBusName": "AWS::Events::EventBus",
}

// checkMetric returns an error if a metric of an alarm or of the dashboard does not exist. Each
// dimension is a name and the target of its value. own are the metrics of the functions' log lines,
// with their dimensions.
func checkMetric(tpl *template, own map[string][]string, namespace, name string, dimensions [][2]string) error {
	var names []string
	for _, d := range dimensions {
		names = append(names, d[0])
		if kind := dimensionTypes[d[0]]; kind != "" {
			resource, _, _ := strings.Cut(d[1], ".")
			if r := tpl.resource(resource); r == nil || r.Type != kind {
				return fmt.Errorf("%s %s: %s is %q, want a resource of type %s", namespace, name, d[0], d[1], kind)
			}
		}
	}
	want, known := awsMetrics[namespace+" "+name]
	if namespace == settings["METRIC_NAMESPACE"] {
		want, known = own[name]
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

// Of a table's metrics only the one by operation includes the requests that an index throttles. So
// the alarm of a table with indexes watches each operation that a function may call, and
// transactions, which need no separate permission. The dashboard shows each index.
func TestIndexThrottlingIsMonitored(t *testing.T) {
	tpl := readTemplate(t)
	shown := map[string]bool{}
	for _, w := range readDashboard(t, tpl) {
		for _, m := range w.Properties.Metrics {
			shown[fmt.Sprint(m[:len(m)-1])] = true
		}
	}
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
			t.Errorf("%sThrottlesAlarm watches the operations %v, want %v", table.Name, got, want)
		}
		for _, index := range indexes {
			for _, metric := range []string{"ReadThrottleEvents", "WriteThrottleEvents"} {
				if !shown[fmt.Sprint([]any{"AWS/DynamoDB", metric, "TableName", table.Name, "GlobalSecondaryIndexName", index})] {
					t.Errorf("the dashboard does not show %s of the index %s", metric, index)
				}
			}
		}
	}
}

// Each output has a description, and each output that a command of the operations guide uses
// exists, in the template or in that of an owner's subscription.
func TestOutputs(t *testing.T) {
	outputs := map[string]bool{}
	word := regexp.MustCompile(`[A-Z][a-z]+`)
	for _, tpl := range []*template{readTemplate(t), readSubscription(t)} {
		for name, output := range tpl.Outputs {
			if text(object(output)["Description"]) == "" {
				t.Errorf("the output %s has no description", name)
			}
			outputs[strings.ToUpper(strings.Join(word.FindAllString(name, -1), "_"))] = true
		}
	}
	readme, err := os.ReadFile(filepath.Join(root, operationsGuide))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\$([A-Z_]+_(?:ARN|TABLE|URL))\b`).FindAllStringSubmatch(string(readme), -1)
	if len(found) == 0 {
		t.Error("the operations guide uses no output")
	}
	for _, variable := range found {
		if !outputs[variable[1]] {
			t.Errorf("the operations guide uses $%s, which is no output of a template", variable[1])
		}
	}
}

// metricsOfTheCode returns the metrics that the functions log, with their dimensions: every
// metric.Directive of the code.
func metricsOfTheCode(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, path := range append(goFiles(t, "functions"), goFiles(t, "shared")...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
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
	}
	if len(found) == 0 {
		t.Fatal("found no metric")
	}
	return found
}

// literalType returns the type of a composite literal, "metric.Directive", if it has a qualified
// name.
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

// stringsIn returns the values of all string literals in node.
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

func TestAlarmsUseExistingMetrics(t *testing.T) {
	const maxMetrics = 10 // CloudWatch's limit for one alarm
	tpl, own := readTemplate(t), metricsOfTheCode(t)
	for _, alarm := range tpl.ofType("AWS::CloudWatch::Alarm") {
		metrics := []any{alarm.Properties}
		for _, m := range list(alarm.Properties["Metrics"]) {
			if metric := at(m, "MetricStat", "Metric"); metric != nil {
				metrics = append(metrics, metric)
			}
		}
		if len(metrics) > 1 {
			metrics = metrics[1:]
			if len(metrics) > maxMetrics {
				t.Errorf("%s watches %d metrics, at most %d are allowed", alarm.Name, len(metrics), maxMetrics)
			}
		}
		for _, m := range metrics {
			var dimensions [][2]string
			for _, d := range list(object(m)["Dimensions"]) {
				dimensions = append(dimensions, [2]string{text(object(d)["Name"]), reference(object(d)["Value"])})
			}
			if err := checkMetric(tpl, own, reference(object(m)["Namespace"]), text(object(m)["MetricName"]), dimensions); err != nil {
				t.Errorf("%s: %v", alarm.Name, err)
			}
		}
	}
}

// A p99 of few requests is their slowest. So an alarm on a percentile does not decide with few
// samples. CloudWatch ignores the property in an alarm on an expression, which must therefore count
// the requests.
func TestPercentilesOfFewSamplesAreIgnored(t *testing.T) {
	found := 0
	for _, alarm := range readTemplate(t).ofType("AWS::CloudWatch::Alarm") {
		stats := []string{text(alarm.Properties["ExtendedStatistic"])}
		metrics := list(alarm.Properties["Metrics"])
		for _, m := range metrics {
			stats = append(stats, text(at(m, "MetricStat", "Stat")))
		}
		if !slices.ContainsFunc(stats, func(s string) bool { return strings.HasPrefix(s, "p") }) {
			continue
		}
		found++
		counts := len(metrics) > 0 && strings.HasPrefix(text(object(metrics[0])["Expression"]), "IF(requests >= 1000, ")
		if !counts && text(alarm.Properties["EvaluateLowSampleCountPercentile"]) != "ignore" {
			t.Errorf("%s alarms on a percentile of few samples", alarm.Name)
		}
	}
	if found == 0 {
		t.Error("no alarm is on a percentile")
	}
}

// Each API and each function writes to its own log group, which keeps logs for LogRetentionDays
// days.
func TestLogGroups(t *testing.T) { report(t, checkLogGroups(readTemplate(t))) }

func checkLogGroups(tpl *template) (found []string) {
	var groups []string
	for _, f := range tpl.functions() {
		want := f.Name + "Logs"
		groups = append(groups, want)
		if name := reference(at(f.Properties, "LoggingConfig", "LogGroup")); name != want || tpl.resource(name) == nil {
			found = append(found, fmt.Sprintf("%s logs to %q, want the log group %s", f.Name, name, want))
		}
	}
	for _, api := range tpl.ofType("AWS::Serverless::HttpApi") {
		want := api.Name + "Logs"
		groups = append(groups, want)
		if target := reference(at(api.Properties, "AccessLogSettings", "DestinationArn")); target != want+".Arn" || tpl.resource(want) == nil {
			found = append(found, fmt.Sprintf("%s logs to %q, want the log group %s", api.Name, target, want))
		}
	}
	for _, group := range tpl.ofType("AWS::Logs::LogGroup") {
		if !slices.Contains(groups, group.Name) {
			found = append(found, group.Name+" is the log group of no API and no function")
		}
		if retention := reference(group.Properties["RetentionInDays"]); retention != "LogRetentionDays" {
			found = append(found, fmt.Sprintf("%s has the retention %q, want LogRetentionDays", group.Name, retention))
		}
	}
	return found
}

// notTimed are the functions of the Storage API that StorageLatencyAlarm leaves out, with the
// reason.
var notTimed = map[string]string{
	"EventQuery": "it holds a request for the time that the caller chooses (long poll)",
	"DocsGet":    "it serves static files and calls no other service",
	// An alarm can watch ten metrics.
	"PartyLookup":   "it reads one to three small items",
	"LegalHoldSet":  "people call it seldom",
	"LegalHoldLift": "people call it seldom",
	"StatisticsGet": "people call it seldom",

	"SubscriptionCreate":     "people call it seldom",
	"SubscriptionDelete":     "people call it seldom",
	"SubscriptionDeliveries": "people call it seldom",
	"SubscriptionGet":        "people call it seldom",
	"SubscriptionList":       "people call it seldom",
	"SubscriptionReplay":     "people call it seldom",
	"SubscriptionRotate":     "people call it seldom",
	"SubscriptionUpdate":     "people call it seldom",
}

// StorageLatencyAlarm watches each function of the Storage API except those in notTimed.
func TestStorageLatencyAlarm(t *testing.T) { report(t, checkStorageLatencyAlarm(readTemplate(t))) }

func checkStorageLatencyAlarm(tpl *template) (found []string) {
	var want, got []string
	for _, f := range tpl.functions() {
		if slices.ContainsFunc(f.Routes, func(r route) bool { return r.API == "StorageApi" }) && notTimed[f.Name] == "" {
			want = append(want, f.Name)
		}
	}
	for name := range notTimed {
		if r := tpl.resource(name); r == nil {
			found = append(found, "notTimed lists "+name+", which does not exist")
		}
	}
	ids := []string{}
	for _, m := range list(tpl.resource("StorageLatencyAlarm").Properties["Metrics"]) {
		stat := object(object(m)["MetricStat"])
		if stat == nil || at(stat, "Metric", "Namespace") == "AWS/ApiGateway" {
			continue // the expression over the others, and the requests
		}
		ids = append(ids, text(object(m)["Id"]))
		metric, dimensions := stat["Metric"], list(at(stat, "Metric", "Dimensions"))
		if at(metric, "Namespace") != "AWS/Lambda" || at(metric, "MetricName") != "Duration" || stat["Stat"] != "p99" || len(dimensions) != 1 {
			found = append(found, fmt.Sprintf("StorageLatencyAlarm watches %v, want the p99 of AWS/Lambda Duration", stat))
			continue
		}
		got = append(got, reference(at(dimensions[0], "Value")))
	}
	expression := text(object(list(tpl.resource("StorageLatencyAlarm").Properties["Metrics"])[0])["Expression"])
	if all := "IF(requests >= 1000, MAX([" + strings.Join(ids, ", ") + "]), 0)"; expression != all {
		found = append(found, fmt.Sprintf("StorageLatencyAlarm has the expression %s, want %s", expression, all))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		found = append(found, fmt.Sprintf("StorageLatencyAlarm watches\n  %v, want\n  %v", got, want))
	}
	return found
}

// widget is a widget of the dashboard. A reference in its texts is the name of its target.
type widget struct {
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

// readDashboard returns the widgets of the dashboard, with those that depend on a condition. In
// their metrics, each "." is replaced by the value that it repeats.
func readDashboard(t *testing.T, tpl *template) []widget {
	t.Helper()
	sub := list(at(tpl.resource("Dashboard").Properties, "DashboardBody", "Fn::Sub"))
	variables := object(sub[1])
	var expand func(body string) string
	expand = func(body string) string {
		return regexp.MustCompile(`\$\{([^}]+)\}`).ReplaceAllStringFunc(body, func(s string) string {
			target := s[2 : len(s)-1]
			name, _, _ := strings.Cut(target, ".")
			variable, ok := variables[name]
			if !ok && tpl.resource(name) == nil && !strings.HasPrefix(name, "AWS::") {
				t.Errorf("the dashboard refers to %s, which does not exist", s)
			}
			if branches := list(at(variable, "Fn::If")); len(branches) == 3 {
				return expand(text(at(branches[1], "Fn::Sub")))
			}
			if value := reference(variable); value != "" {
				return value
			}
			return target
		})
	}
	var dashboard struct{ Widgets []widget }
	decoder := json.NewDecoder(strings.NewReader(expand(text(sub[0]))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&dashboard); err != nil {
		t.Fatal(err)
	}
	for _, w := range dashboard.Widgets {
		var before []any
		for _, m := range w.Properties.Metrics {
			for n, value := range m {
				if value == "." && n < len(before)-1 {
					m[n] = before[n]
				}
			}
			before = m
		}
	}
	return dashboard.Widgets
}

func TestDashboard(t *testing.T) {
	tpl, own := readTemplate(t), metricsOfTheCode(t)
	var shown []string
	for _, w := range readDashboard(t, tpl) {
		p := w.Properties
		if w.X+w.Width > 24 || w.Width < 1 || w.Height < 1 || p.Title == "" {
			t.Errorf("widget %q: x %d, width %d and height %d do not fit 24 columns", p.Title, w.X, w.Width, w.Height)
		}
		shown = append(shown, p.Alarms...)
		if w.Type == "metric" && (p.Region != "AWS::Region" || p.Period%60 != 0 || len(p.Metrics) == 0) {
			t.Errorf("widget %q: want the region of the stack, a period of whole minutes and metrics, got %+v", p.Title, p)
		}
		for _, m := range p.Metrics {
			if err := checkGraph(tpl, own, m); err != nil {
				t.Errorf("widget %q: %v", p.Title, err)
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
		t.Errorf("the dashboard shows the alarms\n%v, want\n%v", shown, alarms)
	}
}

// search is a search expression of the dashboard: a namespace, dimensions and one metric. The
// namespace is in quotes because the name of a stack may contain hyphens.
var search = regexp.MustCompile(`^SEARCH\('\{"([^,]+)",([a-zA-Z,]+)\} MetricName="([a-zA-Z]+)"( statusClass="[1-5]xx")?', '(p99|Sum|SampleCount)', \d+\)$`)

// checkGraph returns an error if a metric of a widget is malformed or does not exist. m is the
// namespace, the name, pairs of a dimension's name and value, and the options of the graph.
func checkGraph(tpl *template, own map[string][]string, m []any) error {
	options, ok := m[len(m)-1].(map[string]any)
	if !ok {
		return fmt.Errorf("%v has no options", m)
	}
	if expression, ok := options["expression"].(string); ok {
		found := search.FindStringSubmatch(expression)
		if found == nil {
			return fmt.Errorf("the expression %s does not match %s", expression, search)
		}
		var dimensions [][2]string
		for _, name := range strings.Split(found[2], ",") {
			dimensions = append(dimensions, [2]string{name})
		}
		return checkMetric(tpl, own, found[1], found[3], dimensions)
	}
	if stat := text(options["stat"]); !slices.Contains([]string{"Sum", "Maximum", "p50", "p95", "p99"}, stat) {
		return fmt.Errorf("%v has the unexpected statistic %q", m, stat)
	}
	var dimensions [][2]string
	for n := 2; n+1 < len(m)-1; n += 2 {
		dimensions = append(dimensions, [2]string{text(m[n]), text(m[n+1])})
	}
	return checkMetric(tpl, own, text(m[0]), text(m[1]), dimensions)
}
