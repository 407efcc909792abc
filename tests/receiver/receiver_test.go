// Package receiver runs the reference receiver of application owners against the deployed
// binaries of the functions. It kills the command before, during and after every request, and
// checks the files on the disk and the confirmations.
package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
)

// owner is the built command and the proxy between the command and the system.
type owner struct {
	*env
	proxy  *proxy
	binary string
	dir    string
}

func newOwner(t *testing.T) *owner {
	t.Helper()
	system, err := runtime.Start(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	o := &owner{env: newEnv(t, system), binary: filepath.Join(t.TempDir(), "receiver"), dir: filepath.Join(t.TempDir(), "inbox")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", o.binary, "altinn.no/instanceapi/events/owner/receiver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o.proxy = newProxy(t, system.BaseURL, func(guid string) { o.checkFolder(guid) })
	return o
}

// run runs the command until it has fetched everything or the proxy kills it.
func (o *owner) run() (killed bool) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.binary, "-base", o.proxy.URL, "-app", o.app, "-dir", o.dir, "-once", "-workers", "2")
	cmd.Env = append(os.Environ(), "TOKEN="+o.token)
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
	if err != nil || !strings.HasSuffix(output.String(), " left=0 failed=0\n") {
		o.t.Fatalf("%v\n%s", err, output.String())
	}
	return false
}

// TestKilledAtEveryRequest submits an instance and kills the command at its first request,
// submits another and kills it at its second request, and so on, in four modes. Some submissions
// have no data, some are deleted by their user, and some are submitted again unchanged. After each
// mode it lets the command finish.
func TestKilledAtEveryRequest(t *testing.T) {
	o := newOwner(t)
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
			if t.Failed() {
				t.Fatalf("after a kill %s request %d", mode, at)
			}
		}
		if o.run() {
			t.Fatal("the command was killed, but not by the proxy")
		}
		o.checkAll()
	}
	t.Logf("%d kills, %d instances", kills, len(o.submitted))
	if kills < 40 {
		t.Error("too few kills: want at least 40")
	}
}

// checkAll compares the disk and the confirmations with the submissions.
func (o *owner) checkAll() {
	o.t.Helper()
	folders, err := filepath.Glob(filepath.Join(o.dir, "*-*"))
	if err != nil || len(folders) != len(o.submitted) {
		o.t.Errorf("%d folders for %d instances (%v)", len(folders), len(o.submitted), err)
	}
	for guid, s := range o.submitted {
		o.checkFolder(guid)
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
	var queue struct {
		Embedded struct{ Instances []json.RawMessage } `json:"_embedded"`
	}
	if err := json.Unmarshal(o.send(200, o.token, "GET", "/storage/instances?appId="+o.app+"&downloadConfirmed=false", "", nil), &queue); err != nil || len(queue.Embedded.Instances) > 0 {
		o.t.Errorf("the queue still holds %s (%v)", queue.Embedded.Instances, err)
	}
}

// checkFolder checks that the folder of an instance has every element once, with its content, and
// instance.json, and nothing else.
func (o *owner) checkFolder(guid string) {
	o.t.Helper()
	entries, err := os.ReadDir(filepath.Join(o.dir, guid))
	if err != nil {
		o.t.Error(err)
		return
	}
	found := map[string]bool{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(o.dir, guid, entry.Name()))
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
		want, ok := o.submitted[guid].files[element]
		if !ok || found[element] || !bytes.Equal(content, want) {
			o.t.Errorf("%s: %s has %d bytes; submitted: %v, with %d", guid, entry.Name(), len(content), ok, len(want))
		}
		found[element] = true
	}
	if len(entries) != len(found)+1 || len(found) != len(o.submitted[guid].files) {
		o.t.Errorf("%s: %d entries, %d of %d files", guid, len(entries), len(found), len(o.submitted[guid].files))
	}
}

func (m mode) String() string {
	return [...]string{"before", "in the middle of the response to", "after the effect of", "soon after"}[m]
}
