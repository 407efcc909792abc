// Package docspage provides a page in headless Chromium, over the pipe of its DevTools protocol, and the tests that look at the
// documentation in it. They need a Chromium, which no package registry of the Makefile's has: `make test-docs` alone runs
// them.
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

// flags keep Chromium from asking anybody anything by itself. It runs as whoever runs the tests, which in a container is root.
var flags = []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe"}

// find returns the Chromium to run.
func find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium here: install it (Debian and Ubuntu: apt-get install chromium), or say where it is with CHROMIUM=")
}

// A Page is a tab. It notes what is wrong with what it shows.
type Page struct {
	session string
	cmd     *exec.Cmd
	profile string
	out     io.WriteCloser

	mu       sync.Mutex
	next     int
	waiting  map[int]chan message
	Requests []string // addresses that were asked for
	Troubles []string // errors and warnings of the console, exceptions, and requests that failed
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

// Open starts Chromium with an empty page of the size given, in pixels.
func Open(ctx context.Context, width, height int) (_ *Page, err error) {
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
	fromBrowser, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.out = toBrowser
	p.cmd = exec.CommandContext(ctx, path, append(flags, "--user-data-dir="+p.profile, fmt.Sprintf("--window-size=%d,%d", width, height))...)
	p.cmd.ExtraFiles = []*os.File{commands, answers} // its descriptors 3 and 4
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	_, _ = commands.Close(), answers.Close()
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
	size := map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
	return p, p.Call("Emulation.setDeviceMetricsOverride", size, nil)
}

// Close ends the browser and removes what it has stored.
func (p *Page) Close() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.out.Close()
	_ = os.RemoveAll(p.profile)
}

// Call sends a command and reads its result, when result is not nil.
func (p *Page) Call(method string, params, result any) error {
	answer := make(chan message, 1)
	p.mu.Lock()
	p.next++
	id := p.next
	p.waiting[id] = answer
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
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-time.After(20 * time.Second):
		return fmt.Errorf("%s: the browser does not answer", method)
	}
}

// listen reads what the browser says until it ends.
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
		if answer := p.waiting[m.ID]; answer != nil {
			delete(p.waiting, m.ID)
			answer <- m
		} else {
			p.note(m)
		}
		p.mu.Unlock()
	}
}

// note keeps what an event says of requests and troubles.
func (p *Page) note(m message) {
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
		p.Troubles = append(p.Troubles, "a request failed: "+event.ErrorText)
	case "Runtime.exceptionThrown":
		p.Troubles = append(p.Troubles, "an exception: "+string(m.Params))
	case "Runtime.consoleAPICalled":
		if event.Type == "error" || event.Type == "warning" || event.Type == "assert" {
			p.Troubles = append(p.Troubles, "console."+event.Type+": "+string(m.Params))
		}
	case "Log.entryAdded":
		if event.Entry.Level == "error" || event.Entry.Level == "warning" {
			p.Troubles = append(p.Troubles, "the log: "+event.Entry.Text+" "+event.Entry.URL)
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
	// By the protocol, which the page's Content-Security-Policy does not bind.
	if err := p.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &result); err != nil {
		return err
	}
	if result.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", expression, result.ExceptionDetails)
	}
	return json.Unmarshal(result.Result.Value, value)
}

// Until waits until a JavaScript condition holds.
func (p *Page) Until(condition string) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var holds bool
		if err := p.Evaluate("!!("+condition+")", &holds); err != nil {
			return err
		}
		if holds {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not in 20 s: %s", condition)
		}
	}
}

// Screenshot writes what is visible to a PNG file.
func (p *Page) Screenshot(path string) error {
	var shot struct {
		Data string `json:"data"`
	}
	if err := p.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o644)
}
