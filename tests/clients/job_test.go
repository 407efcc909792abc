package clients

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/token/issuer"
)

const person = "12247918309"

// A job is one run of a program: the inputs of the program, what it printed, and access to the
// system without a generated client.
type job struct {
	app, problem string // the name of the application, and status and code of the rejected request
	root, folder string
	form         string // its last content
	draft, final []byte // the first and the second content of the attachment
	printed      map[string]string
	omits        map[string]bool // steps that the program does not do

	api         client.Client
	owner, user string // tokens
}

func newJob(t *testing.T, system *stack.Stack, root, folder, app, problem string) *job {
	t.Helper()
	j := &job{app: app, problem: problem, root: root, folder: folder, form: `{"timer": 38}`, draft: randomBytes(3_000), final: randomBytes(70_000),
		api: client.Client{Base: system.BaseURL}}
	var err error
	if j.owner, err = system.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if j.user, err = system.Authenticator.User(issuer.User{SSN: person}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"draft.pdf": j.draft, "final.pdf": j.final, "kvittering.pdf": j.final} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(folder, "saved.pdf")); err != nil {
		t.Fatal(err)
	}
	return j
}

// environment returns the inputs of a program. The files have every byte, so that a client that
// decodes content as text damages it.
func (j *job) environment(base string) []string {
	return []string{"APPS_URL=" + base, "STORAGE_URL=" + base, "USER_TOKEN=" + j.user, "OWNER_TOKEN=" + j.owner, "APP=" + j.app,
		"SSN=" + person, "DRAFT=draft.pdf", "FINAL=final.pdf", "SAVE_AS=saved.pdf"}
}

// read stores the lines of a program, "step: value".
func (j *job) read(printed string) {
	j.printed = map[string]string{}
	for line := range strings.Lines(printed) {
		if step, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			j.printed[step] = value
		}
	}
}

// instance is the part of an instance that the checks read.
type instance struct {
	ID              string
	InstanceOwnerID string
	Labels          []string
	DueDateTime     *time.Time
	SelfLinks       struct{ Platform string }
	Workflow        struct {
		CurrentStep string
		Notes       []struct{ Reason string }
	}
	Status struct {
		ReadStatus string
		Substatus  any
	}
	Data []struct {
		ID, FormID, ContentType, FileName string
		ApplicationOwner                  struct{ Downloaded, DownloadConfirmed []time.Time }
	}
}

