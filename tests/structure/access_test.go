package structure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// settings is the resource or parameter that each environment variable must refer to: a variable
// has the same meaning in every function.
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
	"TOKEN_ANY_AUDIENCE":  "AllowAnyAudience",
	"TOKEN_JWKS":          "TokenJwks",
	"TOKEN_PARTY_CLAIM":   "TokenPartyClaim",
	"IDENTITY_KEY_SECRET": "IdentityKeySecretArn",
	"CREATES_PER_HOUR":    "CreatesPerHour",
	"ELEMENTS_PER_HOUR":   "ElementsPerHour",
	"BYTES_PER_HOUR":      "BytesPerHour",
	"MAX_HOLD_SECONDS":    "MaxHoldSeconds",
	"HELD_PER_ORG":        "HeldRequestsPerOrg",
	"METRIC_NAMESPACE":    "AWS::StackName",
	"SUBSCRIPTIONS_TABLE": "Subscriptions",
	"WEBHOOK_INSECURE":    "WebhookInsecure",
	"MALWARE_SCAN":        "MalwareScan",
}

// usedBy is the resource that each package uses. elsewhere has the calls that use another resource.
var (
	usedBy = map[string]string{
		"shared/instance/instancetable":       "Instances",
		"shared/event/outboxtable":            "Outbox",
		"shared/event/eventtable":             "Events",
		"shared/event/eventbus":               "Bus",
		"shared/application/applicationtable": "Applications",
		"shared/party/partytable":             "Parties",
		"shared/blob/blobbucket":              "Blobs",
		"shared/webhook/webhooktable":         "Subscriptions",
	}
	elsewhere = map[use]string{
		{Package: "shared/party/partytable", Action: "secretsmanager:GetSecretValue"}: "IdentityKeySecretArn",
	}
)

// notNeeded are permissions that the code of a function can reach but never uses, with the reason.
var notNeeded = map[string]func(f *function) bool{
	// The code that writes an instance deletes the items of removed labels. Only these functions
	// remove labels.
	"dynamodb:DeleteItem on Instances": func(f *function) bool {
		return !slices.Contains([]string{"ChangesApply", "InstanceUpdate", "InstanceDelete", "AgendaRun"}, f.Name)
	},
	// Frees the place of an upload in the transaction that commits it, counts for the quota, and
	// records downloads.
	"dynamodb:UpdateItem on Instances": func(f *function) bool {
		return !slices.Contains([]string{"ChangesApply", "DataCreate", "DataDownload", "DataReplace", "InstanceCreate", "InstancesCreate", "UploadCreate"}, f.Name)
	},
	// One warm-up call opens the connection for all tables. These functions warm up with another
	// table and read no item of this one.
	"dynamodb:GetItem on Instances": func(f *function) bool {
		return slices.Contains([]string{"InstanceQuery", "ApplicationPut"}, f.Name)
	},
	// Only these functions remove readers of a subscription.
	"dynamodb:DeleteItem on Subscriptions": func(f *function) bool {
		return !slices.Contains([]string{"SubscriptionDelete", "SubscriptionUpdate"}, f.Name)
	},
	// A rotation moves no reader.
	"dynamodb:UpdateItem on Subscriptions": func(f *function) bool { return f.Name == "SubscriptionRotate" },
	// The list warms up with the same call, which is then denied. The creation warms up with
	// another table.
	"dynamodb:GetItem on Subscriptions": func(f *function) bool { return f.Name == "SubscriptionList" || f.Name == "SubscriptionCreate" },
	// An index has no large documents. This function reads only the partitions of parties.
	"dynamodb:BatchGetItem on Instances": func(f *function) bool { return f.Name == "PartyInstances" },
	"dynamodb:GetItem on Events":         func(f *function) bool { return f.Name == "InstanceHistory" },
	// This function warms up with another table and reads no slots.
	"dynamodb:Query on Events": func(f *function) bool { return f.Name == "PartyInstances" },
	// The warm-up reads an object that does not exist. Access denied warms up the connection too,
	// and the sweep reads no content.
	"s3:GetObject on Blobs": func(f *function) bool { return f.Name == "BlobSweep" },
}

