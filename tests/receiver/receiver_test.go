// Package receiver runs the reference receivers of application owners, in Go and in Python, against
// the deployed binaries of the functions. It kills them before, during and after every request, and
// checks the files on the disk and the confirmations.
package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
)

// receiver is a receiver under test.
type receiver struct {
	name  string
	build func(t *testing.T) (command []string)
}

var receivers = []receiver{
	{"go", func(t *testing.T) []string {
		binary := filepath.Join(t.TempDir(), "receiver")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "altinn.no/instanceapi/events/owner/receiver")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return []string{binary, "-workers", "2"}
	}},
	{"python", func(*testing.T) []string { return []string{"python3", "-B", "../../events/owner/receiver/receiver.py"} }},
}

// owner is a receiver and the proxy between the receiver and the system.
type owner struct {
	*env
	proxy     *proxy
	command   []string
	tokenFile string
	dir       string
	blocked   int // number of data elements that the next run reports as blocked
}

func newOwner(t *testing.T, system *runtime.System, r receiver) *owner {
	t.Helper()
	o := &owner{env: newEnv(t, system, "nav/"+r.name), command: r.build(t), dir: filepath.Join(t.TempDir(), "inbox")}
	o.tokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(o.tokenFile, []byte(o.token), 0o600); err != nil {
		t.Fatal(err)
	}
	o.proxy = newProxy(t, system.BaseURL, func(guid string) { o.checkCurrent(guid) })
	return o
}

// run runs the command until it has fetched everything or the proxy kills it.
func (o *owner) run() (killed bool) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 5*time.Minute)
	defer cancel()
	args := append(o.command[1:len(o.command):len(o.command)], "-base", o.proxy.URL, "-app", o.app, "-dir", o.dir, "-once")
	cmd := exec.CommandContext(ctx, o.command[0], args...)
	cmd.Env = append(os.Environ(), "TOKEN_FILE="+o.tokenFile)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.proxy.setVictim(cmd.Process)
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil {
		return true
	}
	if err != nil || !strings.HasSuffix(output.String(), fmt.Sprintf(" left=0 failed=0 waiting=0 blocked=%d\n", o.blocked)) {
		o.t.Fatalf("%v\n%s", err, output.String())
	}
	return false
}

// TestKilledAtEveryRequest kills each receiver at each of its requests.
func TestKilledAtEveryRequest(t *testing.T) {
	system, err := runtime.Start(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	for _, r := range receivers {
		t.Run(r.name, func(t *testing.T) { newOwner(t, system, r).killAtEveryRequest() })
	}
}

// killAtEveryRequest submits an instance and kills the receiver at its first request, submits
// another and kills it at its second request, and so on, in four modes. Some submissions have no
// data, some are deleted by their user, and some are submitted again unchanged. After each mode it
// lets the receiver finish.
func (o *owner) killAtEveryRequest() {
	kills, earlier := 0, o.submit(1, false)
	for _, mode := range []mode{before, half, after, later} {
		for at := 1; at <= 14; at++ {
			guid := o.submit([]int{2, 2, 0, 1}[at%4], at%3 == 0)
			if at%5 == 0 {
				o.softDelete(guid)
			}
			if at%4 == 1 {
				o.resubmit(earlier)
			}
			earlier = guid
			o.proxy.arm(at, mode)
			if o.run() {
				kills++
			}
			o.proxy.arm(0, before)
			if o.t.Failed() {
				o.t.Fatalf("after a kill %s request %d", mode, at)
			}
		}
		if o.run() {
			o.t.Fatal("the receiver was killed, but not by the proxy")
		}
		o.checkAll()
	}
	o.t.Logf("%d kills, %d instances", kills, len(o.submitted))
	if kills < 40 {
		o.t.Error("too few kills: want at least 40")
	}
}

// checkAll compares the disk and the confirmations with the submissions.
func (o *owner) checkAll() {
	o.t.Helper()
	guids := map[string]string{".lock": ""} // by folder
	for guid, s := range o.submitted {
		for _, folder := range s.folders {
			guids[folder] = guid
		}
	}
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		o.t.Error(err)
	}
	for _, entry := range entries {
		if guid, ok := guids[entry.Name()]; !ok {
			o.t.Errorf("%s has no submission", entry.Name())
		} else if guid != "" {
			o.checkFolder(guid, entry.Name())
		}
	}
	for guid, s := range o.submitted {
		o.checkCurrent(guid)
		var i struct {
			Workflow struct{ SubmittedDateTime time.Time }
			Data     []struct {
				ID               string
				ApplicationOwner struct{ DownloadConfirmed []time.Time }
			}
		}
		if err := json.Unmarshal(o.send(200, o.token, "GET", s.path, "", nil), &i); err != nil {
			o.t.Fatal(err)
		}
		for _, element := range i.Data {
			confirmed := element.ApplicationOwner.DownloadConfirmed
			if n := len(confirmed); n == 0 || confirmed[n-1].Before(i.Workflow.SubmittedDateTime) || n > 1 && !confirmed[n-2].Before(i.Workflow.SubmittedDateTime) {
				o.t.Errorf("%s of %s, submitted at %v, is confirmed at %v", element.ID, guid, i.Workflow.SubmittedDateTime, confirmed)
			}
		}
	}
	o.checkQueue()
}

// checkQueue checks that the work queue is empty.
func (o *owner) checkQueue() {
	o.t.Helper()
	var queue struct {
		Embedded struct{ Instances []json.RawMessage } `json:"_embedded"`
	}
	if err := json.Unmarshal(o.send(200, o.token, "GET", "/storage/instances?appId="+o.app+"&downloadConfirmed=false", "", nil), &queue); err != nil || len(queue.Embedded.Instances) > 0 {
		o.t.Errorf("the queue still holds %s (%v)", queue.Embedded.Instances, err)
	}
}

// checkCurrent checks the folder of the latest submission of an instance.
func (o *owner) checkCurrent(guid string) {
	o.t.Helper()
	folders := o.get(guid).folders
	found, err := filepath.Glob(filepath.Join(o.dir, folders[len(folders)-1]+"*")) // the name may end in the hash of blocked elements
	if err != nil || len(found) != 1 {
		o.t.Errorf("%s has the folders %q, want one (%v)", guid, found, err)
		return
	}
	o.checkFolder(guid, filepath.Base(found[0]))
}

// checkFolder checks that a folder has every element of an instance once, with its content, and
// instance.json, and nothing else.
func (o *owner) checkFolder(guid, folder string) {
	o.t.Helper()
	entries, err := os.ReadDir(filepath.Join(o.dir, folder))
	if err != nil {
		o.t.Error(err)
		return
	}
	found := map[string]bool{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(o.dir, folder, entry.Name()))
		if err != nil {
			o.t.Error(err)
		}
		if entry.Name() == "instance.json" {
			if !json.Valid(content) {
				o.t.Errorf("%s: instance.json is damaged", guid)
			}
			continue
		}
		element := entry.Name()[:min(36, len(entry.Name()))]
		want, ok := o.get(guid).files[element]
		if !ok || found[element] || !bytes.Equal(content, want) {
			o.t.Errorf("%s: %s has %d bytes; submitted: %v, with %d", guid, entry.Name(), len(content), ok, len(want))
		}
		found[element] = true
	}
	if len(entries) != len(found)+1 || len(found) != len(o.get(guid).files) {
		o.t.Errorf("%s: %d entries, %d of %d files", guid, len(entries), len(found), len(o.get(guid).files))
	}
}

func (m mode) String() string {
	return [...]string{"before", "in the middle of the response to", "after the effect of", "soon after"}[m]
}
