package structure

import (
	"slices"
	"strings"
	"testing"
)

// deployment is the template with values for its parameters.
type deployment struct {
	*template
	values map[string]string // by parameter; missing ones have their default
}

// missing is the value of AWS::NoValue.
type missing struct{}

// value returns v with its conditions (Fn::If) evaluated and its references to parameters replaced
// by their values. It omits members and items with the value AWS::NoValue.
func (d deployment) value(v any) any {
	switch v := v.(type) {
	case []any:
		all := []any{}
		for _, item := range v {
			if item = d.value(item); item != (missing{}) {
				all = append(all, item)
			}
		}
		return all
	case map[string]any:
		if name := text(v["Ref"]); name == "AWS::NoValue" {
			return missing{}
		} else if parameter := object(d.Parameters[name]); parameter != nil {
			if given, ok := d.values[name]; ok {
				return given
			}
			return parameter["Default"]
		}
		if branches := list(v["Fn::If"]); len(branches) == 3 {
			if d.holds(d.Conditions[text(branches[0])]) {
				return d.value(branches[1])
			}
			return d.value(branches[2])
		}
		members := map[string]any{}
		for key, item := range v {
			if item = d.value(item); item != (missing{}) {
				members[key] = item
			}
		}
		return members
	}
	return v
}

// holds reports whether a condition is true. It panics if it does not know the condition's
// function.
func (d deployment) holds(condition any) bool {
	for function, argument := range object(condition) {
		switch arguments := list(argument); function {
		case "Condition":
			return d.holds(d.Conditions[text(argument)])
		case "Fn::Not":
			return !d.holds(arguments[0])
		case "Fn::And":
			return !slices.ContainsFunc(arguments, func(c any) bool { return !d.holds(c) })
		case "Fn::Equals":
			return d.value(arguments[0]) == d.value(arguments[1])
		}
	}
	panic("unknown condition")
}

// creates reports whether the deployment creates the resource.
func (d deployment) creates(r *resource) bool {
	condition := text(at(plain(r.node), "Condition"))
	return condition == "" || d.holds(d.Conditions[condition])
}

// property returns a property of the resource at the end of a path of keys, or nil if there is
// none.
func (d deployment) property(r *resource, path ...string) any {
	return at(d.value(map[string]any(r.Properties)), path...)
}

func TestDeployment(t *testing.T) {
	tpl, err := parseTemplate([]byte(`
Parameters:
  Name: {Type: String, Default: ''}
  Size: {Type: Number, Default: 3}
Conditions:
  IsNamed: !Not [!Equals [!Ref Name, '']]
  IsBoth: !And [!Condition IsNamed, !Equals [!Ref Size, 3]]
Resources:
  R:
    Type: T
    Condition: IsNamed
    Properties: {a: !If [IsBoth, !Ref Name, !Ref AWS::NoValue], b: [!Ref Size, !If [IsNamed, x, !Ref AWS::NoValue]]}
`))
	if err != nil {
		t.Fatal(err)
	}
	r := tpl.resource("R")
	for name, want := range map[string]struct {
		creates bool
		a       any
		items   int
	}{"": {false, nil, 1}, "n": {true, "n", 2}} {
		d := deployment{tpl, map[string]string{"Name": name}}
		if creates, a, b := d.creates(r), d.property(r, "a"), list(d.property(r, "b")); creates != want.creates || a != want.a || len(b) != want.items {
			t.Errorf("Name %q: created %v, a = %v, b = %v, want %v", name, creates, a, b, want)
		}
	}
}

// checks are the checks of the template that TestChecksFindMistakes tests. Each returns one line
// for each mistake.
var checks = map[string]func(*template) []string{
	"kmsKey":              checkKMSKey,
	"gatewayTokens":       checkGatewayTokens,
	"logGroups":           checkLogGroups,
	"storageLatencyAlarm": checkStorageLatencyAlarm,
}

