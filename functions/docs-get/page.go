package main

import (
	"cmp"
	"html"
	"strings"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// guide is a page whose source is Markdown. Its HTML is committed, because the initialisation of
// the library for Markdown costs more than that of the function. A test makes it.
type guide struct {
	file  string // in guides with .md, and in site/guides with .html
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
const problemCodes = "<p>{{problem-codes}}</p>"

// path returns the path of the guide on the site.
func (g guide) path() string {
	if g.file == "index" {
		return home
	}
	return home + "/" + g.file
}

// frame is what differs between the pages of the site.
type frame struct {
	title   string // of the window, as HTML
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

// page returns the page of the guide, with the addresses of urls in place of those of Altinn.
func (g guide) page(urls httpapi.BaseURLs) ([]byte, error) {
	source, err := files.ReadFile("site/guides/" + g.file + ".html")
	if err != nil {
		return nil, err
	}
	content := strings.NewReplacer("https://platform.altinn.no", urls.Platform, "https://nav.apps.altinn.no", urls.AppsFor("nav")).Replace(string(source))
	if strings.Contains(content, problemCodes) {
		description, err := apidoc.Description(httpapi.Document, "ProblemCode")
		if err != nil {
			return nil, err
		}
		content = strings.Replace(content, problemCodes, problemList(description), 1)
	}
	f := frame{section: "guides", class: "guide", root: g.root()}
	_, heading, _ := strings.Cut(content, ">")
	f.title, _, _ = strings.Cut(heading, "</h1>")
	f.main = `<nav class="menu" aria-label="Guides"><ul>` + g.menu() + `</ul></nav><article>` + content + `</article>`
	return f.render()
}

// root returns the relative URL of the resources from the guide.
func (g guide) root() string {
	if g.file == "index" {
		return "docs/"
	}
	return ""
}

// problemList returns the list of codes in a description as HTML.
func problemList(description string) string {
	var b strings.Builder
	items := strings.Split(description, "\n- ")
	for _, item := range items[1:] {
		b.WriteString("<li>")
		for n, part := range strings.Split(html.EscapeString(strings.TrimSpace(item)), "`") {
			if n > 0 {
				b.WriteString([]string{"</code>", "<code>"}[n%2])
			}
			b.WriteString(part)
		}
		b.WriteString("</li>\n")
	}
	return "<ul>\n" + b.String() + "</ul>"
}

// menu returns the links to all guides. That to g is marked as the current page.
func (g guide) menu() string {
	var b strings.Builder
	for _, other := range guides {
		b.WriteString(`<li><a href="` + link(other.file+".md", g.root()) + `"`)
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
		"{{title}}", f.title, "{{class}}", f.class, "{{root}}", f.root, "{{home}}", link("index.md", f.root),
		"{{guides}}", current("guides"), "{{reference}}", current("reference"), "{{try}}", current("try"),
		"{{main}}", f.main, "{{head}}", f.head,
	).Replace(string(page))
	return []byte(replaced), nil
}

// link returns the URL of a link in a guide. Guides name each other by file.
func link(destination, root string) string {
	file, fragment, isGuide := strings.Cut(destination, ".md")
	switch {
	case strings.Contains(destination, ":") || !isGuide:
		return destination
	case file == "index" && root == "":
		return "../docs" + fragment
	case file == "index":
		return cmp.Or(fragment, "docs")
	}
	return root + file + fragment
}
