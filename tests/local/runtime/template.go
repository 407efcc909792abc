package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is the part of template.yaml that a system needs.
type Template struct {
	Functions []TemplateFunction // in the order of the file
	Tables    []string           // logical ids
	Defaults  map[string]string  // of the parameters that have one
}

// TemplateFunction is a function of the template.
type TemplateFunction struct {
	ID          string            // logical id, "InstanceCreate"
	Folder      string            // "instance-create"
	Environment map[string]string // value by name: a literal, or "!Ref X"
	Routes      []Route
}

// Route is a route of one of the two APIs. A GET route serves HEAD only if a separate HEAD route
// exists.
type Route struct {
	API    string // logical id: AppsApi, StorageApi
	Method string
	Path   string // "/{org}/{app}/instances"
}

// ReadTemplate reads the template.yaml of a checkout.
func ReadTemplate(root string) (*Template, error) {
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Globals struct {
			Function struct {
				Environment environment `yaml:"Environment"`
			} `yaml:"Function"`
		} `yaml:"Globals"`
		Parameters map[string]struct {
			Default string `yaml:"Default"`
		} `yaml:"Parameters"`
		Resources yaml.Node `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("template.yaml: %w", err)
	}
	t := &Template{Defaults: map[string]string{}}
	for name, parameter := range file.Parameters {
		t.Defaults[name] = parameter.Default
	}
	for n := 0; n+1 < len(file.Resources.Content); n += 2 {
		id := file.Resources.Content[n].Value
		var r struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		}
		if err := file.Resources.Content[n+1].Decode(&r); err != nil {
			return nil, fmt.Errorf("template.yaml: %s: %w", id, err)
		}
		switch r.Type {
		case "AWS::DynamoDB::Table":
			t.Tables = append(t.Tables, id)
		case "AWS::Serverless::Function":
			f, err := readFunction(id, &r.Properties, file.Globals.Function.Environment)
			if err != nil {
				return nil, fmt.Errorf("template.yaml: %s: %w", id, err)
			}
			t.Functions = append(t.Functions, f)
		}
	}
	return t, nil
}

type environment struct {
	Variables map[string]yaml.Node `yaml:"Variables"`
}

func readFunction(id string, properties *yaml.Node, globals environment) (TemplateFunction, error) {
	var p struct {
		CodeURI     string      `yaml:"CodeUri"`
		Environment environment `yaml:"Environment"`
		Events      map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				API    yaml.Node `yaml:"ApiId"`
				Method string    `yaml:"Method"`
				Path   string    `yaml:"Path"`
			} `yaml:"Properties"`
		} `yaml:"Events"`
	}
	if err := properties.Decode(&p); err != nil {
		return TemplateFunction{}, err
	}
	f := TemplateFunction{ID: id, Folder: strings.TrimPrefix(p.CodeURI, "functions/"), Environment: map[string]string{}}
	for _, e := range []environment{globals, p.Environment} {
		for name, value := range e.Variables {
			f.Environment[name] = written(&value)
		}
	}
	for _, e := range p.Events {
		if e.Type == "HttpApi" {
			f.Routes = append(f.Routes, Route{API: e.Properties.API.Value, Method: e.Properties.Method, Path: e.Properties.Path})
		}
	}
	slices.SortFunc(f.Routes, func(a, b Route) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return f, nil
}

// written returns a scalar as written in the file, with its tag if the tag is one of
// CloudFormation's.
func written(n *yaml.Node) string {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return n.Tag + " " + n.Value
	}
	return n.Value
}
