package apidoc

import (
	"embed"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// samples has one program for each language, which does the main job of the API. Tests run them.
//
//go:embed samples
var samples embed.FS

// languages are the programs in samples, in the order in which readers see them.
var languages = []struct {
	file  string
	lang  string // for the highlighting of the syntax
	label string
}{
	{"curl.sh", "bash", "curl"},
	{"main.py", "python", "Python"},
	{"Main.java", "java", "Java"},
	{"Main.cs", "csharp", "C#"},
	{"main.ts", "javascript", "TypeScript"},
}

// codeSample is an element of x-codeSamples, an extension that many readers of OpenAPI documents
// understand.
type codeSample struct {
	Lang   string `yaml:"lang"`
	Label  string `yaml:"label"`
	Source string `yaml:"source"`
}

// addSamples adds x-codeSamples to the operations that the programs have samples of. It fails if an
// operation of a sample does not exist.
func addSamples(root *yaml.Node) error {
	byOperation := map[string][]codeSample{}
	for _, l := range languages {
		program, err := samples.ReadFile("samples/" + l.file)
		if err != nil {
			return err
		}
		parts := regions(string(program))
		for operation, source := range parts {
			if operation != setup {
				source = strings.TrimLeft(parts[setup]+"\n"+source, "\n")
				byOperation[operation] = append(byOperation[operation], codeSample{l.lang, l.label, source})
			}
		}
	}
	paths := member(root, "paths")
	for i := 1; i < len(paths.Content); i += 2 {
		item := paths.Content[i]
		for j := 1; j < len(item.Content); j += 2 {
			id := member(item.Content[j], "operationId")
			if id == nil || byOperation[id.Value] == nil {
				continue
			}
			var list yaml.Node
			if err := list.Encode(byOperation[id.Value]); err != nil {
				return err
			}
			item.Content[j].Content = append(item.Content[j].Content, text("x-codeSamples"), &list)
			delete(byOperation, id.Value)
		}
	}
	for operation := range byOperation {
		return fmt.Errorf("a sample has the operation %s, which does not exist", operation)
	}
	return nil
}

// setup is the region that each sample of a program begins with.
const setup = "setup"

// regions returns the regions of a program by name, without their indentation. A region is between
// the comments "sample: name" and "end". Regions of the same name are joined.
func regions(program string) map[string]string {
	parts := map[string]string{}
	var name, indentation string
	for line := range strings.Lines(program) {
		comment := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#/"))
		started, isStart := strings.CutPrefix(comment, "sample: ")
		switch {
		case isStart:
			name, indentation = started, line[:len(line)-len(strings.TrimLeft(line, " "))]
			if parts[name] != "" {
				parts[name] += "\n"
			}
		case comment == "end":
			name = ""
		case name != "":
			parts[name] += strings.TrimPrefix(line, indentation)
		}
	}
	return parts
}
