package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"altinn.no/instanceapi/shared/buffertest"
)

// A patternSample is a pattern of events/owner/patterns.json or of a template for owners.
type patternSample struct {
	Pattern json.RawMessage `json:"pattern"`
	Gets    []string        `json:"gets"` // "application step"
}

// TestPatternsForOwners puts a rule for every documented pattern on the bus, including the patterns
// of the templates. It then creates events in two applications of the owner and in one of another
// owner. Each pattern must match the events that its sample lists, and every document must match
// the published schema.
func TestPatternsForOwners(t *testing.T) {
	sut := system(t)
	if sut.awsEndpoint == "" {
		t.Fatal("set AWS_ENDPOINT, as for TestRuleDeliversToOwnersQueue, or skip this test with -skip TestPatternsForOwners")
	}
	org, other := freshOrg(), freshOrg()
	samples := patternSamples(t, org)
	queues := map[string]*queue{}
	for name := range samples {
		short := fmt.Sprintf("%s-%d", org, len(queues))
		queues[name] = newQueue(t, sut.awsEndpoint, short)
		putRule(t, sut, short, string(samples[name].Pattern), queues[name].arn)
	}
	for _, story := range []struct {
		org, app string
		steps    []string
	}{{org, "melding", []string{"Submit", "Archived"}}, {org, "sak", []string{"Submit"}}, {other, "melding", []string{"Submit"}}} {
		makeEvents(t, sut, story.org, story.app, story.steps)
	}

	schema := eventSchema(t)
	got := map[string]map[string]bool{}
	receive := func(name string, seconds int) {
		for _, message := range queues[name].receive(t, seconds) {
			var entry struct {
				Detail json.RawMessage `json:"detail"`
			}
			var ev struct{ App, WorkflowStep, Org string }
			if err := json.Unmarshal([]byte(message), &entry); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(entry.Detail, &ev); err != nil {
				t.Fatal(err)
			}
			if err := followsSchema(schema, entry.Detail); err != nil {
				t.Errorf("%s: %v", entry.Detail, err)
			}
			if ev.Org != org {
				t.Errorf("the pattern %q matches an event of another owner", name)
			}
			got[name][ev.App+" "+ev.WorkflowStep] = true
		}
	}
	deadline := time.Now().Add(patience)
	for name, sample := range samples {
		got[name] = map[string]bool{}
		for len(got[name]) < len(sample.Gets) && time.Now().Before(deadline) {
			receive(name, 2)
		}
	}
	for name, sample := range samples { // any unexpected events have arrived
		if len(sample.Gets) < 5 {
			receive(name, 0)
		}
		for _, what := range sample.Gets {
			if !got[name][what] {
				t.Errorf("the pattern %q does not match %q", name, what)
			}
			delete(got[name], what)
		}
		for what := range got[name] {
			t.Errorf("the pattern %q matches the unexpected event %q", name, what)
		}
	}

	// The documents of the feed follow the same schema.
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	for _, e := range feedOf(t, sut.api, owner, org, 3) {
		if err := followsSchema(schema, e.document); err != nil {
			t.Errorf("%s: %v", e.document, err)
		}
	}
}

// patternSamples returns the patterns for an org by name.
func patternSamples(t *testing.T, org string) map[string]patternSample {
	t.Helper()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "events", "owner", "patterns.json"))
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]patternSample{}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "${ORG}", org)), &samples); err != nil || len(samples) < 5 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	all := samples["all events of the application owner"].Gets
	for _, rule := range []struct {
		file, name string
		gets       []string
	}{
		{"subscription.yaml", "Live", all}, {"subscription.yaml", "Replayed", nil},
		{"bus.yaml", "Submitted", []string{"melding Submit", "sak Submit"}},
	} {
		pattern := templatePattern(t, filepath.Join(root, "events", "owner", rule.file), rule.name, org)
		if rule.file == "bus.yaml" { // an owner's bus gets no events of other owners
			pattern["source"] = []string{sourceOf(org)}
		}
		raw, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		samples[rule.file+" "+rule.name] = patternSample{raw, rule.gets}
	}
	return samples
}

