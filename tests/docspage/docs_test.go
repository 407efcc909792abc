package docspage

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
)

// TestDocsPage opens the documentation on a wide and on a narrow screen. It writes screenshots to
// .local/log.
func TestDocsPage(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(); err != nil {
		t.Fatal(err)
	}
	document, err := contract.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(workspace.Local(root, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	system, err := runtime.Start(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)

	for _, screen := range []struct {
		name          string
		width, height int
	}{{"desktop", 1400, 1000}, {"narrow", 390, 844}} {
		t.Run(screen.name, func(t *testing.T) {
			page, err := Open(t.Context(), screen.width, screen.height)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(page.Close)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%v\n%s", err, strings.Join(page.Problems, "\n"))
				}
			}
			must(page.Call("Page.navigate", map[string]any{"url": system.BaseURL + "/storage/docs"}, nil))
			must(page.Until(`document.querySelector('[data-section-id$="operation/createInstance"]')`))

			var title string
			must(page.Evaluate("document.title", &title))
			if title != document.At("info", "title").Text() {
				t.Errorf("the title is %q", title)
			}
			// The reader renders operations one after another; wait for all of them.
			must(page.Until(`document.querySelectorAll('[data-section-id*="/operation/"]').length >= ` + fmt.Sprint(len(document.Operations))))
			shot := workspace.Local(root, "log", "docs-"+screen.name+".png")
			must(page.Screenshot(shot))
			t.Log("screenshot: ", shot)

			var overflow int
			must(page.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &overflow))
			if overflow > 0 {
				t.Errorf("the page is %d pixels wider than the screen", overflow)
			}
			must(page.Evaluate(`(document.querySelector('[data-section-id$="operation/createInstance"]').scrollIntoView(), 0)`, &overflow))
			must(page.Until(`(r => r.top < innerHeight && r.bottom > 0 && r.width > 200)(document.querySelector('[data-section-id$="operation/createInstance"] h2').getBoundingClientRect())`))
			must(page.Screenshot(workspace.Local(root, "log", "docs-"+screen.name+"-operation.png")))
			if screen.name == "desktop" {
				search(t, page, filepath.Join(workspace.Local(root, "log"), "docs-search.png"))
			}

			for _, request := range page.Requests {
				if !strings.HasPrefix(request, system.BaseURL+"/storage/docs") && !strings.HasPrefix(request, "data:") && !strings.HasPrefix(request, "blob:") {
					t.Errorf("unexpected request for %s", request)
				}
			}
			if !slices.Contains(page.Requests, system.BaseURL+"/storage/docs/openapi.yaml") {
				t.Errorf("the page did not request the document: %v", page.Requests)
			}
			if len(page.Problems) > 0 {
				t.Errorf("problems in the console:\n%s", strings.Join(page.Problems, "\n"))
			}
		})
	}
}

// search searches for an operation by its summary. The reader searches in a worker, which the
// page's policy must allow.
func search(t *testing.T, page *Page, shot string) {
	t.Helper()
	var focused bool
	if err := page.Evaluate(`(document.querySelector('input[type=text]').focus(), true)`, &focused); err != nil {
		t.Fatal(err)
	}
	if err := page.Call("Input.insertText", map[string]any{"text": "confirm"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := page.Until(`[...document.querySelectorAll('[data-role="search:results"] li')].some(li => li.innerText.includes('Confirm the download of a data element'))`); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(page.Problems, "\n"))
	}
	if err := page.Screenshot(shot); err != nil {
		t.Error(err)
	}
}