// Each check finds mistakes that are made in the parsed template.
func TestChecksFindMistakes(t *testing.T) {
	properties := func(tpl *template, name string) map[string]any { return tpl.resource(name).Properties }
	paths := func(tpl *template, api string) map[string]any {
		return object(at(properties(tpl, api), "DefinitionBody", "paths"))
	}
	mistakes := []struct {
		check, name, finding string
		make                 func(tpl *template)
	}{
		{"kmsKey", "a function missing in KeyUse", "KeyUse", func(tpl *template) {
			p := properties(tpl, "KeyUse")
			p["Roles"] = list(p["Roles"])[1:]
		}},
		{"kmsKey", "a role of no function in KeyUse", "KeyUse", func(tpl *template) {
			p := properties(tpl, "KeyUse")
			p["Roles"] = append(list(p["Roles"]), map[string]any{"Ref": "NothingRole"})
		}},
		{"kmsKey", "a KeyUse with too many actions", "KeyUse", func(tpl *template) {
			s := object(list(at(properties(tpl, "KeyUse"), "PolicyDocument", "Statement"))[0])
			s["Action"] = append(list(s["Action"]), "kms:Encrypt")
		}},
		{"kmsKey", "a KeyUse for every key", "KeyUse", func(tpl *template) {
			object(list(at(properties(tpl, "KeyUse"), "PolicyDocument", "Statement"))[0])["Resource"] = "*"
		}},
		{"kmsKey", "a table without the key", "Events", func(tpl *template) { delete(properties(tpl, "Events"), "SSESpecification") }},
		{"kmsKey", "a queue without the key", "FeedQueue", func(tpl *template) { delete(properties(tpl, "FeedQueue"), "KmsMasterKeyId") }},
		{"kmsKey", "a queue with two keys", "FeedQueue", func(tpl *template) { properties(tpl, "FeedQueue")["SqsManagedSseEnabled"] = true }},
		{"kmsKey", "a queue with no encryption", "FeedQueue", func(tpl *template) { delete(properties(tpl, "FeedQueue"), "SqsManagedSseEnabled") }},
		{"kmsKey", "a log group without the key", "DataGetLogs", func(tpl *template) { delete(properties(tpl, "DataGetLogs"), "KmsKeyId") }},
		{"kmsKey", "functions without the key", "DataGet", func(tpl *template) { delete(object(at(tpl.Globals, "Function")), "KmsKeyArn") }},
		{"kmsKey", "a function with another key", "DataGet", func(tpl *template) { properties(tpl, "DataGet")["KmsKeyArn"] = "arn:aws:kms:other" }},
		{"kmsKey", "a bucket without the key", "Blobs", func(tpl *template) { delete(properties(tpl, "Blobs"), "BucketEncryption") }},
		{"gatewayTokens", "a route without a token check", "get /storage/instances ", func(tpl *template) {
			delete(object(paths(tpl, "StorageApi")["/storage/instances"]), "get")
		}},
		{"gatewayTokens", "a route with an empty check", "put /storage/applications/{org}/{app} ", func(tpl *template) {
			object(at(paths(tpl, "StorageApi"), "/storage/applications/{org}/{app}", "put"))["security"] = []any{}
		}},
		{"gatewayTokens", "a check that no parameter disables", "post /{org}/{app}/instances ", func(tpl *template) {
			object(at(paths(tpl, "AppsApi"), "/{org}/{app}/instances", "post"))["security"] = []any{map[string]any{"Token": []any{}}}
		}},
		{"gatewayTokens", "a route of no function", "get /storage/forgotten", func(tpl *template) {
			paths(tpl, "StorageApi")["/storage/forgotten"] = map[string]any{"get": map[string]any{"security": []any{}}}
		}},
		{"gatewayTokens", "a token check of the documentation", "get /storage/docs ", func(tpl *template) {
			p := paths(tpl, "StorageApi")
			p["/storage/docs"] = p["/storage/instances"]
		}},
		{"gatewayTokens", "an API without an authorizer", "AppsApi", func(tpl *template) {
			delete(object(properties(tpl, "AppsApi")["DefinitionBody"]), "components")
		}},
		{"gatewayTokens", "an authorizer for another audience", "AppsApi", func(tpl *template) {
			branches := list(at(properties(tpl, "AppsApi"), "DefinitionBody", "components", "Fn::If"))
			object(at(branches[1], "securitySchemes", "Token", "x-amazon-apigateway-authorizer", "jwtConfiguration"))["audience"] = []any{"other"}
		}},
		{"logGroups", "a function without a log group", "DataGet ", func(tpl *template) { delete(properties(tpl, "DataGet"), "LoggingConfig") }},
		{"logGroups", "a function with the log group of another", "DataGet ", func(tpl *template) {
			properties(tpl, "DataGet")["LoggingConfig"] = properties(tpl, "DataDelete")["LoggingConfig"]
		}},
		{"logGroups", "a log group that keeps logs forever", "DataGetLogs ", func(tpl *template) { delete(properties(tpl, "DataGetLogs"), "RetentionInDays") }},
		{"logGroups", "a log group of no function", "OldLogs ", func(tpl *template) {
			old := *tpl.resource("DataGetLogs")
			old.Name = "OldLogs"
			tpl.Resources = append(tpl.Resources, &old)
		}},
		{"storageLatencyAlarm", "a function missing in the alarm", "InstanceQuery", func(tpl *template) {
			p := properties(tpl, "StorageLatencyAlarm")
			p["Metrics"] = slices.DeleteFunc(list(p["Metrics"]), func(m any) bool {
				dimensions := list(at(m, "MetricStat", "Metric", "Dimensions"))
				return len(dimensions) == 1 && reference(at(dimensions[0], "Value")) == "InstanceQuery"
			})
		}},
		{"storageLatencyAlarm", "a function of the other API in the alarm", "DataGet", func(tpl *template) {
			metric := object(at(list(properties(tpl, "StorageLatencyAlarm")["Metrics"])[1], "MetricStat", "Metric"))
			object(list(metric["Dimensions"])[0])["Value"] = map[string]any{"Ref": "DataGet"}
		}},
		{"storageLatencyAlarm", "another statistic", "p50", func(tpl *template) {
			object(at(list(properties(tpl, "StorageLatencyAlarm")["Metrics"])[1], "MetricStat"))["Stat"] = "p50"
		}},
	}
	for _, m := range mistakes {
		t.Run(m.check+"/"+m.name, func(t *testing.T) {
			tpl := readTemplate(t)
			m.make(tpl)
			if found := strings.Join(checks[m.check](tpl), "\n"); !strings.Contains(found, m.finding) {
				t.Errorf("the check reports %q, want a line about %s", found, m.finding)
			}
		})
	}
}

// report fails the test for each mistake that a check finds in template.yaml.
func report(t *testing.T, found []string) {
	t.Helper()
	for _, line := range found {
		t.Error(line)
	}
}