// templatePattern returns the pattern of a rule in a template, its parameters filled in.
func templatePattern(t *testing.T, path, rule, org string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Properties struct {
				EventPattern map[string]any `yaml:"EventPattern"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	filled := strings.NewReplacer("${EventSourcePrefix}.${Org}", sourceOf(org)).Replace(string(text))
	if err := yaml.Unmarshal([]byte(filled), &template); err != nil {
		t.Fatal(err)
	}
	pattern := template.Resources[rule].Properties.EventPattern
	if pattern == nil {
		t.Fatalf("%s has no rule %s with a pattern", path, rule)
	}
	return pattern
}

// makeEvents registers an application, creates an instance and moves it through the steps, as the
// owner.
func makeEvents(t *testing.T, sut *systemUnderTest, org, app string, steps []string) {
	t.Helper()
	register(t, sut, org, app)
	goThrough(t, sut, org, app, steps)
}

// register registers an application, as the owner.
func register(t *testing.T, sut *systemUnderTest, org, app string) {
	t.Helper()
	mustDo(t, sut, org, http.MethodPut, "/storage/applications/"+org+"/"+app, "{}", http.StatusCreated)
}

// mustDo sends a request as the owner and fails the test if the response has another status.
func mustDo(t *testing.T, sut *systemUnderTest, org, method, target, body string, status int) *exchange {
	t.Helper()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	x, err := sut.do(t.Context(), request{method: method, target: target, body: []byte(body), header: jsonHeader()}, owner)
	if err != nil || x.status != status {
		t.Fatalf("%v\n%v", err, x)
	}
	return x
}

// goThrough creates an instance and moves it through the steps, as the owner.
func goThrough(t *testing.T, sut *systemUnderTest, org, app string, steps []string) {
	t.Helper()
	var made struct{ ID, InstanceOwnerID string }
	created := mustDo(t, sut, org, http.MethodPost, "/"+org+"/"+app+"/instances", fmt.Sprintf(`{"reportee":{"ssn":%q}}`, randomDigits(11)), http.StatusCreated)
	if err := json.Unmarshal(created.body, &made); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		mustDo(t, sut, org, http.MethodPut, fmt.Sprintf("/%s/%s/instances/%s/%s/workflow", org, app, made.InstanceOwnerID, made.ID), fmt.Sprintf(`{"currentStep":%q}`, step), http.StatusOK)
	}
}

func eventSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join(root, "events", "owner", "workflow-state-change.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func followsSchema(schema *jsonschema.Schema, document []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// heldPerOrg is the number of requests that the system of the tests holds for an organisation.
const heldPerOrg = 2

// TestHeldRequestReturnsTheNextEvent polls an empty feed with Prefer: wait, as often as the
// organisation may, until the next event comes. One more held request gets 429.
func TestHeldRequestReturnsTheNextEvent(t *testing.T) {
	sut := system(t)
	org := freshOrg()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	register(t, sut, org, "melding")
	poll := func(prefer string) (*exchange, error) {
		header := http.Header{"Prefer": {prefer}}
		return sut.do(t.Context(), request{method: http.MethodGet, target: "/storage/applications/" + org + "/melding/events", header: header}, owner)
	}
	// awaitEvent repeats the held request, because on a busy machine an event may take longer than
	// one hold.
	awaitEvent := func() error {
		for deadline := time.Now().Add(patience); ; {
			x, err := poll("wait=20")
			switch {
			case err != nil:
				return err
			case x.status == http.StatusTooManyRequests: // the additional request below has the place
				time.Sleep(pollEvery)
			case x.status != http.StatusOK || x.header.Get("Preference-Applied") != "wait=20":
				return fmt.Errorf("want 200 with Preference-Applied\n%v", x)
			}
			if items, err := x.items(); x.status == http.StatusOK && len(items) == 1 && err == nil {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("no event\n%v", x)
			}
		}
	}
	results := make(chan error, heldPerOrg)
	for range heldPerOrg {
		go func() { results <- awaitEvent() }()
	}
	for deadline := time.Now().Add(patience); sut.own; {
		x, err := poll("wait=1")
		if err != nil {
			t.Fatal(err)
		}
		if x.status == http.StatusTooManyRequests && x.header.Get("Retry-After") != "" && strings.Contains(string(x.body), `"feed-held-count"`) {
			break
		}
		if x.status != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("one held request too many: want 429\n%v", x)
		}
	}
	select {
	case err := <-results:
		t.Fatalf("a response before the event: %v", err)
	default:
	}
	goThrough(t, sut, org, "melding", nil)
	for range heldPerOrg {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestGuideFollow runs the loop for following a feed of the page for application owners, with
// another application, and makes events. The loop must print every event once, in the order of the
// feed.
func TestGuideFollow(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	markdown, err := os.ReadFile(filepath.Join(root, ownersGuide))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(markdown), "<!-- follow -->\n```sh\n")
	loop, _, ended := strings.Cut(rest, "```\n<!-- /follow -->")
	if !found || !ended || strings.Count(loop, "\n") != 3 {
		t.Fatalf("%s has no loop of three lines between <!-- follow --> and <!-- /follow -->:\n%s", ownersGuide, loop)
	}
	sut := system(t)
	org := freshOrg()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	own := strings.ReplaceAll(loop, "/applications/nav/walk2026/", "/applications/"+org+"/melding/")
	if own == loop {
		t.Fatal("the loop does not use the application of the README's walk")
	}

	// Replace jq, which may not be installed and is not under test.
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "jq"), []byte("#!/bin/sh\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", own)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DIR="+cmd.Dir, "BASE="+sut.base, "NAV=Authorization: Bearer "+owner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the loop, its curl and its jq end together
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out := &lines{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()

	makeEvents(t, sut, org, "melding", []string{"Submit"})
	waitFor(t, out, 2)
	if _, err := createAndSubmit(t.Context(), sut.api, owner, org); err != nil {
		t.Fatal(err)
	}
	waitFor(t, out, 4)
	var want []string
	for _, e := range feedOf(t, sut.api, owner, org, 4) {
		want = append(want, string(e.document))
	}
	if got := out.whole(); !slices.Equal(got, want) {
		t.Errorf("the loop printed\n%s\nand the feed has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func waitFor(t *testing.T, out *lines, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(out.whole()) < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the loop printed %d lines of %d", len(out.whole()), n)
		}
	}
}

// lines is the output of a command.
type lines struct{ buffertest.Buffer }

// whole returns the complete lines.
func (l *lines) whole() []string {
	all := strings.Split(l.String(), "\n")
	return all[:len(all)-1]
}