// reach returns the uses that the code of each function can reach, by the function's folder.
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

// A function has all environment variables that its code reads. It has no others, except those of
// Globals, which every function gets. A variable has the same meaning in every function.
//
// The test ignores variables that other code reads: AWS_ (coldstart and Lambda), SSL_CERT_FILE
// (crypto/x509) and GO (Go's runtime). It ignores IDENTITY_KEY, which only local runs set.
func TestEnvironmentMatchesCode(t *testing.T) {
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
			if _, ok := f.Environment[name]; !ok && name != "SSL_CERT_FILE" && name != "IDENTITY_KEY" {
				t.Errorf("%s reads the variable %s, which the template does not set", f.Name, name)
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

// GOMEMLIMIT is between 3/4 and 7/8 of the function's memory. With a higher limit Lambda may kill
// the process before a garbage collection, with a lower one collections are too frequent.
func TestGoMemoryLimit(t *testing.T) {
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		memory, _ := tpl.numberOf(f, "MemorySize")
		var limit int
		if _, err := fmt.Sscanf(f.Environment["GOMEMLIMIT"], "%dMiB", &limit); err != nil || limit < memory*3/4 || limit > memory*7/8 {
			t.Errorf("%s has %d MB and GOMEMLIMIT %q, want between 3/4 and 7/8 of the memory", f.Name, memory, f.Environment["GOMEMLIMIT"])
		}
	}
}

// The policy of a function allows exactly the calls that its code can make.
func TestPoliciesMatchCode(t *testing.T) {
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
				t.Errorf("%s: %s calls %s; add the resource to usedBy", f.Name, u.Package, u.Action)
			}
			// A function cannot use a table if no variable names the table. data-get, for example,
			// can reach the code that writes the outbox, but opens its store without that table.
			if slices.Contains(known, target) {
				needed[u.Action+" on "+target] = true
			}
		}
		granted := map[string]bool{}
		for _, s := range f.Statements {
			for _, target := range s.Resources {
				name, part, _ := strings.Cut(target, ".")
				if part != "" && !strings.HasPrefix(part, "Arn") || !slices.Contains(slices.Collect(maps.Values(settings)), name) {
					continue // a stream or a queue, see TestEventSources
				}
				for _, action := range s.Actions {
					granted[action+" on "+name] = true
				}
			}
		}
		for permission := range needed {
			if skip := notNeeded[permission]; !granted[permission] && (skip == nil || !skip(f)) {
				t.Errorf("%s needs the permission %s, which its policy does not grant", f.Name, permission)
			}
		}
		for permission := range granted {
			if !needed[permission] {
				t.Errorf("%s is granted %s, which its code does not need", f.Name, permission)
			}
		}
	}
}

// Statements name single actions, tables and indexes. SAM's policy templates and managed policies
// would allow more.
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
			t.Errorf("%s: want either no policy or one policy with statements", f.Name)
		}
		for _, s := range f.Statements {
			for _, action := range s.Actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s is granted %s, want single actions", f.Name, action)
				}
			}
			for _, target := range s.Resources {
				objects := target == "Blobs.Arn/*" // all objects of the bucket
				if strings.Contains(target, "*") && !objects {
					t.Errorf("%s is granted %s, want a single resource", f.Name, target)
				}
				if strings.Contains(target, "/index/") {
					if _, ok := indexes[target]; !ok {
						t.Errorf("%s is granted %s, which does not exist", f.Name, target)
					}
					if !slices.Equal(s.Actions, []string{"dynamodb:Query"}) {
						t.Errorf("%s is granted %v on %s, want dynamodb:Query only", f.Name, s.Actions, target)
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
