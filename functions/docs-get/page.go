package main

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"html"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// sources are the guides, in Markdown. The first line of each is its title.
//
//go:embed guides
var sources embed.FS

// guide is a page in Markdown.
type guide struct {
	file  string // in guides, without .md
	title string // in the menu
}

// guides are the guides in the order of the menu. The first one is the home page.
var guides = []guide{
	{"index", "Overview"},
	{"getting-started", "Getting started"},
	{"tokens", "Access tokens"},
	{"receiving", "Receiving submissions"},
	{"large-files", "Large files"},
	{"errors", "Errors and retries"},
	{"limits", "Limits"},
	{"events", "Events"},
	{"glossary", "Glossary"},
}

// problemCodes is the place for the list of the problem codes in a guide.
const problemCodes = "{{problem-codes}}"

// path returns the path of the guide on the site.
func (g guide) path() string {
	if g.file == "index" {
		return home
	}
	return home + "/" + g.file
}

// frame is what differs between the pages of the site.
type frame struct {
	title   string // of the window
	section string // the selected entry of the header: guides, reference or try
	class   string // of the body
	root    string // the relative URL of the resources: "docs/" on the home page
	main    string // the content, as HTML
	head    string // more elements of the head, as HTML
}

// reference and tryRequests are the pages that a script fills.
var (
	reference = frame{
		title: "API reference", section: "reference", class: "wide",
		main: `<h1 class="hidden">API reference</h1>
<noscript><p>This page needs JavaScript. Without JavaScript, read the OpenAPI document: <a href="openapi.yaml">openapi.yaml</a>.</p></noscript>
<p id="loading" role="status">Loading the API reference …</p>
<div id="reference"></div>`,
		head: `<script src="redoc.js" defer></script>
  <script src="reference.js" defer></script>`,
	}
	tryRequests = frame{
		title: "Try requests", section: "try", class: "wide",
		main: tryForm,
		head: `<link rel="stylesheet" href="swagger-ui.css">
  <link rel="stylesheet" href="try.css">
  <script src="swagger-ui.js" defer></script>
  <script src="try.js" defer></script>`,
	}
)

const tryForm = `<div class="text">
<h1>Try requests</h1>
<p>This page sends requests to this system, and they change its data. Paste an access token; the guide
<a href="tokens">Access tokens</a> describes how to get one. The token stays in the memory of this
page, which loses it when you reload or close it. Content over 4,400,000 bytes cannot be downloaded
here.</p>
<noscript><p>This page needs JavaScript. The guide <a href="getting-started">Getting started</a> has the same requests for curl.</p></noscript>
<form id="settings">
<p><label for="api">API</label>
<select id="api"><option value="apps">Application API: create, fill in and submit</option><option value="storage">Storage API: query, download, confirm and events</option></select></p>
<p><label for="token">Access token</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" aria-describedby="token-state"></p>
<p id="token-state" role="status">No token: the API responds with 401.</p>
</form>
</div>
<div id="try"></div>`

// readerPage returns a page that a script fills.
func readerPage(f frame) ([]byte, error) { return f.render() }

// page returns the guide as HTML, with the addresses of urls in place of those of Altinn.
func (g guide) page(urls httpapi.BaseURLs) ([]byte, error) {
	source, err := sources.ReadFile("guides/" + g.file + ".md")
	if err != nil {
		return nil, err
	}
	f := frame{section: "guides", class: "guide"}
	if g.file == "index" {
		f.root = "docs/"
	}
	markdown := separateOutput(string(source))
	if strings.Contains(markdown, problemCodes) {
		list, err := apidoc.Description(httpapi.Document, "ProblemCode")
		if err != nil {
			return nil, err
		}
		markdown = strings.Replace(markdown, problemCodes, list, 1)
	}
	markdown = strings.NewReplacer("https://platform.altinn.no", urls.Platform, "https://nav.apps.altinn.no", urls.AppsFor("nav")).Replace(markdown)
	title, _, _ := strings.Cut(markdown, "\n")
	f.title = strings.TrimPrefix(title, "# ")
	content, err := toHTML([]byte(markdown), f.root)
	if err != nil {
		return nil, err
	}
	f.main = `<nav class="menu" aria-label="Guides"><ul>` + g.menu(f.root) + `</ul></nav><article>` + content + `</article>`
	return f.render()
}

// menu returns the links to all guides. That to g is marked as the current page.
func (g guide) menu(root string) string {
	var b strings.Builder
	for _, other := range guides {
		b.WriteString(`<li><a href="` + link(other.file+".md", root) + `"`)
		if other == g {
			b.WriteString(` aria-current="page"`)
		}
		b.WriteString(`>` + other.title + `</a></li>`)
	}
	return b.String()
}

// render returns the page of a frame.
func (f frame) render() ([]byte, error) {
	page, err := files.ReadFile("site/page.html")
	if err != nil {
		return nil, err
	}
	current := func(section string) string {
		if section == f.section {
			return ` aria-current="true"`
		}
		return ""
	}
	replaced := strings.NewReplacer(
		"{{title}}", html.EscapeString(f.title), "{{class}}", f.class, "{{root}}", f.root, "{{home}}", link("index.md", f.root),
		"{{guides}}", current("guides"), "{{reference}}", current("reference"), "{{try}}", current("try"),
		"{{main}}", f.main, "{{head}}", f.head,
	).Replace(string(page))
	return []byte(replaced), nil
}

// link returns the URL of a link in a guide. Guides name each other by file.
func link(destination, root string) string {
	file, fragment, isGuide := strings.Cut(destination, ".md")
	switch {
	case strings.Contains(destination, ":") || strings.HasPrefix(destination, "#"):
		return destination
	case !isGuide:
		return root + destination
	case file == "index" && root == "":
		return "../docs" + fragment
	case file == "index":
		return cmp.Or(fragment, "docs")
	}
	return root + file + fragment
}

// separateOutput moves the expected output of commands, in lines that begin with "# => ", to code
// blocks of the language "output".
func separateOutput(markdown string) string {
	var b strings.Builder
	var language string // of the code block, "" outside
	for line := range strings.Lines(markdown) {
		wanted := language
		output, isOutput := strings.CutPrefix(line, "# => ")
		switch {
		case strings.HasPrefix(line, "```"):
			if language == "" {
				language = strings.TrimSpace(strings.TrimPrefix(line, "```"))
				if language == "" {
					language = "text"
				}
			} else {
				language = ""
			}
			b.WriteString(line)
			continue
		case language != "" && isOutput:
			wanted, line = "output", output
		case language == "output":
			wanted = "sh"
		}
		if wanted != language {
			b.WriteString("```\n\n```" + wanted + "\n")
			language = wanted
		}
		b.WriteString(line)
	}
	return b.String()
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
		`<pre><code class="language-output">`, `<p class="label">The output contains:</p><pre tabindex="0" class="output"><code>`,
		"<pre>", `<pre tabindex="0">`,
		"<table>", `<div class="table" role="region" aria-label="Table" tabindex="0"><table>`, "</table>", "</table></div>",
		"<!-- raw HTML omitted -->\n", "",
	).Replace(b.String()), nil
}
