package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// domain are the packages with the rules of the domain. They use no HTTP, no AWS and no
// environment.
var domain = []string{
	"shared/appendjson",
	"shared/application",
	"shared/blob",
	"shared/cursor",
	"shared/deflate",
	"shared/event",
	"shared/fault",
	"shared/instance",
	"shared/instance/instancequery",
	"shared/merge",
	"shared/party",
	"shared/rfc3339",
	"shared/webhook",
}

// Imports have one direction: functions -> adapters -> domain -> standard library. Every package in
// shared/ that is not in domain is an adapter.
func TestImportsGoOneWay(t *testing.T) {
	for _, p := range goList(t, "./functions/...", "./shared/...") {
		if !p.ours() {
			continue
		}
		from := p.folder()
		for _, path := range p.Imports {
			to := strings.TrimPrefix(path, module+"/")
			if reason := forbidden(from, to); reason != "" {
				t.Errorf("%s imports %s: %s", from, to, reason)
			}
		}
	}
}

// forbidden returns why a package must not import another, or "" if it may.
func forbidden(from, to string) string {
	ownPackage := strings.HasPrefix(to, "shared/") || strings.HasPrefix(to, "functions/") || strings.HasPrefix(to, "tests/")
	standard := !ownPackage && !strings.Contains(strings.SplitN(to, "/", 2)[0], ".")
	function := strings.HasPrefix(from, "functions/")
	switch {
	case strings.HasPrefix(to, "functions/") || strings.HasPrefix(to, "tests/"):
		return "no package that runs in the system may import a function or a test"
	case !isTestSupport(from) && isTestSupport(to):
		return "only tests may import it"
	case strings.HasPrefix(to, "github.com/aws/aws-sdk-go-v2/config"):
		return "it doubles the time of a cold start; use the configuration of shared/coldstart"
	case function && strings.HasPrefix(to, "github.com/aws/aws-sdk-go-v2/"):
		return "a function must call AWS through the packages in shared/"
	case slices.Contains(domain, from) && (to == "net/http" || to == "os"):
		return "a domain package must not use HTTP or the operating system"
	case slices.Contains(domain, from) && !standard && !slices.Contains(domain, to):
		return "a domain package may import only the standard library and other domain packages"
	case isStore(from) && (isHTTP(to) || to == "shared/auth"):
		return "a store must not depend on the caller"
	}
	return ""
}

// isTestSupport reports whether a package contains fakes and conformance suites for tests, such as
// instancetest and authtest.
func isTestSupport(folder string) bool {
	return strings.HasPrefix(folder, "shared/") && strings.HasSuffix(folder, "test")
}

// isStore reports whether a package implements a store on AWS.
func isStore(folder string) bool {
	return strings.HasPrefix(folder, "shared/") && (strings.HasSuffix(folder, "table") || folder == "shared/blob/blobbucket" || folder == "shared/event/eventbus")
}

// isHTTP reports whether a package handles HTTP.
func isHTTP(folder string) bool {
	return strings.HasPrefix(folder, "shared/") && (strings.HasSuffix(folder, "http") || folder == "shared/httpapi")
}

func TestForbiddenImports(t *testing.T) {
	tests := []struct {
		from, to string
		allowed  bool
	}{
		{"functions/data-get", "shared/blob/blobbucket", true},
		{"functions/data-get", "functions/data-create", false},
		{"functions/data-get", "shared/blob/blobtest", false},
		{"functions/data-get", "github.com/aws/aws-sdk-go-v2/service/s3", false},
		{"functions/event-record", "github.com/aws/aws-lambda-go/events", true},
		{"shared/instance", "shared/fault", true},
		{"shared/instance", "strings", true},
		{"shared/instance", "net/http", false},
		{"shared/instance", "shared/instance/instancetable", false},
		{"shared/instance", "github.com/aws/aws-lambda-go/events", false},
		{"shared/instance", "uuid", true},
		{"shared/blob", "shared/blob/blobbucket", false},
		{"shared/blob/blobbucket", "shared/httpapi", false},
		{"shared/blob/blobbucket", "tests/storage", false},
		{"shared/blob/blobtest", "shared/instance/instancetest", true},
		{"shared/coldstart", "github.com/aws/aws-sdk-go-v2/config", false},
	}
	for _, test := range tests {
		if reason := forbidden(test.from, test.to); (reason == "") != test.allowed {
			t.Errorf("%s -> %s: %q, want allowed = %v", test.from, test.to, reason, test.allowed)
		}
	}
}

// Only the functions that use a large library link it, because its initialisation and its size
// slow down every cold start. The SDK's packages build tables of endpoint rules and shapes. The
// JSON Schema library compiles meta-schemas, so that only tests use it.
func TestFunctionsLinkOnlyWhatTheyUse(t *testing.T) {
	users := map[string][]string{
		"github.com/santhosh-tekuri/": nil,
		"github.com/jacoelho/xsd":     {"application-put", "changes-apply", "instance-validate", "workflow-change"},
		"github.com/aws/aws-sdk-go-v2/service/s3": {"blob-sweep", "changes-apply", "data-create", "data-download", "data-get", "data-replace", "instance-create",
			"instance-validate", "instances-create", "upload-create", "workflow-change"},
		"github.com/aws/aws-sdk-go-v2/service/eventbridge": {"event-publish", "outbox-sweep", "subscription-create", "subscription-replay", "subscription-update"},
	}
	packages := goList(t, "./functions/...") // each package after its imports
	for library, functions := range users {
		linking := map[string]bool{}
		for _, p := range packages {
			linking[p.ImportPath] = strings.HasPrefix(p.ImportPath, library) ||
				slices.ContainsFunc(p.Imports, func(path string) bool { return linking[path] })
			if name, ok := strings.CutPrefix(p.folder(), "functions/"); ok && p.ours() && linking[p.ImportPath] != slices.Contains(functions, name) {
				t.Errorf("%s links %s: %v, want %v", name, library, linking[p.ImportPath], !linking[p.ImportPath])
			}
		}
	}
}

// Each package in domain exists: a rule for a missing package would check nothing.
func TestDomainPackagesExist(t *testing.T) {
	for _, folder := range domain {
		if len(goFiles(t, folder)) == 0 {
			t.Errorf("domain lists %s, which has no Go files", folder)
		}
	}
}

func TestOnlyColdstartReadsTheEnvironment(t *testing.T) {
	readers := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}
	for _, p := range goList(t, "./functions/...", "./shared/...") {
		if !p.ours() || p.folder() == "shared/coldstart" {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if of, ok := selector.X.(*ast.Ident); ok && (of.Name == "os" || of.Name == "syscall") && slices.Contains(readers, selector.Sel.Name) {
					t.Errorf("%s calls %s.%s; only shared/coldstart may read the environment", files.Position(n.Pos()), of.Name, selector.Sel.Name)
				}
				return true
			})
		}
	}
}
