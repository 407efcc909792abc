package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

var update = flag.Bool("update", false, "write the HTML of the guides")

// The committed HTML is that of the guides. `make update-docs` writes it.
func TestGuidesAreRendered(t *testing.T) {
	entries, err := os.ReadDir("guides")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(guides) {
		t.Errorf("guides/ has %d files, and the menu %d guides", len(entries), len(guides))
	}
	for _, g := range guides {
		source, err := os.ReadFile("guides/" + g.file + ".md")
		if err != nil {
			t.Fatal(err)
		}
		want, err := toHTML(source, g.root())
		if err != nil {
			t.Fatal(err)
		}
		file := "site/guides/" + g.file + ".html"
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not the HTML of guides/%s.md; run: make update-docs (%v)", file, g.file, err)
		}
	}
}

// toHTML returns Markdown as HTML. Code and tables that are wider than the screen can be scrolled
// with the keyboard.
func toHTML(markdown []byte, root string) (string, error) {
	converter := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	document := converter.Parser().Parse(text.NewReader(markdown))
	err := ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && entering {
			l.Destination = []byte(link(string(l.Destination), root))
		}
		return ast.WalkContinue, nil
	})
	var b bytes.Buffer
	if err := errors.Join(err, converter.Renderer().Render(&b, markdown, document)); err != nil {
		return "", err
	}
	return strings.NewReplacer(
		`<pre><code class="language-text">`, `<p class="label">The output contains:</p><pre tabindex="0" class="output"><code>`,
		"<pre>", `<pre tabindex="0">`,
		"<table>", `<div class="table" role="region" aria-label="Table" tabindex="0"><table>`, "</table>", "</table></div>",
		"<!-- raw HTML omitted -->\n", "",
	).Replace(b.String()), nil
}
