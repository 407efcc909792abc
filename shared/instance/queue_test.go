package instance

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// queueModel is the work queue as the owner understands it: it counts submissions and compares no
// times. Submission 0 is the draft before the first submission.
type queueModel struct {
	submission int
	submitted  bool
	whole      int // the latest submission that was confirmed as a whole
	elements   map[string]*queueElement
}

// queueElement is the current content of an element.
type queueElement struct {
	byOwner, downloaded bool
	infected            bool
	passed              int   // the submission whose confirmation as a whole passed over it
	confirmed           []int // submissions
}

func (m *queueModel) inQueue() bool {
	others := 0
	for _, e := range m.elements {
		switch {
		case e.byOwner:
		case slices.Contains(e.confirmed, m.submission):
			others++
		case e.infected && e.passed == m.submission:
			others++
		default:
			return m.submitted
		}
	}
	return m.submitted && others == 0 && m.whole != m.submission
}

func (m *queueModel) enter(step application.Step) {
	submits := step.LocksData || step.Completes
	if submits && !m.submitted {
		m.submission++
	}
	m.submitted = submits
}

func (m *queueModel) confirm(id string) string {
	e := m.elements[id]
	switch {
	case e == nil:
		return "not-found"
	case !e.downloaded:
		return "not-downloaded"
	case slices.Contains(e.confirmed, m.submission):
		return "unchanged"
	}
	e.confirmed = append(e.confirmed, m.submission)
	return ""
}

func (m *queueModel) confirmAll() string {
	changed := false
	for _, e := range m.elements {
		if !e.downloaded && !e.infected {
			return "not-downloaded"
		}
	}
	inQueue := m.inQueue()
	for id, e := range m.elements {
		changed = m.confirm(id) == "" || changed
		if e.infected && m.submitted && (changed || inQueue) {
			e.passed = m.submission
		}
	}
	if !changed && !inQueue {
		return "unchanged"
	}
	if m.submitted {
		m.whole = m.submission
	}
	return ""
}

// queueWorkflows are workflows with every kind of submission: into a step that locks, completes or
// does both, directly or from another such step, and with ways back.
func queueWorkflows() []application.Workflow {
	both := []application.Role{application.User, application.Owner}
	flow := application.DefaultWorkflow()
	open := application.Workflow{
		Steps: []application.Step{{Name: "Draft"}, {Name: "Signing"}, {Name: "Done", Completes: true}, {Name: "Locked", LocksData: true}},
	}
	for _, t := range [][2]string{
		{"Draft", "Signing"}, {"Signing", "Draft"}, {"Draft", "Done"}, {"Signing", "Locked"}, {"Done", "Locked"}, {"Locked", "Done"}, {"Done", "Draft"}, {"Locked", "Signing"},
	} {
		open.Transitions = append(open.Transitions, application.Transition{From: t[0], To: t[1], By: both})
	}
	return []application.Workflow{flow, open}
}

