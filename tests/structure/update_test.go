package structure

import (
	"go/types"
	"slices"
	"strings"
	"testing"
)

// A handler reads and writes one instance only through the methods of instancehttp.Access. They
// authorize the caller for the instance that they return, and for each version that they replace.
// Only ApplyScans writes without them: it makes changes of the system, not of the caller.
func TestInstanceAccessIsAuthorized(t *testing.T) {
	program, err := loadFunctions()
	if err != nil {
		t.Fatal(err)
	}
	const table, access = "shared/instance/instancetable", "shared/instance/instancehttp"
	update := []types.Object{
		program.method(t, access, "Access", "UpdateFrom"),
		program.method(t, access, "Access", "UpdateElement"),
		program.function(t, access, "ApplyScans"),
	}
	read := append([]types.Object{program.method(t, access, "Access", "Load"), program.method(t, access, "Access", "RecordDownload")}, update...)
	for _, test := range []struct {
		method     types.Object
		authorized []types.Object // the only methods through which a function may reach it
		exempt     []string       // functions without a caller
	}{
		// A new instance replaces no version.
		{program.method(t, table, "Table", "write"), append([]types.Object{program.method(t, table, "Table", "Create")}, update...), []string{"agenda-run", "scan-record"}},
		{program.method(t, table, "Table", "Get"), read, []string{"agenda-run", "blob-sweep", "scan-record"}},
	} {
		without := map[types.Object]bool{}
		for _, o := range test.authorized {
			without[o] = true
		}
		reached := map[types.Object]bool{}
		for _, p := range program.packages {
			folder, ok := strings.CutPrefix(p.folder(), "functions/")
			if !ok || !p.ours() {
				continue
			}
			if program.walk(p, without)[test.method] && !slices.Contains(test.exempt, folder) {
				t.Errorf("%s reaches Table.%s without the methods of instancehttp.Access", folder, test.method.Name())
			}
			for o := range program.walk(p, nil) {
				reached[o] = true
			}
		}
		for _, o := range append(test.authorized, test.method) {
			if !reached[o] {
				t.Errorf("no function reaches %v, so the test proves nothing about it", o)
			}
		}
	}
}

// function returns a function of the project.
func (p *program) function(t *testing.T, folder, name string) types.Object {
	t.Helper()
	pkg := p.types[module+"/"+folder]
	if pkg == nil || pkg.Scope().Lookup(name) == nil {
		t.Fatalf("no function links %s.%s", folder, name)
	}
	return pkg.Scope().Lookup(name)
}

// method returns a method of a type of the project.
func (p *program) method(t *testing.T, folder, typeName, name string) types.Object {
	t.Helper()
	pkg := p.types[module+"/"+folder]
	if pkg == nil {
		t.Fatalf("no function links %s", folder)
	}
	named := pkg.Scope().Lookup(typeName)
	if named == nil {
		t.Fatalf("%s has no %s", folder, typeName)
	}
	method, _, _ := types.LookupFieldOrMethod(types.NewPointer(named.Type()), true, pkg, name)
	if method == nil {
		t.Fatalf("%s.%s has no method %s", folder, typeName, name)
	}
	return method
}
