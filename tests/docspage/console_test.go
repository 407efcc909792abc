package docspage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/workspace"
)

const (
	demoID  = "nav/app2018"
	content = `{"timer": 37, "navn": "Åse"}`

	// hostile is a text that would change the page if it were markup.
	hostile = `<img src=x onerror="document.title='changed'">`
)

// console is the page of the console, with the checks of its test.
type console struct {
	*Page
	t         *testing.T
	downloads string
}

func (c *console) must(err error) {
	c.t.Helper()
	if err != nil {
		var state string
		_ = c.Evaluate("document.body.innerText", &state)
		c.t.Fatalf("%v\n%s\n%s", err, strings.Join(c.Problems, "\n"), state)
	}
}

func (c *console) navigate(url string) {
	c.t.Helper()
	c.must(c.Call("Page.navigate", map[string]any{"url": url}, nil))
}

func (c *console) click(selector string) {
	c.t.Helper()
	c.must(c.Click(selector))
}

func (c *console) until(condition string) {
	c.t.Helper()
	c.must(c.Until(condition))
}

// shows waits until the text of an element contains a text.
func (c *console) shows(selector, text string) {
	c.t.Helper()
	c.until(fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, text))
}

// write replaces the text of a field by key presses.
func (c *console) write(selector, text string) {
	c.t.Helper()
	var found bool
	c.must(c.Evaluate(fmt.Sprintf("(n => (n.focus(), n.select(), true))(document.querySelector(%q))", selector), &found))
	c.must(c.Call("Input.insertText", map[string]any{"text": text}, nil))
}

func (c *console) screenshot(name string) {
	c.t.Helper()
	root, err := workspace.Root()
	c.must(err)
	c.must(os.MkdirAll(workspace.Local(root, "log"), 0o755))
	path := workspace.Local(root, "log", "console-"+name+".png")
	c.must(c.Screenshot(path))
	c.t.Log("screenshot: ", path)
}

// startDemo starts the system of `make run`, with parameters of template.yaml, and registers the
// demo application.
func startDemo(t *testing.T, parameters map[string]string) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Options{Progress: t.Output(), Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	registration, err := os.ReadFile(filepath.Join("..", "local", "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.BaseURL+"/storage/applications/"+demoID, bytes.NewReader(registration))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("registering %s: %s, %v", demoID, response.Status, err)
	}
	return s
}

func openConsole(t *testing.T, width, height int) *console {
	t.Helper()
	page, err := Open(t.Context(), Screen{Width: width, Height: height, Scheme: "light"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	c := &console{page, t, t.TempDir()}
	c.must(c.Call("Page.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": c.downloads}, nil))
	return c
}

// TestConsole does the main job in the console, by clicks and keys: a person creates, uploads and
// submits; the owner finds, downloads and confirms; the feed shows the events. The owner then
// sets a substatus and sends back with a reason, and the person marks the instance as read. It
// writes screenshots to .local/log.
func TestConsole(t *testing.T) {
	if _, err := find(); err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, nil)
	c := openConsole(t, 1400, 1000)
	c.navigate(s.BaseURL + "/")
	c.until(`document.querySelector("#step")?.options.length === 4`)
	c.shows("#result", "0 instances.")

	c.write("#presentation", hostile)
	c.must(c.Press("Enter")) // submits the form
	c.until(`document.activeElement.id === "instance-title"`)
	c.shows("#instance-title", hostile)
	c.shows("#steps [aria-current=step]", "FormFilling")

	file := filepath.Join(t.TempDir(), "melding på nytt.json")
	c.must(os.WriteFile(file, []byte(content), 0o644))
	c.must(c.ChooseFile("#file", file))
	c.click("#upload button")
	c.shows("#data", "melding på nytt.json")
	c.click("#move-Submit")
	c.shows("#steps [aria-current=step]", "Submit")
	c.shows("#data", "locked")
	c.screenshot("person")

	c.navigate(s.BaseURL + "/")
	c.shows("#instances", "Submit")
	c.click("#roles input[value=owner]")
	c.shows("#result", "You act as the owner.")
	c.click("#unconfirmed")
	c.click("#filter button")
	c.until(`/downloadConfirmed=false.*200/s.test(document.querySelector("#requests details[open] summary")?.innerText)`)
	c.click("#instances a")
	c.click("#data button[id^=download]")
	c.shows("#data", "downloaded by the owner")
	c.shows("#content-text", content)
	c.isDownloaded("melding på nytt.json")
	c.click("#data button[id^=confirm]")
	c.shows("#data", "confirmed by the owner")
	c.shows("#instance-title", hostile)
	c.until(`document.querySelectorAll("#instances li").length === 0`) // the work queue is empty

	c.feedback()
	for _, step := range []string{"FormFilling", "Submit"} {
		c.shows("#feed", step)
		c.shows("#history", step)
	}
	c.shows("#feed", "WorkflowStateChange")
	c.screenshot("owner")
	c.commandsWork(s)
	c.isAccessible()

	c.must(c.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}}, nil))
	c.screenshot("dark")
	c.isClean(s.BaseURL)
	t.Run("narrow", func(t *testing.T) { narrow(t, s) })
	t.Run("other host", func(t *testing.T) { otherHost(t, s) })
}

