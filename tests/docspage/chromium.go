// Package docspage drives a page in headless Chromium, over the pipe of its DevTools protocol,
// and tests the documentation and the console with it. Of the documentation it also tests the
// width, the keyboard, and accessibility by axe-core. The tests need Chromium, which `make` does
// not install: only `make test-docs` runs them.
package docspage

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// flags stop Chromium from sending background requests. It runs as the user of the tests, which
// in a container is root.
var flags = []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe"}

// find returns the path of Chromium.
func find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("chromium is not installed: install it (Debian and Ubuntu: apt-get install chromium), or set CHROMIUM to its path")
}

// A Page is a tab. It records the problems of the pages that it shows.
type Page struct {
	session string
	cmd     *exec.Cmd
	profile string
	out     io.WriteCloser

	mu       sync.Mutex
	next     int
	waiting  map[int]chan message
	Requests []string // requested URLs
	Problems []string // console errors and warnings, exceptions, and failed requests
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	SessionID string `json:"sessionId,omitempty"`
}

// A Screen is a size in pixels and a colour scheme.
type Screen struct {
	Name          string
	Width, Height int
	Scheme        string // light or dark
}

// Open starts Chromium with an empty page on a screen.
func Open(ctx context.Context, screen Screen) (_ *Page, err error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	p := &Page{waiting: map[int]chan message{}}
	if p.profile, err = os.MkdirTemp("", "browser-"); err != nil {
		return nil, err
	}
	commands, toBrowser, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromBrowser, responses, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.out = toBrowser
	p.cmd = exec.CommandContext(ctx, path, append(flags, "--user-data-dir="+p.profile, fmt.Sprintf("--window-size=%d,%d", screen.Width, screen.Height))...)
	p.cmd.ExtraFiles = []*os.File{commands, responses} // its descriptors 3 and 4
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	_, _ = commands.Close(), responses.Close()
	go p.listen(fromBrowser)

	var target struct {
		TargetID string `json:"targetId"`
	}
	if err := p.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		p.Close()
		return nil, err
	}
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	if err := p.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		p.Close()
		return nil, err
	}
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		if err := p.Call(domain+".enable", nil, nil); err != nil {
			p.Close()
			return nil, err
		}
	}
	size := map[string]any{"width": screen.Width, "height": screen.Height, "deviceScaleFactor": 1, "mobile": screen.Width < 600}
	scheme := map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": screen.Scheme}}}
	return p, errors.Join(p.Call("Emulation.setDeviceMetricsOverride", size, nil), p.Call("Emulation.setEmulatedMedia", scheme, nil))
}

// Close kills the browser and removes its profile.
func (p *Page) Close() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.out.Close()
	_ = os.RemoveAll(p.profile)
}

// Call sends a command and decodes its result into result, if result is not nil.
func (p *Page) Call(method string, params, result any) error {
	response := make(chan message, 1)
	p.mu.Lock()
	p.next++
	id := p.next
	p.waiting[id] = response
	p.mu.Unlock()
	fields := map[string]any{"id": id, "method": method}
	if params != nil {
		fields["params"] = params
	}
	if p.session != "" {
		fields["sessionId"] = p.session
	}
	command, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if _, err := p.out.Write(append(command, 0)); err != nil {
		return err
	}
	select {
	case m := <-response:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%s: the browser does not respond", method)
	}
}

// listen reads the browser's messages until the browser ends.
func (p *Page) listen(from io.ReadCloser) {
	defer from.Close()
	for reader := bufio.NewReader(from); ; {
		text, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		p.mu.Lock()
		if response := p.waiting[m.ID]; response != nil {
			delete(p.waiting, m.ID)
			response <- m
		} else {
			p.record(m)
		}
		p.mu.Unlock()
	}
}

// record records the requests and problems of an event.
func (p *Page) record(m message) {
	var event struct {
		Type    string `json:"type"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
		Entry struct {
			Level, Text, URL string
		} `json:"entry"`
		ErrorText string `json:"errorText"`
	}
	if json.Unmarshal(m.Params, &event) != nil {
		return
	}
	switch m.Method {
	case "Network.requestWillBeSent":
		p.Requests = append(p.Requests, event.Request.URL)
	case "Network.loadingFailed":
		p.Problems = append(p.Problems, "a request failed: "+event.ErrorText)
	case "Runtime.exceptionThrown":
		p.Problems = append(p.Problems, "an exception: "+string(m.Params))
	case "Runtime.consoleAPICalled":
		if event.Type == "error" || event.Type == "warning" || event.Type == "assert" {
			p.Problems = append(p.Problems, "console."+event.Type+": "+string(m.Params))
		}
	case "Log.entryAdded":
		if event.Entry.Level == "error" || event.Entry.Level == "warning" {
			p.Problems = append(p.Problems, "the log: "+event.Entry.Text+" "+event.Entry.URL)
		}
	}
}

// Evaluate runs a JavaScript expression and reads its value.
func (p *Page) Evaluate(expression string, value any) error {
	var result struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	// The page's Content-Security-Policy does not apply to the protocol.
	if err := p.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &result); err != nil {
		return err
	}
	if result.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", expression, result.ExceptionDetails)
	}
	return json.Unmarshal(result.Result.Value, value)
}

// Until waits until a JavaScript condition is true.
func (p *Page) Until(condition string) error {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var met bool
		if err := p.Evaluate("!!("+condition+")", &met); err != nil {
			return err
		}
		if met {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not true within two minutes: %s", condition)
		}
	}
}

// Click clicks the middle of an element with the mouse.
func (p *Page) Click(selector string) error {
	if err := p.Until(fmt.Sprintf("document.querySelector(%q)", selector)); err != nil {
		return err
	}
	var at struct{ X, Y float64 }
	middle := `(n => { n.scrollIntoView({block: "center"}); const r = n.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })`
	if err := p.Evaluate(fmt.Sprintf("%s(document.querySelector(%q))", middle, selector), &at); err != nil {
		return err
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		event := map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}
		if err := p.Call("Input.dispatchMouseEvent", event, nil); err != nil {
			return err
		}
	}
	return nil
}

// keys are the keys of Press, each with its code and text.
var keys = map[string]struct {
	code int
	text string
}{"Enter": {13, "\r"}, "Tab": {9, ""}}

// Press presses and releases a key.
func (p *Page) Press(key string) error {
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": keys[key].code}
		if kind == "keyDown" {
			event["text"] = keys[key].text
		}
		if err := p.Call("Input.dispatchKeyEvent", event, nil); err != nil {
			return err
		}
	}
	return nil
}

// ChooseFile selects a file in a file input.
func (p *Page) ChooseFile(selector, path string) error {
	var input struct {
		Result struct {
			ObjectID string `json:"objectId"`
		} `json:"result"`
	}
	if err := p.Call("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf("document.querySelector(%q)", selector)}, &input); err != nil {
		return err
	}
	return p.Call("DOM.setFileInputFiles", map[string]any{"objectId": input.Result.ObjectID, "files": []string{path}}, nil)
}

// Screenshot writes the visible part of the page to a PNG file.
func (p *Page) Screenshot(path string) error {
	var shot struct {
		Data string `json:"data"`
	}
	if err := p.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}
