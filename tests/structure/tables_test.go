package structure

import (
	"slices"
	"strings"
	"testing"
)

// The comment of an index names the query or the scheduled function that needs the index, because
// an index costs money on each write.
func TestIndexCommentsNameTheirQuery(t *testing.T) {
	for _, table := range readTemplate(t).ofType("AWS::DynamoDB::Table") {
		indexes := child(child(table.node, "Properties"), "GlobalSecondaryIndexes")
		if indexes == nil {
			continue
		}
		for _, index := range indexes.Content {
			// The parser attaches a comment to the entry or to its first key.
			comment := index.HeadComment
			if len(index.Content) > 0 {
				comment += index.Content[0].HeadComment
			}
			if !strings.Contains(comment, "GET /") && !strings.Contains(comment, "every minute") {
				t.Errorf("%s: the comment of index %s names neither a query (GET /…) nor a schedule (every minute): %q", table.Name, text(object(plain(index))["IndexName"]), comment)
			}
		}
	}
}

// DynamoDB requires the hash key before the range key, which cfn-lint does not check.
func TestKeysAreHashThenRange(t *testing.T) {
	for _, table := range readTemplate(t).ofType("AWS::DynamoDB::Table") {
		schemas := map[string]any{table.Name: table.Properties["KeySchema"]}
		for _, index := range list(table.Properties["GlobalSecondaryIndexes"]) {
			schemas[text(object(index)["IndexName"])] = object(index)["KeySchema"]
		}
		for name, schema := range schemas {
			var kinds []string
			for _, key := range list(schema) {
				kinds = append(kinds, text(object(key)["KeyType"]))
			}
			if !slices.Equal(kinds, []string{"HASH", "RANGE"}) && !slices.Equal(kinds, []string{"HASH"}) {
				t.Errorf("the keys of %s are %v, want HASH and then at most one RANGE", name, kinds)
			}
		}
	}
}

// ProtectData protects each table, and no table or bucket is deleted with the stack.
func TestProtectDataProtectsTables(t *testing.T) {
	tpl := readTemplate(t)
	kept := append(tpl.ofType("AWS::DynamoDB::Table"), tpl.ofType("AWS::S3::Bucket")...)
	if len(kept) < 6 {
		t.Fatalf("found only %d tables and buckets", len(kept))
	}
	for _, r := range kept {
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if choice := text(at(plain(r.node), policy)); choice != "Retain" {
				t.Errorf("%s: %s is %v, want Retain", r.Name, policy, choice)
			}
		}
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		for _, path := range [][]string{{"DeletionProtectionEnabled"}, {"PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"}} {
			if choice := list(at(r.Properties, append(path, "Fn::If")...)); !slices.Equal(choice, []any{"ProtectsData", true, false}) {
				t.Errorf("%s: %v is %v", r.Name, path, choice)
			}
		}
		if r.Properties["BillingMode"] != "PAY_PER_REQUEST" {
			t.Errorf("%s: BillingMode must be PAY_PER_REQUEST", r.Name)
		}
	}
}

// References resolve to a parameter, a resource, or a resource that SAM creates under a stable
// name. The names of versions and deployments that SAM creates change with their content.
func TestReferencesResolve(t *testing.T) {
	tpl := readTemplate(t)
	made := map[string]bool{}
	for _, r := range tpl.Resources {
		switch r.Type {
		case "AWS::Serverless::Function":
			made[r.Name+".Alias"], made[r.Name+"Role"] = true, true
		case "AWS::Serverless::HttpApi":
			made[r.Name+".Stage"] = true
		}
	}
	for _, r := range tpl.Resources {
		references(plain(r.node), func(name string) {
			_, parameter := tpl.Parameters[name]
			if !parameter && !made[name] && tpl.resource(name) == nil && !strings.HasPrefix(name, "AWS::") {
				t.Errorf("%s refers to %s, which is neither a parameter nor a resource of the template", r.Name, name)
			}
		})
	}
}

// SamLocalBinaryHint is the first resource and is never created, see template.yaml.
func TestSamLocalBinaryHintIsFirst(t *testing.T) {
	tpl := readTemplate(t)
	hint := tpl.Resources[0]
	condition := text(at(plain(hint.node), "Condition"))
	if hint.Type != "AWS::Serverless::Api" || !slices.Equal(list(hint.Properties["BinaryMediaTypes"]), []any{"*/*"}) || condition == "" {
		t.Fatalf("the first resource is %s (%s), want an API with binary media types and a condition", hint.Name, hint.Type)
	}
	if equal := list(at(tpl.Conditions, condition, "Fn::Equals")); len(equal) != 2 || reference(equal[0]) != "AWS::Region" || equal[1] != "never" {
		t.Errorf("%s can be created: the condition %s compares %v", hint.Name, condition, equal)
	}
}