// feedback responds to the person as the owner, and reads the response as the person.
func (c *console) feedback() {
	c.t.Helper()
	facts := func(name, value string) {
		c.t.Helper()
		c.until(fmt.Sprintf(`[...document.querySelectorAll("#facts dt")].find(n => n.innerText === %q)?.nextSibling.innerText === %q`, name, value))
	}
	c.write("#substatus-label", "Under behandling")
	c.write("#substatus-description", hostile)
	c.click("#substatus button")
	facts("Substatus", "Under behandling: "+hostile)
	c.write("#reason", "Feil beløp i felt 3")
	c.click("#move-FormFilling")
	c.shows("#steps [aria-current=step]", "FormFilling")

	c.click("#roles input[value=person]")
	c.shows("#result", "You act as the person.")
	c.until(`document.querySelector("#substatus").hidden`)
	facts("Substatus", "Under behandling: "+hostile)
	facts("Reason", "Feil beløp i felt 3")
	facts("Read", "UpdatedSinceLastReview")
	c.screenshot("feedback")
	c.click("#read-status")
	facts("Read", "Read")
	c.shows("#requests details[open]", `{"readStatus":"Read"}`)

	c.click("#roles input[value=owner]")
	c.shows("#result", "You act as the owner.")
	c.click("#substatus-clear")
	c.shows("#result", "no substatus")
	c.until(`![...document.querySelectorAll("#facts dt")].some(n => n.innerText === "Substatus")`)
	c.shows("#requests details[open]", "curl -X DELETE")
}

// isDownloaded waits until the browser has saved the content in a file with a name.
func (c *console) isDownloaded(name string) {
	c.t.Helper()
	var saved []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if saved, err = os.ReadFile(filepath.Join(c.downloads, name)); err == nil && string(saved) == content {
			return
		}
	}
	c.t.Errorf("the saved file has %q, want %q", saved, content)
}

// commandsWork runs the curl command of a list, with the placeholder for the token.
func (c *console) commandsWork(s *stack.Stack) {
	c.t.Helper()
	c.click("#filter button")
	c.until(`/storage.instances.*200/s.test(document.querySelector("#requests details[open] summary")?.innerText)`)
	var command string
	c.must(c.Evaluate(`document.querySelector("#requests details[open] pre").textContent`, &command))
	first, rest, _ := strings.Cut(command, "\n")
	if first != "TOKEN=$(make -s token ORG=nav)" || !strings.Contains(rest, `"Authorization: Bearer $TOKEN"`) {
		c.t.Fatalf("the command is\n%s", command)
	}
	token, err := s.Authenticator.Owner("nav", "", time.Minute)
	c.must(err)
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", rest)
	cmd.Env = append(os.Environ(), "TOKEN="+token)
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte(`"_embedded"`)) {
		c.t.Errorf("%s\nprints %s (%v)", rest, out, err)
	}
}

