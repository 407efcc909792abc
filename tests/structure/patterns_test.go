package structure

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/party"
)

// The code, openapi.yaml and the schema of events accept the same names and numbers.
func TestNamesHaveOneForm(t *testing.T) {
	const eventSchema = "events/owner/event.schema.json"
	content, err := os.ReadFile(filepath.Join(root, eventSchema))
	if err != nil {
		t.Fatal(err)
	}
	var ofEvent struct {
		Properties map[string]struct{ Pattern string }
	}
	if err := json.Unmarshal(content, &ofEvent); err != nil {
		t.Fatal(err)
	}
	d := readContract(t)
	pattern := func(path ...string) string { return d.At(append(path, "pattern")...).Text() }
	// Values of every length, so that each limit is tested.
	var org, app, number []string
	for n := range 80 {
		org = append(org, strings.Repeat("a", n))
		app = append(app, "a"+strings.Repeat("-", n))
		number = append(number, strings.Repeat("1", n), "0"+strings.Repeat("1", n))
	}
	invalid := []string{"", "NAV", "nav_1", "1nav", "-nav", "nav.1", "nav ", "nåv", "a-1", "n2v", "0", "-1", "1.0", "1e3", " 1", "٥"}
	org, app, number = append(org, invalid...), append(app, invalid...), append(number, invalid...)
	for name, notion := range map[string]struct {
		schema, member string // in openapi.yaml, and in the schema of events
		valid          func(string) bool
		values         []string
	}{
		"org": {"Org", "org", application.ValidOrg, org},
		"app": {"App", "app", func(s string) bool { return application.ValidID("nav", s) }, app},
		"appId": {"AppId", "appId", func(s string) bool { _, _, ok := application.SplitID(s); return ok },
			append(prefixed("nav/", app), append(suffixed(org, "/app"), "nav", "nav/app/x", "/", "nav//app")...)},
		"instanceOwnerId":            {"InstanceOwnerId", "instanceOwnerId", instance.ValidInstanceOwnerID, number},
		"number of a party in token": {"InstanceOwnerId", "instanceOwnerId", party.ValidNumber, number},
	} {
		published, event := pattern("components", "schemas", notion.schema), ofEvent.Properties[notion.member].Pattern
		for where, text := range map[string]string{"openapi.yaml": published, eventSchema: event} {
			expression, err := regexp.Compile(text)
			if err != nil || text == "" {
				t.Errorf("%s: %s has the pattern %q: %v", where, name, text, err)
				continue
			}
			for _, value := range notion.values {
				if got, want := expression.MatchString(value), notion.valid(value); got != want {
					t.Errorf("%s: %s %q: the pattern accepts it: %v; the code accepts it: %v", where, name, value, got, want)
				}
			}
		}
	}
}

func prefixed(prefix string, values []string) (all []string) {
	for _, value := range values {
		all = append(all, prefix+value)
	}
	return all
}

func suffixed(values []string, suffix string) (all []string) {
	for _, value := range values {
		all = append(all, value+suffix)
	}
	return all
}
