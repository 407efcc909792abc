package docspage

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/httpapi/apidoc"
	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
)

// screens are the screens that the documentation must fit.
var screens = []Screen{
	{"light", 1400, 1000, "light"},
	{"dark", 1400, 1000, "dark"},
	{"narrow", 390, 844, "light"},
	{"narrow-dark", 390, 844, "dark"},
}

// ready are conditions for the pages that a script fills. The other pages are ready when they are
// loaded.
var ready = map[string]string{
	// Redoc renders operations one after another.
	"reference": `document.querySelectorAll('[data-section-id*="/operation/"]').length >= 20`,
	"try":       `document.querySelectorAll('#try .opblock').length >= 10`,
}

// site is the documentation of a running system.
type site struct {
	root   string // of the repository
	system *runtime.System
	axe    string // the source of axe-core
}

func newSite(t *testing.T) *site {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(); err != nil {
		t.Fatal(err)
	}
	axe, err := os.ReadFile(workspace.Local(root, "docspage", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("axe-core is not installed; run: make install-docspage (%v)", err)
	}
	if err := os.MkdirAll(workspace.Local(root, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	system, err := runtime.Start(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	return &site{root, system, string(axe)}
}

// A tab is a page of the browser in a test, which ends at the first error of the browser.
type tab struct {
	*Page
	t    *testing.T
	site *site
}

func (s *site) open(t *testing.T, screen Screen) tab {
	t.Helper()
	page, err := Open(t.Context(), screen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	return tab{page, t, s}
}

func (p tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%v\n%s", err, strings.Join(p.Problems, "\n"))
	}
}

// show opens a page of the documentation and waits until it is ready.
func (p tab) show(url string) {
	p.t.Helper()
	p.must(p.Call("Page.navigate", map[string]any{"url": url}, nil))
	condition := fmt.Sprintf("location.href === %q && document.readyState === 'complete'", url)
	if loaded, ok := ready[path.Base(url)]; ok {
		condition += " && " + loaded
	}
	p.must(p.Until(condition))
}

// get returns the value of an expression.
func get[T any](p tab, expression string) (value T) {
	p.t.Helper()
	p.must(p.Evaluate(expression, &value))
	return value
}

func (p tab) do(expression string) { p.t.Helper(); get[bool](p, "("+expression+", true)") }

// shot writes a screenshot to .local/log.
func (p tab) shot(name string) {
	p.t.Helper()
	p.must(p.Screenshot(workspace.Local(p.site.root, "log", "docs-"+name+".png")))
}

// TestPages opens every page on every screen. It writes screenshots to .local/log.
func TestPages(t *testing.T) {
	s := newSite(t)
	home := s.system.BaseURL + "/storage/docs"
	for _, screen := range screens {
		t.Run(screen.Name, func(t *testing.T) {
			p := s.open(t, screen)
			p.show(home)
			pages := get[[]string](p, `[...new Set([...document.querySelectorAll('nav a')].map(a => a.href))]`)
			if len(pages) < 10 {
				t.Errorf("the menus have only %d pages: %v", len(pages), pages)
			}
			for _, url := range pages {
				name := path.Base(url)
				p.show(url)
				if title := get[string](p, "document.title"); !strings.HasSuffix(title, " – Altinn instance API") {
					t.Errorf("%s: the title is %q", name, title)
				}
				p.shot(screen.Name + "-" + name)
				if overflow := get[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); overflow > 0 {
					t.Errorf("%s: the page is %d pixels wider than the screen", name, overflow)
				}
				p.checkAccessibility(name)
				for _, broken := range get[[]string](p, `[...document.querySelectorAll('main a[href^="#"]')].map(a => a.hash)
					.filter(hash => hash.length > 1 && !hash.includes('/') && !document.getElementById(decodeURIComponent(hash.slice(1))))`) {
					t.Errorf("%s: the link %s has no target", name, broken)
				}
			}
			for _, request := range p.Requests {
				if !strings.HasPrefix(request, home) && !strings.HasPrefix(request, "data:") && !strings.HasPrefix(request, "blob:") {
					t.Errorf("unexpected request for %s", request)
				}
			}
			if len(p.Problems) > 0 {
				t.Errorf("problems in the console:\n%s", strings.Join(p.Problems, "\n"))
			}
		})
	}
}

// A finding is a violation that axe-core found.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		Target         []any
		FailureSummary string
	}
}

// accepted lists the findings that remain, by page and rule, with the reason.
var accepted = map[string]map[string]string{}

// checkAccessibility checks the open page with axe-core, by the rules of WCAG 2.2 A and AA and its
// best practices. Serious and critical findings are errors, unless accepted has them.
func (p tab) checkAccessibility(name string) {
	p.t.Helper()
	// The page's Content-Security-Policy does not apply to the protocol.
	p.must(p.Call("Runtime.evaluate", map[string]any{"expression": p.site.axe}, nil))
	findings := get[[]finding](p, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact)))`)
	for _, f := range findings {
		if accepted[name][f.ID] != "" {
			continue
		}
		p.t.Errorf("%s: %s (%s, %d elements): %s\n%s", name, f.ID, f.Impact, len(f.Nodes), f.Help, sampleOf(f))
	}
}

// sampleOf describes the first elements of a finding.
func sampleOf(f finding) string {
	var b strings.Builder
	for _, n := range f.Nodes[:min(4, len(f.Nodes))] {
		target, _ := json.Marshal(n.Target)
		fmt.Fprintf(&b, "\t%s\n\t%.300s\n\t%.300s\n", target, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
	}
	return b.String()
}

// TestReference checks that the reference has every operation with samples and the address of this
// system, and that its search works.
func TestReference(t *testing.T) {
	s := newSite(t)
	document, err := contract.Read(s.root)
	if err != nil {
		t.Fatal(err)
	}
	p := s.open(t, screens[0])
	p.show(s.system.BaseURL + "/storage/docs/reference")
	for _, o := range document.Operations {
		if o.Method == "HEAD" || o.Node.At("tags").Items()[0].Text() == apidoc.Documentation {
			continue
		}
		p.must(p.Until(fmt.Sprintf(`document.querySelector('[data-section-id$="operation/%s"]')`, o.Node.At("operationId").Text())))
	}
	p.do(`document.querySelector('[data-section-id$="operation/createInstance"]').scrollIntoView()`)
	p.must(p.Until(`(r => r.top < innerHeight && r.bottom > 0 && r.width > 200)(document.querySelector('[data-section-id$="operation/createInstance"] h2').getBoundingClientRect())`))
	p.shot("operation")
	sample := get[string](p, `document.querySelector('[data-section-id$="operation/createInstance"]').innerText`)
	for _, want := range []string{"curl", "Python", "Java", "C#", "TypeScript"} {
		if !strings.Contains(sample, want) {
			t.Errorf("the operation createInstance does not show %q", want)
		}
	}
	p.do(`document.querySelector('input[type=text]').focus()`)
	p.must(p.Call("Input.insertText", map[string]any{"text": "confirm"}, nil))
	p.must(p.Until(`[...document.querySelectorAll('[data-role="search:results"] li')].some(li => li.innerText.includes('Confirm the download of a data element'))`))
	p.shot("search")
	if len(p.Problems) > 0 {
		t.Errorf("problems in the console:\n%s", strings.Join(p.Problems, "\n"))
	}
}

// TestTry sends a request from the page, with a pasted token, which the browser must not store.
func TestTry(t *testing.T) {
	s := newSite(t)
	token, err := s.system.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p := s.open(t, screens[0])
	p.show(s.system.BaseURL + "/storage/docs/try")
	p.do(`document.getElementById('token').focus()`)
	p.must(p.Call("Input.insertText", map[string]any{"text": token}, nil))
	p.must(p.Until(`document.getElementById('token-state').textContent.includes('valid until')`))
	p.do(`document.getElementById('api').value = 'storage'`)
	p.do(`document.getElementById('api').dispatchEvent(new Event('change', {bubbles: true}))`)
	p.must(p.Until(`document.querySelector('#operations-Instances-queryInstances .opblock-summary-control')`))
	p.do(`document.querySelector('#operations-Instances-queryInstances .opblock-summary-control').click()`)
	p.must(p.Until(`document.querySelector('#operations-Instances-queryInstances .execute')`))
	p.shot("try-operation")
	p.checkAccessibility("try")
	p.do(`document.querySelector('#operations-Instances-queryInstances .execute').click()`)
	p.must(p.Until(`document.querySelector('#operations-Instances-queryInstances .live-responses-table .response-col_status')`))
	if status := get[string](p, `document.querySelector('#operations-Instances-queryInstances .live-responses-table tbody .response-col_status').innerText`); !strings.HasPrefix(status, "200") {
		t.Errorf("the response is %q", status)
	}
	p.do(`document.querySelector('#operations-Instances-queryInstances .live-responses-table').scrollIntoView()`)
	p.shot("try-response")
	p.checkAccessibility("try")
	sent := s.system.BaseURL + "/storage/instances"
	if !slices.ContainsFunc(p.Requests, func(url string) bool { return strings.HasPrefix(url, sent) }) {
		t.Errorf("the page sent no request to %s: %v", sent, p.Requests)
	}
	stored := get[string](p, `JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])`)
	if strings.Contains(stored, token) {
		t.Errorf("the browser stores the token: %s", stored)
	}
	if len(p.Problems) > 0 {
		t.Errorf("problems in the console:\n%s", strings.Join(p.Problems, "\n"))
	}
}

// TestKeyboard reaches the content of a page with two keys.
func TestKeyboard(t *testing.T) {
	s := newSite(t)
	p := s.open(t, screens[0])
	p.show(s.system.BaseURL + "/storage/docs/limits")
	p.must(p.Press("Tab"))
	if text := get[string](p, "document.activeElement.innerText"); text != "Skip to the content" {
		t.Errorf("the first Tab focuses %q", text)
	}
	p.shot("skip")
	p.must(p.Press("Enter"))
	p.must(p.Until("document.activeElement.id === 'main'"))
}
