package structure

import (
	"fmt"
	"go/ast"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// appended are the structs with JSON that appendjson writes in place of encoding/json, with the
// times of package rfc3339.
var appended = []string{
	"instance.Instance", "instance.Workflow", "instance.Status", "instance.LegalHold", "instance.Substatus", "instance.Note", "instance.DataElement", "instance.ApplicationOwner", "instance.Scan",
	"instancetable.document",
}

// Only package rfc3339 writes and parses times, so that all times have one form. No struct with
// JSON members has a time.Time, which encoding/json writes in another form.
func TestTimesHaveOneForm(t *testing.T) {
	rendered := 0
	eachSource(t, func(file *ast.File, at func(ast.Node) string) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if callee(n) == "rfc3339.Format" || callee(n) == "rfc3339.Append" {
					rendered++
				} else if file.Name.Name != "rfc3339" && formatsTime(n) {
					t.Errorf("%s: use package rfc3339 to write and parse times", at(n))
				}
			case *ast.TypeSpec:
				structure, ok := n.Type.(*ast.StructType)
				if !ok || slices.Contains(appended, file.Name.Name+"."+n.Name.Name) {
					return true
				}
				for _, field := range structure.Fields.List {
					if isTime(field.Type) && hasJSON(field) {
						t.Errorf("%s: use rfc3339.Time in %s", at(field), n.Name.Name)
					}
				}
			}
			return true
		})
	})
	if rendered < 8 {
		t.Errorf("found only %d calls that write times", rendered)
	}
}

// formatsTime reports whether a call formats or parses a time with package time: a function or
// method of that package by its name, or any call with a layout.
func formatsTime(call *ast.CallExpr) bool {
	if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
		switch name := selector.Sel.Name; {
		case name == "AppendFormat" || name == "Format" && fmt.Sprint(selector.X) != "rfc3339":
			return true
		case fmt.Sprint(selector.X) == "time" && strings.HasPrefix(name, "Parse") && name != "ParseDuration":
			return true
		}
	}
	return slices.ContainsFunc(call.Args, func(argument ast.Expr) bool {
		switch a := argument.(type) {
		case *ast.SelectorExpr:
			return fmt.Sprint(a.X) == "time" && strings.HasPrefix(a.Sel.Name, "RFC")
		case *ast.BasicLit:
			return a.Kind == token.STRING && strings.Contains(a.Value, "2006")
		}
		return false
	})
}

// isTime reports whether a type is time.Time, a pointer to it, or a list of it.
func isTime(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StarExpr:
		return isTime(e.X)
	case *ast.ArrayType:
		return isTime(e.Elt)
	case *ast.SelectorExpr:
		return fmt.Sprint(e.X) == "time" && e.Sel.Name == "Time"
	}
	return false
}

// hasJSON reports whether a field has a JSON name.
func hasJSON(field *ast.Field) bool {
	if field.Tag == nil {
		return false
	}
	tag, _ := strconv.Unquote(field.Tag.Value)
	name, found := reflect.StructTag(tag).Lookup("json")
	return found && name != "-"
}