// TestQueue compares the queue with the model after every operation of random histories, while the
// clock jumps as the clocks of several functions do.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := newApplication()
		app.Workflow = rapid.SampledFrom(queueWorkflows()).Draw(t, "workflow")
		if err := app.Validate(); err != nil {
			t.Fatal(err)
		}
		now := noon
		i, err := New(Draft{Application: app, InstanceOwnerID: "50012"}, "1001", now)
		if err != nil {
			t.Fatal(err)
		}
		i.Version = 1
		m := &queueModel{elements: map[string]*queueElement{}}
		added := 0
		for range rapid.IntRange(1, 60).Draw(t, "operations") {
			now = now.Add(time.Duration(rapid.IntRange(-30_000_000, 60_000_000).Draw(t, "microseconds")) * time.Microsecond)
			by := rapid.SampledFrom([]string{"1001", "50012", "nav"}).Draw(t, "by")
			id := fmt.Sprint("d", rapid.IntRange(0, added).Draw(t, "element"))
			before := i.Clone()
			var err error
			want := "?" // a rejection by rules that have their own tests
			operation := rapid.SampledFrom([]string{"add", "replace", "remove", "download", "download", "confirm", "confirm", "confirm all", "move", "move", "delete", "undelete", "infect"}).Draw(t, "operation")
			switch operation {
			case "add":
				id = fmt.Sprint("d", added)
				if err = i.AddData(app, id, "default", Content{Revision: id, Scanning: application.ScanningStrict}, by, now); err == nil {
					added++
					m.elements[id] = &queueElement{byOwner: by == "nav"}
				}
			case "replace":
				if err = i.ReplaceData(app, id, Content{Revision: id, Scanning: application.ScanningStrict}, by, now); err == nil {
					*m.elements[id] = queueElement{byOwner: by == "nav"}
				}
			case "remove":
				if err = i.RemoveData(app, id, by, now); err == nil {
					delete(m.elements, id)
				}
			case "download":
				if err = i.RecordDownload(id, now); err == nil {
					m.elements[id].downloaded = true
				}
			case "infect":
				if _, err = i.ApplyScans(app, map[string]ScanResult{id: {Status: ScanInfected, At: now}}, now, Links{}); err == nil {
					m.elements[id].infected = true
				}
			case "confirm":
				want = m.confirm(id)
				err = i.ConfirmDownload(id, now)
			case "confirm all":
				want = m.confirmAll()
				err = i.ConfirmAll(now, true)
			case "move":
				to := rapid.SampledFrom(append(app.Workflow.Reachable(i.Workflow.CurrentStep, application.Owner), i.Workflow.CurrentStep)).Draw(t, "step")
				if _, err = i.Transition(app, to, application.Owner, by, now); err == nil {
					step, _ := app.Workflow.Step(to)
					m.enter(step)
				}
			case "delete":
				err = i.Delete(application.User, now)
			case "undelete":
				err = i.Undelete(application.Owner, now)
			}
			if want != "?" && code(err) != want {
				t.Fatalf("%s %s: %v, want %q", operation, id, err, want)
			}
			if err != nil && !reflect.DeepEqual(i, before) {
				t.Fatalf("%s failed with %v, but the instance changed", operation, err)
			}
			if i.InQueue() != m.inQueue() {
				t.Fatalf("%s %s by %s (%v): in the queue %v, want %v\n%+v\n%+v", operation, id, by, err, i.InQueue(), m.inQueue(), i, m)
			}
			checkSubmission(t, i, before, m)
			i.Version++
		}
	})
}

// checkSubmission compares the members that a client sees with the model.
func checkSubmission(t *rapid.T, i, before *Instance, m *queueModel) {
	t.Helper()
	switch at, was := i.submitted(), before.submitted(); {
	case at.IsZero() != (m.submission == 0):
		t.Fatalf("submitted at %v after %d submissions", at, m.submission)
	case m.submitted && !before.Submitted && !at.After(was), (!m.submitted || before.Submitted) && !at.Equal(was):
		t.Fatalf("submitted at %v, before at %v", at, was)
	}
	for _, d := range i.Data {
		var confirmed []time.Time
		if d.ApplicationOwner != nil {
			confirmed = d.ApplicationOwner.DownloadConfirmed
		}
		if want := m.elements[d.ID].confirmed; len(confirmed) != min(len(want), maxConfirmations) ||
			!slices.IsSortedFunc(confirmed, func(a, b time.Time) int { return a.Compare(b) }) {
			t.Fatalf("%s is confirmed at %v, want once in each of %v", d.ID, confirmed, want)
		}
	}
}

