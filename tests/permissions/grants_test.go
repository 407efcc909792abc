package permissions

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// use is a function and a permission: {"data-create", "s3:PutObject on Blobs"}.
type use struct{ function, permission string }

// usedByLambda are resources that Lambda uses on behalf of a function, without a call by its code:
// event sources, failure destinations and the key of encryption. Package structure checks them.
var usedByLambda = map[string]bool{"Outbox.StreamArn": true, "FeedQueue": true, "ScanQueue": true, "WebhookQueue": true, "PublishDeadLetters": true, "KmsKeyArn": true}

// granted reads the permissions in template.yaml, with the line that grants each of them.
func granted(t *testing.T, root string) map[use]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				CodeURI  string   `yaml:"CodeUri"`
				Policies []policy `yaml:"Policies"`

				// Roles are those of functions that have the policy PolicyDocument.
				Roles          []string `yaml:"Roles"`
				PolicyDocument policy   `yaml:"PolicyDocument"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	// Properties of other resource types may not decode, which does not matter here.
	if err := yaml.Unmarshal(text, &file); err != nil && !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Fatal(err)
	}
	grants := map[use]int{}
	for _, r := range file.Resources {
		switch r.Type {
		case "AWS::Serverless::Function":
			for _, policy := range r.Properties.Policies {
				policy.addTo(t, grants, r.Properties.CodeURI)
			}
		case "AWS::IAM::Policy":
			for _, role := range r.Properties.Roles {
				function := file.Resources[strings.TrimSuffix(role, "Role")]
				r.Properties.PolicyDocument.addTo(t, grants, function.Properties.CodeURI)
			}
		}
	}
	if len(grants) < 50 {
		t.Fatalf("read only %d permissions from template.yaml", len(grants))
	}
	return grants
}

// policy is a policy of functions.
type policy struct {
	Statement []yaml.Node `yaml:"Statement"`
}

// addTo adds what the policy allows the function in a folder.
func (p policy) addTo(t *testing.T, grants map[use]int, folder string) {
	t.Helper()
	for _, node := range p.Statement {
		var statement struct {
			Effect   string    `yaml:"Effect"`
			Action   []string  `yaml:"Action"`
			Resource yaml.Node `yaml:"Resource"`
		}
		if err := node.Decode(&statement); err != nil {
			t.Fatalf("template.yaml:%d: %v", node.Line, err)
		}
		if statement.Effect != "Allow" {
			continue
		}
		targets := []*yaml.Node{&statement.Resource}
		if statement.Resource.Kind == yaml.SequenceNode {
			targets = statement.Resource.Content
		}
		for _, target := range targets {
			name := resource(target.Value)
			for _, action := range statement.Action {
				if !usedByLambda[name] {
					grants[use{strings.TrimPrefix(folder, "functions/"), action + " on " + name}] = target.Line
				}
			}
		}
	}
}

var arn = regexp.MustCompile(`^(?:\$\{)?(\w+)\.Arn\}?(/index/\w+)?(?:/\*)?$`)

// resource returns a short name for a statement's resource: "Instances", "Instances/index/byStep",
// "Blobs".
func resource(written string) string {
	if parts := arn.FindStringSubmatch(written); parts != nil {
		return parts[1] + parts[2]
	}
	return written
}
