package structure

import (
	"slices"
	"strings"
	"testing"
)

// An index is paid for on every write. Its comment names the query that needs it.
func TestEachIndexSaysWhichQueryNeedsIt(t *testing.T) {
	for _, table := range readTemplate(t).ofType("AWS::DynamoDB::Table") {
		indexes := child(child(table.node, "Properties"), "GlobalSecondaryIndexes")
		if indexes == nil {
			continue
		}
		for _, index := range indexes.Content {
			// The parser leaves a comment with the entry or with its first key.
			comment := index.HeadComment
			if len(index.Content) > 0 {
				comment += index.Content[0].HeadComment
			}
			if !strings.Contains(comment, "GET /") {
				t.Errorf("the comment of index %s of %s does not name a query: %q", text(object(plain(index))["IndexName"]), table.Name, comment)
			}
		}
	}
}

// A linter takes the keys in any order, DynamoDB does not.
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
				t.Errorf("keys of %s: %v", name, kinds)
			}
		}
	}
}

func TestDataIsProtectedByOneParameter(t *testing.T) {
	tpl := readTemplate(t)
	kept := append(tpl.ofType("AWS::DynamoDB::Table"), tpl.ofType("AWS::S3::Bucket")...)
	if len(kept) < 6 {
		t.Fatalf("%d tables and buckets", len(kept))
	}
	for _, r := range kept {
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if choice := text(at(plain(r.node), policy)); choice != "Retain" && (choice != "RetainExceptOnCreate" || policy != "DeletionPolicy") {
				t.Errorf("%s: %s is %v", r.Name, policy, choice)
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
			t.Errorf("%s is not on demand", r.Name)
		}
	}
}

// What SAM makes of a function or an API can be referred to as well, but by these names alone: those of its versions and
// deployments change with what is in them.
func TestReferencesAreToWhatTheTemplateNames(t *testing.T) {
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

func TestSamLocalFindsTheBinaryHintFirst(t *testing.T) {
	tpl := readTemplate(t)
	hint := tpl.Resources[0]
	condition := text(at(plain(hint.node), "Condition"))
	if hint.Type != "AWS::Serverless::Api" || !slices.Equal(list(hint.Properties["BinaryMediaTypes"]), []any{"*/*"}) || condition == "" {
		t.Fatalf("the first resource is %s, %s", hint.Name, hint.Type)
	}
	parameter := reference(list(at(tpl.Conditions, condition, "Fn::Equals"))[0])
	if allowed := list(at(tpl.Parameters, parameter, "AllowedValues")); !slices.Equal(allowed, []any{"false"}) {
		t.Errorf("%s can be created: %s may be any of %v", hint.Name, parameter, allowed)
	}
}
