package structure

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The sample workflow deploys the tested commit to dev and then to prod, without a stored key. Only
// a deployment may get credentials, and it cannot be cut off by the next one.
func TestSampleWorkflow(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "tests", "deploy", "workflow.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Needs, Environment string
			Permissions        map[string]string
			Concurrency        struct {
				CancelInProgress *bool `yaml:"cancel-in-progress"`
			}
			Steps []struct{ Uses, Run string }
		}
	}
	if err := yaml.Unmarshal(content, &workflow); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "secrets.") || workflow.Permissions["id-token"] != "" {
		t.Error("the workflow uses a stored secret, or gives every job a token")
	}
	for name, needs := range map[string]string{"dev": "test", "prod": "dev"} {
		job := workflow.Jobs[name]
		if job.Needs != needs || job.Environment != name || job.Permissions["id-token"] != "write" {
			t.Errorf("%s: needs %q, environment %q, permissions %v", name, job.Needs, job.Environment, job.Permissions)
		}
		if cancels := job.Concurrency.CancelInProgress; cancels == nil || *cancels {
			t.Errorf("%s: a later deployment cuts this one off", name)
		}
		if len(job.Steps) == 0 || !strings.HasPrefix(job.Steps[len(job.Steps)-1].Run, "make deploy ENV=") {
			t.Errorf("%s does not deploy", name)
		}
	}
}
