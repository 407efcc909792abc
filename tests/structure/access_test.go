package structure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// settings is what each environment variable has to refer to. Two functions that read the same variable thus mean
// the same thing by it.
var settings = map[string]string{
	"INSTANCES_TABLE":     "Instances",
	"OUTBOX_TABLE":        "Outbox",
	"EVENTS_TABLE":        "Events",
	"APPLICATIONS_TABLE":  "Applications",
	"PARTIES_TABLE":       "Parties",
	"BLOBS_BUCKET":        "Blobs",
	"EVENT_BUS":           "Bus",
	"EVENT_SOURCE_PREFIX": "EventSourcePrefix",
	"APPS_BASE_URL":       "AppsBaseUrl",
	"PLATFORM_BASE_URL":   "PlatformBaseUrl",
	"TOKEN_ISSUER":        "TokenIssuer",
	"TOKEN_AUDIENCE":      "TokenAudience",
	"TOKEN_JWKS":          "TokenJwks",
	"IDENTITY_KEY":        "IdentityKey",
	"CREATES_PER_HOUR":    "CreatesPerHour",
	"METRIC_NAMESPACE":    "AWS::StackName",
}

// usedBy is the resource that each package's calls to AWS are about. elsewhere are the calls that are about another.
var (
	usedBy = map[string]string{
		"shared/instance/instancetable":       "Instances",
		"shared/event/outboxtable":            "Outbox",
		"shared/event/eventtable":             "Events",
		"shared/event/eventbus":               "Bus",
		"shared/application/applicationtable": "Applications",
		"shared/party/partytable":             "Parties",
		"shared/blob/blobbucket":              "Blobs",
	}
	elsewhere = map[use]string{
		{Package: "shared/event/eventtable", Action: "dynamodb:DeleteItem"}: "Outbox", // an acknowledgement
	}
)

// notNeeded are permissions that the code can use and a function has no use for, with the reason.
var notNeeded = map[string]func(f *function) bool{
	// Any write of an instance deletes the items of the labels that it lost; these alone make one lose any.
	"dynamodb:DeleteItem on Instances": func(f *function) bool { return f.Name != "InstanceUpdate" && f.Name != "InstanceDelete" },
	// One warm-up warms the connection to all tables, and these have theirs by another table; they read by query alone.
	"dynamodb:GetItem on Instances": func(f *function) bool { return f.Name == "InstanceQuery" || f.Name == "PartyInstances" },
	"dynamodb:GetItem on Events":    func(f *function) bool { return f.Name == "InstanceHistory" },
	// The warm-up asks for an object that is not there, and being refused warms as well: the sweep reads no bytes.
	"s3:GetObject on Blobs": func(f *function) bool { return f.Name == "BlobSweep" },
}

// reach returns what the code of each function can do, by the function's folder.
func reach(t *testing.T) map[string]map[use]bool {
	t.Helper()
	found, err := reachOnce()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var reachOnce = sync.OnceValues(func() (map[string]map[use]bool, error) {
	program, err := loadFunctions()
	if err != nil {
		return nil, err
	}
	found := map[string]map[use]bool{}
	for _, p := range program.packages {
		if folder, ok := strings.CutPrefix(p.folder(), "functions/"); ok && p.ours() {
			found[folder] = program.reachable(p)
		}
	}
	return found, nil
})

// A function gets the environment variables that its code reads, those only, and none that means something else
// elsewhere. AWS_ variables are coldstart's own, and Lambda's; SSL_CERT_FILE is crypto/x509's, and those that begin with GO
// are Go's runtime's. What Globals gives to all, so that no new function goes without, some have no use for.
func TestEnvironmentIsWhatTheCodeReads(t *testing.T) {
	reached := reach(t)
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		read := map[string]bool{}
		for u := range reached[f.Folder] {
			if u.Env != "" {
				read[u.Env] = true
			}
		}
		for name := range read {
			if _, ok := f.Environment[name]; !ok && name != "SSL_CERT_FILE" {
				t.Errorf("%s reads %s, which the template does not give it", f.Name, name)
			}
		}
		for name, value := range f.Environment {
			if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "GO") {
				continue
			}
			if _, global := object(at(tpl.Globals, "Function", "Environment", "Variables"))[name]; !read[name] && !global {
				t.Errorf("%s has the variable %s, which its code does not read", f.Name, name)
			}
			if value != settings[name] {
				t.Errorf("%s: %s refers to %q, want %q", f.Name, name, value, settings[name])
			}
		}
	}
}