// isAccessible checks that every control and landmark has a name, also for a screen reader, and
// that the focus is visible.
func (c *console) isAccessible() {
	c.t.Helper()
	type text struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name text
		}
	}
	c.must(c.Call("Accessibility.getFullAXTree", nil, &tree))
	named := []string{"button", "checkbox", "combobox", "link", "radio", "textbox", "heading", "navigation", "region", "log"}
	roles := map[any]int{}
	for _, node := range tree.Nodes {
		if node.Ignored {
			continue
		}
		roles[node.Role.Value]++
		if role := fmt.Sprint(node.Role.Value); slices.Contains(named, role) && (node.Name.Value == nil || node.Name.Value == "") {
			c.t.Errorf("a node with the role %s has no name", role)
		}
	}
	for _, role := range []string{"banner", "main", "navigation", "status", "log", "button", "textbox"} {
		if roles[role] == 0 {
			c.t.Errorf("the page has no node with the role %s", role)
		}
	}
	c.must(c.Press("Tab"))
	var outline string
	c.must(c.Evaluate("getComputedStyle(document.activeElement).outlineStyle", &outline))
	if outline != "solid" {
		c.t.Errorf("the outline of the focus is %q", outline)
	}
}

// isClean checks that no text became markup, that the page shows no token and calls its own origin
// only, and that the browser reports no problem.
func (c *console) isClean(base string) {
	c.t.Helper()
	var images int
	c.must(c.Evaluate(`document.querySelectorAll("img").length`, &images))
	var title, page string
	c.must(c.Evaluate("document.title", &title))
	if images > 0 || !strings.HasPrefix(title, "Console") {
		c.t.Errorf("a text became markup: %d images, title %q", images, title)
	}
	c.must(c.Evaluate("document.documentElement.outerHTML + JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie", &page))
	if strings.Contains(page, "eyJ") {
		c.t.Error("the page or its storage contains a token")
	}
	for _, request := range c.Requests {
		if !strings.HasPrefix(request, base+"/") && !strings.HasPrefix(request, "data:") && !strings.HasPrefix(request, "blob:"+base) {
			c.t.Errorf("unexpected request for %s", request)
		}
	}
	for _, problem := range c.Problems {
		if !strings.Contains(problem, "net::ERR_ABORTED") { // the held poll of a page that was left
			c.t.Error("problem: ", problem)
		}
	}
}

// narrow shows the instance on the screen of a phone.
func narrow(t *testing.T, s *stack.Stack) {
	c := openConsole(t, 390, 844)
	c.navigate(s.BaseURL + "/")
	c.shows("#instances", "FormFilling")
	c.screenshot("narrow")
	c.click("#instances a")
	c.until(`document.activeElement.id === "instance-title"`)
	c.until(`(r => r.top >= 0 && r.bottom < innerHeight)(document.querySelector("#instance-title").getBoundingClientRect())`)
	c.screenshot("narrow-instance")
	var overflow int
	c.must(c.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &overflow))
	if overflow > 0 {
		t.Errorf("the page is %d pixels wider than the screen", overflow)
	}
	c.isClean(s.BaseURL)
}

// otherHost opens the console by another name that resolves to this machine, as a rebound name
// does. The page gets no token.
func otherHost(t *testing.T, s *stack.Stack) {
	c := openConsole(t, 800, 600)
	c.navigate(strings.Replace(s.BaseURL, "localhost", "rebound.localhost", 1) + "/")
	c.shows("#result", "is not the local address of this server")
	var shown json.RawMessage
	c.must(c.Evaluate(`document.querySelector("#result").classList.contains("failed")`, &shown))
	if string(shown) != "true" {
		t.Error("the page does not show the rejection as an error")
	}
}