// steps are the steps of the main job, in order. A check returns what the program must print, or an
// error if the system does not have the result of the step.
var steps = []struct {
	name  string
	check func(t *testing.T, j *job, i *instance) (string, error)
}{
	{"register", func(t *testing.T, j *job, _ *instance) (string, error) {
		r := j.get(t, j.owner, "/storage/applications/nav/"+j.app)
		return "nav/" + j.app, must(bytes.Contains(r.Body, []byte(`"attachment"`)), "the registration is %s", r.Body)
	}},
	{"create", func(t *testing.T, j *job, i *instance) (string, error) {
		if len(i.Data) == 0 {
			return i.ID, fmt.Errorf("the instance has no data")
		}
		form := j.content(t, i, 0)
		return i.ID, must(string(form) == j.form && strings.Join(i.Labels, " ") == "gr", "the form is %s, the labels are %v", form, i.Labels)
	}},
	{"upload", func(_ *testing.T, _ *job, i *instance) (string, error) {
		e := i.Data[1]
		return e.ID, must(e.FormID == "attachment" && e.ContentType == "application/pdf" && e.FileName == "kvittering.pdf", "the element is %+v", e)
	}},
	{"replace", func(t *testing.T, j *job, i *instance) (string, error) {
		content := j.content(t, i, 1)
		return fmt.Sprint(len(j.final)), must(bytes.Equal(content, j.final), "the system has %d other bytes", len(content))
	}},
	{"submit", func(_ *testing.T, _ *job, i *instance) (string, error) {
		return "Submit", must(i.Workflow.CurrentStep == "Submit", "the step is %s", i.Workflow.CurrentStep)
	}},
	{"problem", func(_ *testing.T, j *job, _ *instance) (string, error) { return j.problem, nil }},
	{"send back", func(_ *testing.T, _ *job, i *instance) (string, error) {
		const reason = "Kvitteringen mangler."
		notes := i.Workflow.Notes
		return reason, must(len(notes) == 1 && notes[0].Reason == reason, "the notes are %v", notes)
	}},
	{"changes", func(t *testing.T, j *job, i *instance) (string, error) {
		if len(i.Data) != 4 {
			return "", fmt.Errorf("the instance has %d data elements, want 4", len(i.Data))
		}
		names := []string{i.Data[2].FileName, i.Data[3].FileName}
		return "4 Submit", must(bytes.Equal(j.content(t, i, 2), j.final) && bytes.Equal(j.content(t, i, 3), j.final) &&
			slices.Equal(names, []string{"kvittering.pdf", "kontrakt.pdf"}), "the attachments %v have other content or names", names)
	}},
	{"query by step", func(_ *testing.T, _ *job, i *instance) (string, error) { return i.ID, nil }},
	{"query by label", func(_ *testing.T, _ *job, i *instance) (string, error) { return i.ID, nil }},
	{"download", func(_ *testing.T, j *job, i *instance) (string, error) {
		saved, err := os.ReadFile(filepath.Join(j.folder, "saved.pdf"))
		if err != nil {
			return "", err
		}
		if !bytes.Equal(saved, j.final) {
			return "", fmt.Errorf("%d other bytes are saved", len(saved))
		}
		downloads := i.Data[1].ApplicationOwner.Downloaded
		return fmt.Sprint(len(j.final)), must(len(downloads) == 1, "the downloads are %v", downloads)
	}},
	{"confirm", func(_ *testing.T, _ *job, i *instance) (string, error) {
		confirmations := i.Data[1].ApplicationOwner.DownloadConfirmed
		return "1", must(len(confirmations) == 1, "the confirmations are %v", confirmations)
	}},
	{"confirm many", func(_ *testing.T, _ *job, i *instance) (string, error) {
		for n, e := range i.Data {
			if confirmations := e.ApplicationOwner.DownloadConfirmed; len(confirmations) != 1 {
				return "", fmt.Errorf("the confirmations of data element %d are %v", n, confirmations)
			}
		}
		return i.ID + " 200", nil
	}},
	{"substatus", func(_ *testing.T, _ *job, i *instance) (string, error) {
		return "Under behandling false", must(i.Status.Substatus == nil, "the substatus is %v", i.Status.Substatus)
	}},
	{"read status", func(_ *testing.T, _ *job, i *instance) (string, error) {
		return "UpdatedSinceLastReview Read", must(i.Status.ReadStatus == "Read", "the read status is %s", i.Status.ReadStatus)
	}},
	{"set and clear a date", func(_ *testing.T, _ *job, i *instance) (string, error) {
		return "true false", must(i.DueDateTime == nil, "the date is %v", i.DueDateTime)
	}},
	{"events", func(_ *testing.T, _ *job, i *instance) (string, error) { return i.SelfLinks.Platform, nil }},
}

// check returns the result of each step: "ok", "FAILED", "-" if the program did not reach it, or ""
// for the steps that the job omits.
func (j *job) check(t *testing.T) []string {
	t.Helper()
	results := make([]string, len(steps))
	var page struct {
		Embedded struct{ Instances []*instance } `json:"_embedded"`
	}
	r := j.get(t, j.owner, "/storage/instances?appId=nav/"+j.app)
	if err := json.Unmarshal(r.Body, &page); err != nil {
		t.Errorf("%s: %v in %s", j.app, err, r)
	}
	found := page.Embedded.Instances
	if len(found) == 1 { // the result of a query has no recorded downloads
		r := j.get(t, j.owner, "/storage/instances/"+found[0].InstanceOwnerID+"/"+found[0].ID)
		if err := json.Unmarshal(r.Body, found[0]); err != nil {
			t.Errorf("%s: %v in %s", j.app, err, r)
		}
	}
	for n, step := range steps {
		if j.omits[step.name] {
			continue
		}
		printed, reached := j.printed[step.name]
		switch {
		case !reached:
			results[n] = "-"
			t.Errorf("%s: the program did not reach %q", j.app, step.name)
			continue
		case len(found) != 1:
			results[n] = "FAILED"
			t.Errorf("%s: the system has %d instances, want 1", j.app, len(found))
			continue
		}
		results[n] = "ok"
		want, err := step.check(t, j, found[0])
		if err == nil && printed != want {
			err = fmt.Errorf("the program printed %q, want %q", printed, want)
		}
		if err != nil {
			results[n] = "FAILED"
			t.Errorf("%s: %s: %v", j.app, step.name, err)
		}
	}
	return results
}

func (j *job) get(t *testing.T, token, path string) *client.Response {
	t.Helper()
	return j.api.Must(t, 200, client.Request{Method: "GET", Path: path, Token: token})
}

// content returns the content of a data element. It reads as the user, which records no download.
func (j *job) content(t *testing.T, i *instance, element int) []byte {
	t.Helper()
	return j.get(t, j.user, "/nav/"+j.app+"/instances/"+i.InstanceOwnerID+"/"+i.ID+"/data/"+i.Data[element].ID).Body
}

// must returns an error with the message unless the condition holds.
func must(condition bool, format string, args ...any) error {
	if condition {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func randomBytes(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	return content
}
