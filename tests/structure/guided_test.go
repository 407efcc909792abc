package structure

import (
	"slices"
	"testing"
)

// The console shows the parameters in the groups of the template's Metadata, and `sam deploy
// --guided` prompts for them in the order of Parameters. Both orders are the same, and begin with
// the parameters that need a value.
func TestParametersAreGrouped(t *testing.T) {
	tpl := readTemplate(t)
	var grouped []string
	for _, group := range list(at(tpl.Metadata, "AWS::CloudFormation::Interface", "ParameterGroups")) {
		if text(at(object(group), "Label", "default")) == "" {
			t.Errorf("a group has no label: %v", group)
		}
		for _, name := range list(object(group)["Parameters"]) {
			grouped = append(grouped, text(name))
		}
	}
	if !slices.Equal(grouped, tpl.ParameterNames) {
		t.Errorf("the groups have the parameters\n  %v\nwant those of the template, in the same order:\n  %v", grouped, tpl.ParameterNames)
	}
	optional := false
	for _, name := range tpl.ParameterNames {
		_, hasDefault := object(tpl.Parameters[name])["Default"]
		if optional = optional || hasDefault; optional && !hasDefault {
			t.Errorf("%s has no default, so it must be before the parameters with a default", name)
		}
	}
}

// `sam deploy --guided` prompts for each route of an API without Auth, and ends at the first no.
func TestAPIsHaveAuth(t *testing.T) {
	for _, api := range readTemplate(t).ofType("AWS::Serverless::HttpApi") {
		if len(object(api.Properties["Auth"])) == 0 {
			t.Errorf("%s has no Auth", api.Name)
		}
	}
}