// What the heap may grow to is a share of the memory that the function has: with more, Lambda would end the process before
// its garbage is collected, and with less it would be collected all the time.
func TestMemoryLimitIsAShareOfTheMemory(t *testing.T) {
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		memory, _ := tpl.numberOf(f, "MemorySize")
		var limit int
		if _, err := fmt.Sscanf(f.Environment["GOMEMLIMIT"], "%dMiB", &limit); err != nil || limit < memory*3/4 || limit > memory*7/8 {
			t.Errorf("%s has %d MB, and a limit of %q", f.Name, memory, f.Environment["GOMEMLIMIT"])
		}
	}
}

// A function's policy has what its code can do, and nothing more.
func TestPoliciesAreWhatTheCodeDoes(t *testing.T) {
	reached := reach(t)
	for _, f := range readTemplate(t).functions() {
		known := slices.Collect(maps.Values(f.Environment))
		needed := map[string]bool{}
		for u := range reached[f.Folder] {
			if u.Action == "" {
				continue
			}
			target := elsewhere[u]
			if target == "" {
				target = usedBy[u.Package]
			}
			if target == "" {
				t.Errorf("%s: %s calls %s; say in usedBy on what", f.Name, u.Package, u.Action)
			}
			// A table whose name the function does not know is one that it does not use: data-get can reach the
			// code that writes the outbox, and is opened without one.
			if slices.Contains(known, target) {
				needed[u.Action+" on "+target] = true
			}
		}
		granted := map[string]bool{}
		for _, s := range f.Statements {
			for _, target := range s.Resources {
				name, part, _ := strings.Cut(target, ".")
				if !strings.HasPrefix(part, "Arn") || !slices.Contains(slices.Collect(maps.Values(settings)), name) {
					continue // a stream or a queue, see TestEventSources
				}
				for _, action := range s.Actions {
					granted[action+" on "+name] = true
				}
			}
		}
		for permission := range needed {
			if skip := notNeeded[permission]; !granted[permission] && (skip == nil || !skip(f)) {
				t.Errorf("%s can do %s, and may not", f.Name, permission)
			}
		}
		for permission := range granted {
			if !needed[permission] {
				t.Errorf("%s may do %s, and its code does not", f.Name, permission)
			}
		}
	}
}

// Statements name actions, tables and indexes. SAM's policy templates and managed policies are wider than that.
func TestPoliciesNameActionsAndResources(t *testing.T) {
	tpl := readTemplate(t)
	indexes := map[string]bool{}
	for _, table := range tpl.ofType("AWS::DynamoDB::Table") {
		for _, index := range list(table.Properties["GlobalSecondaryIndexes"]) {
			indexes[fmt.Sprintf("%s.Arn/index/%s", table.Name, text(object(index)["IndexName"]))] = false
		}
	}
	for _, f := range tpl.functions() {
		policies := list(f.Properties["Policies"])
		if len(policies) > 1 || len(policies) == 1 && (len(object(policies[0])) != 1 || len(f.Statements) == 0) || f.Properties["Role"] != nil {
			t.Errorf("%s: want one policy block, of statements, or none", f.Name)
		}
		for _, s := range f.Statements {
			for _, action := range s.Actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s may do %s", f.Name, action)
				}
			}
			for _, target := range s.Resources {
				objects := target == "Blobs.Arn/*" // those of the bucket have no other name
				if strings.Contains(target, "*") && !objects {
					t.Errorf("%s may use %s", f.Name, target)
				}
				if strings.Contains(target, "/index/") {
					if _, ok := indexes[target]; !ok {
						t.Errorf("%s may use %s, which is not there", f.Name, target)
					}
					if !slices.Equal(s.Actions, []string{"dynamodb:Query"}) {
						t.Errorf("%s may do %v on %s", f.Name, s.Actions, target)
					}
					indexes[target] = true
				}
			}
		}
	}
	for index, used := range indexes {
		if !used {
			t.Errorf("no function may query %s", index)
		}
	}
}
