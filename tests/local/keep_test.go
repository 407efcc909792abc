package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/buffertest"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/process"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// patience is the longest wait for a step, on a machine that is busy with something else.
const patience = 5 * time.Minute

// launcher is a running `make run`.
type launcher struct {
	cmd    *exec.Cmd
	client client.Client
	out    buffertest.Buffer
}

// launch starts the launcher and does not wait until the system is ready.
func launch(t *testing.T, root, binary, port, keep string) *launcher {
	t.Helper()
	awsPort, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l := &launcher{cmd: exec.Command(binary, "run"), client: client.Client{Base: "http://localhost:" + port}}
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = root, &l.out, &l.out
	l.cmd.Env = append(os.Environ(), "PORT="+port, "AWS_PORT="+awsPort, "KEEP="+keep, "CONTAINERS=")
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.cmd.Process.Kill() })
	return l
}

// ready waits until the system is ready.
func (l *launcher) ready(t *testing.T) {
	t.Helper()
	await(t, func() bool { return strings.Contains(l.out.String(), "\nready in ") }, &l.out)
}

// interrupt presses Ctrl-C, waits for the end and returns the last line of the output.
func (l *launcher) interrupt(t *testing.T) (last string) {
	t.Helper()
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &l.out)
	}
	lines := strings.Split(strings.TrimSpace(l.out.String()), "\n")
	return lines[len(lines)-1]
}

// await polls until a condition holds. what is printed if it does not.
func await(t *testing.T, condition func() bool, what fmt.Stringer) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain:\n%s", what)
		}
	}
}

// state is what two clients see: the instance, its content, and the events of the application.
func (l *launcher) state(t *testing.T, user, owner string, i client.Instance) string {
	t.Helper()
	var seen strings.Builder
	for _, r := range []client.Request{
		{Method: http.MethodGet, Path: i.Apps(), Token: user},
		{Method: http.MethodGet, Path: i.Apps() + "/data/" + i.Data[0].ID, Token: user},
		{Method: http.MethodGet, Path: "/storage/applications/" + demoID + "/events", Token: owner},
	} {
		seen.WriteString(string(l.client.Must(t, http.StatusOK, r).Body) + "\n")
	}
	return seen.String()
}

// With KEEP the data survives the sudden death of the launcher, and Ctrl-C. Without KEEP nothing
// does, and the last line says so.
func TestKeep(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "local")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-trimpath", "-o", binary, "./tests/local")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	signer, err := issuer.Open(workspace.Local(root))
	if err != nil {
		t.Fatal(err)
	}
	user, err := signer.User(issuer.User{SSN: "12247918309"}, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := signer.Owner(demoOrg, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	keep := filepath.Join(t.TempDir(), "keep")
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	otherPort, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}

	l := launch(t, root, binary, port, keep)
	l.ready(t)
	i := l.client.Must(t, http.StatusCreated, client.JSON(http.MethodPost, "/"+demoID+"/instances", user, `{"reportee": {"ssn": "12247918309"},
		"data": [{"formId": "default", "contentType": "application/xml", "content": "PG1lbGRpbmcvPg=="}]}`)).Instance()
	l.client.Must(t, http.StatusOK, client.JSON(http.MethodPut, i.Apps()+"/workflow", user, `{"currentStep": "Submit"}`))
	await(t, func() bool {
		return keptEvents(t, keep) == 2 && strings.Contains(l.state(t, user, owner, i), i.ID+".2")
	}, &l.out)
	second := launch(t, root, binary, otherPort, keep)
	if err := second.cmd.Wait(); err == nil || !strings.Contains(second.out.String(), "KEEP=") {
		t.Errorf("a second launcher with the same folder: %v\n%s", err, &second.out)
	}
	before := l.state(t, user, owner, i)
	if err := l.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = l.cmd.Wait()
	// What an interrupted save leaves.
	for _, name := range []string{"snapshot.json.gz.part", "objects/0123.part"} {
		if err := os.WriteFile(filepath.Join(keep, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	l = launch(t, root, binary, port, keep)
	l.ready(t)
	if after := l.state(t, user, owner, i); after != before {
		t.Errorf("after kill -9:\n%s\nwant\n%s", after, before)
	}
	l.client.Must(t, http.StatusOK, client.JSON(http.MethodPut, i.Apps()+"/workflow", owner, `{"currentStep": "Archived"}`))
	await(t, func() bool { return strings.Contains(l.state(t, user, owner, i), i.ID+".3") }, &l.out)
	before = l.state(t, user, owner, i)
	if last := l.interrupt(t); !strings.Contains(last, "kept ") || !strings.Contains(last, keep) {
		t.Errorf("the last line is %q", last)
	}

	l = launch(t, root, binary, port, keep)
	l.ready(t)
	if after := l.state(t, user, owner, i); after != before {
		t.Errorf("after Ctrl-C:\n%s\nwant\n%s", after, before)
	}
	l.interrupt(t)

	l = launch(t, root, binary, port, "")
	l.ready(t)
	l.client.Must(t, http.StatusNotFound, client.Request{Method: http.MethodGet, Path: i.Apps(), Token: user})
	if last := l.interrupt(t); !strings.Contains(last, "The data is deleted.") || !strings.Contains(last, "make run KEEP=1") {
		t.Errorf("the last line is %q", last)
	}
}

// snapshot returns the text of the saved snapshot, or "" if there is none yet.
func snapshot(t *testing.T, keep string) string {
	t.Helper()
	file, err := os.Open(filepath.Join(keep, "snapshot.json.gz"))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keptEvents returns how many events the feeds in the snapshot have.
func keptEvents(t *testing.T, keep string) (count int) {
	t.Helper()
	text := snapshot(t, keep)
	if text == "" {
		return 0
	}
	var kept struct {
		Tables map[string][]map[string]struct{ S, N string }
	}
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		t.Fatal(err)
	}
	for _, items := range kept.Tables {
		for _, item := range items {
			if strings.HasPrefix(item["PK"].S, "FEED#") {
				n, err := strconv.Atoi(item["n"].N)
				if err != nil {
					t.Fatal(err)
				}
				count += n
			}
		}
	}
	return count
}

// Kept data of a table that the template no longer has stops the start and stays in the folder.
func TestKeepRefusesAnotherTemplate(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	keep := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(`{"tables": {"Nothing": [{"PK": {"S": "a"}}]}, "queues": {}, "objects": {}}`))
	_ = w.Close()
	if err := os.Mkdir(filepath.Join(keep, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(keep, "snapshot.json.gz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, workspace.Local(root, "venv", "bin", "python"), filepath.Join("tests", "local", "keep.py"), keep)
	cmd.Dir, cmd.Stdin = root, strings.NewReader(`{"AWS::DynamoDB::Table": {"Instances": "i"}, "AWS::SQS::Queue": {}, "AWS::S3::Bucket": {}}`+"\n")
	cmd.Env = workspace.Environment("AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_DEFAULT_REGION=us-east-1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no Nothing") || !strings.Contains(string(out), "delete the folder") {
		t.Errorf("got %v, %s", err, out)
	}
	if left, err := os.ReadFile(file); err != nil || !bytes.Equal(left, packed.Bytes()) {
		t.Errorf("the snapshot changed (%v)", err)
	}
}
