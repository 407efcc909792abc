package structure

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Paths of packages: the SDK's services, whose calls need permissions, and coldstart.
const (
	sdk         = "github.com/aws/aws-sdk-go-v2/service/"
	sdkDynamoDB = sdk + "dynamodb"
	coldstart   = module + "/shared/coldstart"
)

// use is one call that the template must allow, or one variable that it must set.
type use struct {
	Package string // folder of the package with the call, "shared/blob/blobbucket"
	Action  string // IAM action, "dynamodb:GetItem", or ""
	Env     string // name of an environment variable, or ""
}

// program is the type-checked code of all functions.
type program struct {
	packages map[string]*goPackage // by import path
	types    map[string]*types.Package
	nodes    map[types.Object]*node
	clients  []*types.Named // the SDK's client types
	methods  []*types.Func  // of the project's own named types, for calls through an interface
}

// node is one function, method or package-level variable of the project.
type node struct {
	refs []types.Object // functions and variables that its body mentions, called or not
	uses []use
}

// loadProgram type-checks the project's packages in list, which is in the order of goList. For all
// other packages it reads the compiler's export data.
func loadProgram(list []*goPackage) (*program, error) {
	p := &program{packages: map[string]*goPackage{}, types: map[string]*types.Package{}, nodes: map[types.Object]*node{}}
	others := []string{"-export"}
	for _, g := range list {
		p.packages[g.ImportPath] = g
		if !g.ours() {
			others = append(others, g.ImportPath)
		}
	}
	compiledPackages, err := listPackages(others)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, g := range compiledPackages {
		exports[g.ImportPath] = g.Export
	}
	files := token.NewFileSet()
	compiled := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	seen := map[string]bool{}
	for _, g := range list {
		if !g.ours() {
			continue
		}
		if err := p.check(g, files, compiled, seen); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// loadFunctions returns the code of all functions, which it loads once.
var loadFunctions = sync.OnceValues(func() (*program, error) {
	list, err := listPackages([]string{"./functions/..."})
	if err != nil {
		return nil, err
	}
	return loadProgram(list)
})

// imports implements types.Importer. It finds the project's packages among those already checked,
// and all others by their export data.
type imports struct {
	own   map[string]*types.Package
	other types.Importer
}

func (i imports) Import(path string) (*types.Package, error) {
	if own := i.own[path]; own != nil {
		return own, nil
	}
	return i.other.Import(path)
}

// check type-checks the package g and adds its declarations to the program. seen contains the SDK
// packages whose client is known.
func (p *program) check(g *goPackage, files *token.FileSet, compiled types.Importer, seen map[string]bool) error {
	var syntax []*ast.File
	for _, name := range g.GoFiles {
		file, err := parser.ParseFile(files, filepath.Join(g.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		syntax = append(syntax, file)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: imports{p.types, compiled}}
	checked, err := config.Check(g.ImportPath, files, syntax, info)
	if err != nil {
		return err
	}
	p.types[g.ImportPath] = checked

	for _, imported := range g.Imports {
		if strings.HasPrefix(imported, sdk) && !seen[imported] {
			seen[imported] = true
			if pkg, err := compiled.Import(imported); err == nil {
				if client, ok := pkg.Scope().Lookup("Client").(*types.TypeName); ok {
					p.clients = append(p.clients, client.Type().(*types.Named))
				}
			}
		}
	}
	for _, file := range syntax {
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				f := info.Defs[d.Name].(*types.Func)
				p.nodes[f] = p.read(g, info, d)
				if d.Recv != nil {
					p.methods = append(p.methods, f)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					values, ok := s.(*ast.ValueSpec)
					if !ok {
						continue
					}
					for _, name := range values.Names {
						if variable := info.Defs[name]; variable != nil {
							p.nodes[variable] = p.read(g, info, values)
						}
					}
				}
			}
		}
	}
	return nil
}

// read returns the node of a declaration: its references and uses.
func (p *program) read(g *goPackage, info *types.Info, declaration ast.Node) *node {
	n := &node{}
	ast.Inspect(declaration, func(a ast.Node) bool {
		switch a := a.(type) {
		case *ast.Ident:
			switch o := info.Uses[a].(type) {
			case *types.Func:
				n.refs = append(n.refs, o.Origin())
				for _, action := range actionsOf(o) {
					n.uses = append(n.uses, use{Package: g.folder(), Action: action})
				}
			case *types.Var:
				n.refs = append(n.refs, o)
			}
		case *ast.CompositeLit:
			if isNamed(info.Types[a].Type, sdkDynamoDB+"/types", "TransactWriteItem") {
				for _, element := range a.Elts {
					if field, ok := element.(*ast.KeyValueExpr); ok {
						n.uses = append(n.uses, use{Package: g.folder(), Action: "dynamodb:" + transactionAction(field.Key.(*ast.Ident).Name)})
					}
				}
			}
		case *ast.CallExpr:
			if u, ok := environmentUse(info, a); ok && g.ImportPath != coldstart {
				u.Package = g.folder()
				n.uses = append(n.uses, u)
			}
		}
		return true
	})
	return n
}

// reachable returns the uses in the main package of a function and in everything that it can call.
func (p *program) reachable(main *goPackage) map[use]bool {
	found := map[use]bool{}
	for o := range p.walk(main, nil) {
		if n := p.nodes[o]; n != nil {
			for _, u := range n.uses {
				found[u] = true
			}
		}
		if f, ok := o.(*types.Func); ok {
			for _, action := range p.throughInterface(f) {
				found[use{Package: folderOf(f), Action: action}] = true
			}
		}
	}
	return found
}

// walk returns the functions, methods and variables that the main function of a package reaches
// without passing through those in without.
func (p *program) walk(main *goPackage, without map[types.Object]bool) map[types.Object]bool {
	closure := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if g := p.packages[path]; g != nil && g.ours() && !closure[path] {
			closure[path] = true
			for _, imported := range g.Imports {
				visit(imported)
			}
		}
	}
	visit(main.ImportPath)

	seen := map[types.Object]bool{}
	var walk func(o types.Object)
	walk = func(o types.Object) {
		if seen[o] || without[o] {
			return
		}
		seen[o] = true
		if n := p.nodes[o]; n != nil {
			for _, ref := range n.refs {
				walk(ref)
			}
		}
		if f, ok := o.(*types.Func); ok {
			for _, implementation := range p.implementations(f, closure) {
				walk(implementation)
			}
		}
	}
	for o := range p.nodes {
		if o.Pkg() != nil && o.Pkg().Path() == main.ImportPath && o.Name() == "main" {
			walk(o)
		}
	}
	return seen
}

// implementations returns the methods that a call of the interface method f can reach: those of the
// types in closure, the packages of the function. It returns nil if f is no interface method.
func (p *program) implementations(f *types.Func, closure map[string]bool) []*types.Func {
	declared := interfaceOf(f)
	if declared == nil {
		return nil
	}
	var all []*types.Func
	for _, m := range p.methods {
		if m.Name() != f.Name() || !closure[m.Pkg().Path()] {
			continue
		}
		receiver := m.Signature().Recv().Type()
		if _, pointer := receiver.(*types.Pointer); !pointer {
			receiver = types.NewPointer(receiver)
		}
		if types.Implements(receiver, declared) {
			all = append(all, m)
		}
	}
	return all
}

// throughInterface returns the IAM actions of a call of f if f is a method of an interface that an
// SDK client implements.
func (p *program) throughInterface(f *types.Func) []string {
	declared := interfaceOf(f)
	if declared == nil {
		return nil
	}
	for _, client := range p.clients {
		if pointer := types.NewPointer(client); types.Implements(pointer, declared) {
			method, _, _ := types.LookupFieldOrMethod(pointer, true, nil, f.Name())
			if m, ok := method.(*types.Func); ok {
				return actionsOf(m)
			}
		}
	}
	return nil
}

// interfaceOf returns the interface that declares the method f, or nil if f is no interface method.
func interfaceOf(f *types.Func) *types.Interface {
	receiver := f.Signature().Recv()
	if receiver == nil {
		return nil
	}
	i, _ := receiver.Type().Underlying().(*types.Interface)
	return i
}

// folderOf returns the folder of the package that declares f.
func folderOf(f *types.Func) string { return strings.TrimPrefix(f.Pkg().Path(), module+"/") }

// actionsOf returns the IAM actions that a call of f needs, or nil if f is no operation of the SDK
// and does not read a secret.
func actionsOf(f *types.Func) []string {
	if f.Pkg() != nil && f.Pkg().Path() == coldstart+"/secret" && f.Name() == "Open" {
		return []string{"secretsmanager:GetSecretValue"}
	}
	if f.Pkg() == nil || !strings.HasPrefix(f.Pkg().Path(), sdk) {
		return nil
	}
	service := strings.TrimPrefix(f.Pkg().Path(), sdk)
	if service == "eventbridge" {
		service = "events"
	}
	name := operation(f)
	switch service + ":" + name {
	case service + ":":
		return nil
	case "dynamodb:TransactWriteItems":
		return nil // needs the permissions of the actions in the transaction
	case "dynamodb:TransactGetItems":
		return []string{"dynamodb:GetItem"}
	case "s3:HeadObject":
		return []string{"s3:GetObject"}
	case "s3:ListObjectsV2":
		return []string{"s3:ListBucket"}
	}
	return []string{service + ":" + name}
}

// operation returns the name of the operation that a function of an SDK package calls: GetItem for
// the client's method, PutObject for PresignPutObject, Query for NewQueryPaginator. It returns ""
// for all other functions.
func operation(f *types.Func) string {
	receiver := f.Signature().Recv()
	if receiver == nil {
		name, paginator := strings.CutSuffix(f.Name(), "Paginator")
		name, made := strings.CutPrefix(name, "New")
		if !paginator || !made {
			return ""
		}
		return name
	}
	t := receiver.Type()
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	switch {
	case isNamed(t, f.Pkg().Path(), "Client") && f.Name() != "Options":
		return f.Name()
	case isNamed(t, f.Pkg().Path(), "PresignClient"):
		return strings.TrimPrefix(f.Name(), "Presign")
	}
	return ""
}

// transactionAction returns the IAM action for a field of TransactWriteItem.
func transactionAction(field string) string {
	if field == "ConditionCheck" {
		return "ConditionCheckItem"
	}
	return field + "Item"
}

// environmentUse returns the environment variable that a call reads. It returns false if the call
// is not coldstart.String or coldstart.Optional.
func environmentUse(info *types.Info, call *ast.CallExpr) (use, bool) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return use{}, false
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != coldstart || (f.Name() != "String" && f.Name() != "Optional") {
		return use{}, false
	}
	name := "(not a constant)"
	if value := info.Types[call.Args[0]].Value; value != nil && value.Kind() == constant.String {
		name = constant.StringVal(value)
	}
	return use{Env: name}, true
}

// isNamed reports whether t is the named type pkg.name.
func isNamed(t types.Type, pkg, name string) bool {
	named, ok := t.(*types.Named)
	return ok && named.Obj().Name() == name && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == pkg
}
