package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// Every client of an AWS service sets its HTTP client: with coldstart.PlainBodies over the network,
// with a fake transport otherwise. The SDK's default client loses responses.
func TestAWSClientsSetTheirHTTPClient(t *testing.T) {
	found := 0
	for _, path := range goFiles(t, ".") {
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, path, nil, 0)
		if err != nil {
			t.Error(err)
			continue
		}
		services := awsServices(file)
		for node := range ast.Preorder(file) {
			literal, ok := node.(*ast.CompositeLit)
			if !ok || !isOptions(literal.Type, services) {
				continue
			}
			found++
			if !setsField(literal, "HTTPClient") {
				t.Errorf("%s: set HTTPClient, to coldstart.PlainBodies(…) if the client uses the network", positions.Position(literal.Pos()))
			}
		}
	}
	if found == 0 {
		t.Error("no file makes a client")
	}
}

// awsServices returns the names under which a file imports the SDK's clients.
func awsServices(file *ast.File) (names []string) {
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/")
		switch {
		case spec.Name != nil && ok:
			names = append(names, spec.Name.Name)
		case ok:
			names = append(names, name)
		}
	}
	return names
}

// isOptions reports whether an expression is the type Options of one of the services.
func isOptions(expression ast.Expr, services []string) bool {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "Options" {
		return false
	}
	service, ok := selector.X.(*ast.Ident)
	return ok && slices.Contains(services, service.Name)
}

func setsField(literal *ast.CompositeLit, name string) bool {
	return slices.ContainsFunc(literal.Elts, func(element ast.Expr) bool {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		key, ok := pair.Key.(*ast.Ident)
		return ok && key.Name == name
	})
}