func TestConfirmDownload(t *testing.T) {
	app := newApplication()
	i := in(t, app, "Submit")
	changed := i.LastChangedDateTime
	if err := i.ConfirmDownload("none", noon); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if err := i.ConfirmDownload("d", noon); code(err) != "not-downloaded" || !fault.Is(err, fault.Conflict) || !i.InQueue() {
		t.Errorf("before any download: %v", err)
	}
	if err := i.RecordDownload("d", noon); err != nil || !i.InQueue() {
		t.Errorf("downloaded: %v", err)
	}
	if err := i.ConfirmDownload("d", noon.Add(time.Second)); err != nil || i.InQueue() {
		t.Errorf("%v", err)
	}
	before := i.Clone()
	if err := i.ConfirmDownload("d", noon.Add(time.Hour)); code(err) != "unchanged" || !reflect.DeepEqual(i, before) {
		t.Errorf("repeated: %v", err)
	}
	if !i.LastChangedDateTime.Equal(changed) {
		t.Error("ConfirmDownload changed lastChanged")
	}
	// A download after the confirmation does not remove it.
	if err := i.RecordDownload("d", noon.Add(time.Hour)); err != nil || i.InQueue() {
		t.Errorf("%v", err)
	}
	// Of many submissions, the first confirmation and the latest nine are kept.
	var times []time.Time
	for n := range 25 {
		for _, step := range []string{"FormFilling", "Submit"} {
			if _, err := i.Transition(app, step, application.Owner, "nav", noon.Add(time.Duration(n+1)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := i.ConfirmDownload("d", noon.Add(time.Duration(n+1)*time.Hour+time.Minute)); err != nil || i.InQueue() {
			t.Fatal(err)
		}
		times = i.Data[0].ApplicationOwner.DownloadConfirmed
	}
	if len(times) != 10 || !times[0].Equal(TruncateTime(noon.Add(time.Second))) || !times[1].Equal(TruncateTime(noon.Add(17*time.Hour+time.Minute))) {
		t.Errorf("%v", times)
	}
}

func TestConfirmAll(t *testing.T) {
	app := newApplication()
	for name, test := range map[string]struct {
		downloaded, confirmed []int // of three
		code                  string
	}{
		"none downloaded":         {nil, nil, "not-downloaded"},
		"one missing, the last":   {[]int{0, 1}, nil, "not-downloaded"},
		"one missing, the first":  {[]int{1, 2}, nil, "not-downloaded"},
		"one confirmed, one not":  {[]int{0, 1}, []int{0}, "not-downloaded"},
		"all downloaded":          {[]int{0, 1, 2}, nil, ""},
		"some confirmed already":  {[]int{0, 1, 2}, []int{1}, ""},
		"all confirmed already":   {[]int{0, 1, 2}, []int{0, 1, 2}, "unchanged"},
		"only the last confirmed": {[]int{0, 1, 2}, []int{2}, ""},
	} {
		i := stored(t, app)
		for n := range 3 {
			if err := i.AddData(app, fmt.Sprint("d", n), "default", Content{}, "1001", noon); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := i.Transition(app, "Submit", application.User, "1001", noon); err != nil {
			t.Fatal(err)
		}
		for _, n := range test.downloaded {
			if err := i.RecordDownload(i.Data[n].ID, noon); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range test.confirmed {
			if err := i.ConfirmDownload(i.Data[n].ID, noon.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		err := i.ConfirmAll(noon.Add(time.Hour), true)
		if code(err) != test.code || i.InQueue() != (test.code == "not-downloaded") {
			t.Errorf("%s: %v, in the queue %v", name, err, i.InQueue())
		}
		for _, n := range test.confirmed {
			if at := i.Data[n].ApplicationOwner.DownloadConfirmed; len(at) != 1 || !at[0].Equal(TruncateTime(noon.Add(time.Minute))) {
				t.Errorf("%s: the earlier confirmation is now %v", name, at)
			}
		}
	}
	if err := stored(t, app).ConfirmAll(noon, true); code(err) != "unchanged" {
		t.Errorf("a draft without data: %v", err)
	}
}
