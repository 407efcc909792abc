package instance

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

func code(err error) string {
	var f *fault.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrUnchanged):
		return "unchanged"
	case errors.As(err, &f):
		return f.Code
	}
	return err.Error()
}

// in returns an instance with one data element, d, in a step of the default workflow.
func in(t *testing.T, app *application.Application, step string) *Instance {
	t.Helper()
	i := stored(t, app)
	if err := i.AddData(app, "d", "default", Content{ContentType: "application/xml", FileName: "d.xml", Size: 1, SHA256: "aa", Revision: "r1"}, "1001", noon); err != nil {
		t.Fatal(err)
	}
	for _, next := range []string{"Submit", "Archived"} {
		if i.Workflow.CurrentStep == step {
			break
		}
		if _, err := i.Transition(app, next, application.Owner, "nav", noon); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func TestTransition(t *testing.T) {
	app := newApplication()
	for _, test := range []struct {
		from, to string
		role     application.Role
		code     string
	}{
		{"FormFilling", "Submit", application.User, ""},
		{"FormFilling", "Submit", application.Owner, ""},
		{"FormFilling", "FormFilling", application.User, "unchanged"},
		{"FormFilling", "Archived", application.Owner, "step-unreachable"},
		{"FormFilling", "Nowhere", application.User, "step-unknown"},
		{"FormFilling", "", application.User, "step-unknown"},
		{"FormFilling", "submit", application.User, "step-unknown"},
		{"Submit", "Archived", application.User, ""},
		{"Submit", "FormFilling", application.Owner, ""},
		{"Submit", "FormFilling", application.User, "step-unreachable"},
		{"Submit", "Submit", application.User, "unchanged"},
		{"Archived", "Archived", application.User, "unchanged"},
		{"Archived", "Submit", application.Owner, "step-unreachable"},
		{"Archived", "FormFilling", application.Owner, "step-unreachable"},
	} {
		name := fmt.Sprintf("%s to %s by %s", test.from, test.to, test.role)
		i := in(t, app, test.from)
		before := i.Clone()
		left, err := i.Transition(app, test.to, test.role, "1002", noon.Add(time.Minute))
		if code(err) != test.code || left != test.from {
			t.Errorf("%s: left %s, %v, want code %q", name, left, err, test.code)
			continue
		}
		if test.code != "" {
			if !reflect.DeepEqual(i, before) {
				t.Errorf("%s: the transition failed, but the instance changed\ngot  %+v\nwant %+v", name, i, before)
			}
			continue
		}
		step, _ := app.Workflow.Step(test.to)
		if i.Workflow.CurrentStep != test.to || i.Workflow.IsCompleted != step.Completes || i.Status.IsArchived != step.Archives ||
			(i.Status.ArchivedDateTime != nil) != step.Archives || step.Archives && !i.Status.ArchivedDateTime.Equal(i.StepEntered) ||
			i.Data[0].IsLocked != (step.LocksData || step.Archives) {
			t.Errorf("%s: %+v", name, i)
		}
		if i.EventCount != before.EventCount+1 || i.LastChangedBy != "1002" || !i.StepEntered.Equal(i.LastChangedDateTime) ||
			!i.LastChangedDateTime.After(before.LastChangedDateTime) || i.LastChangedDateTime.Nanosecond()%1000 != 0 {
			t.Errorf("%s: %+v", name, i)
		}
		if !i.Data[0].LastChangedDateTime.Equal(before.Data[0].LastChangedDateTime) {
			t.Errorf("%s: the data element changed", name)
		}
	}
}

func TestTransitionErrorNamesReachableSteps(t *testing.T) {
	app := newApplication()
	_, err := in(t, app, "Submit").Transition(app, "FormFilling", application.User, "1001", noon)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "Archived") {
		t.Errorf("%v", err)
	}
	_, err = in(t, app, "Archived").Transition(app, "Submit", application.Owner, "nav", noon)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v", err)
	}
	_, err = in(t, app, "Submit").Transition(app, "Nowhere", application.User, "1001", noon)
	if err == nil || !strings.Contains(err.Error(), "FormFilling, Submit, Archived") {
		t.Errorf("%v", err)
	}
}

func TestTransitionValidatesOnExit(t *testing.T) {
	app := newApplication(application.DataType{FormID: "default", MinCount: 2, MaxCount: 2}, application.DataType{FormID: "attachment", MinCount: 1})
	i := in(t, app, "FormFilling")
	before := i.Clone()
	_, err := i.Transition(app, "Submit", application.User, "1001", noon)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != "data-invalid" || f.Kind != fault.Conflict || len(f.Issues) != 2 || !reflect.DeepEqual(i, before) {
		t.Fatalf("%v", err)
	}
	if !reflect.DeepEqual(f.Issues, i.Validate(app, application.Owner)) || f.Issues[0].Code != "TooFewDataElementsOfType" || f.Issues[0].Severity != fault.SeverityError {
		t.Errorf("issues %+v", f.Issues)
	}
	for n, form := range []string{"default", "attachment", "attachment"} {
		if err := i.AddData(app, fmt.Sprint(n), form, Content{}, "1001", noon); err != nil {
			t.Fatal(err)
		}
	}
	if issues := i.Validate(app, application.Owner); issues == nil || len(issues) > 0 {
		t.Errorf("issues %+v, want an empty list", issues)
	}
	if _, err := i.Transition(app, "Submit", application.User, "1001", noon); err != nil {
		t.Error(err)
	}
	// After the owner lowers maxCount, a surplus element is an issue.
	app.DataTypes[0].MinCount, app.DataTypes[0].MaxCount = 0, 1
	if issues := i.Validate(app, application.Owner); len(issues) != 1 || issues[0].Code != "TooManyDataElementsOfType" {
		t.Errorf("issues %+v", issues)
	}
	// Leaving Submit does not validate.
	if _, err := i.Transition(app, "Archived", application.User, "1001", noon); err != nil {
		t.Error(err)
	}
}

// TestDataIsWritable tries every write of data in every state. A rejected write has the code of the
// state and leaves the document unchanged.
func TestDataIsWritable(t *testing.T) {
	app := newApplication()
	softDeleted := func(i *Instance) { i.Status.IsSoftDeleted = true }
	for name, test := range map[string]struct {
		step   string
		change func(*Instance)
		code   string
	}{
		"active":               {"FormFilling", func(*Instance) {}, ""},
		"locked":               {"Submit", func(*Instance) {}, "data-locked"},
		"archived":             {"Archived", func(*Instance) {}, "instance-archived"},
		"deleted":              {"FormFilling", softDeleted, "instance-deleted"},
		"archived and deleted": {"Archived", softDeleted, "instance-deleted"},
		"hard deleted":         {"FormFilling", func(i *Instance) { i.Status.IsMarkedForHardDelete = true }, "instance-deleted"},
		"removed step":         {"FormFilling", func(i *Instance) { i.Workflow.CurrentStep = "WasRemoved" }, ""},
		"element lock":         {"FormFilling", func(i *Instance) { i.Data[0].IsLocked = true }, "data-locked"},
	} {
		for write, do := range map[string]func(*Instance) error{
			"add":     func(i *Instance) error { return i.AddData(app, "new", "default", Content{}, "1001", noon) },
			"replace": func(i *Instance) error { return i.ReplaceData(app, "d", Content{}, "1001", noon) },
			"remove":  func(i *Instance) error { return i.RemoveData(app, "d", "1001", noon) },
		} {
			i := in(t, app, test.step)
			test.change(i)
			before := i.Clone()
			want := test.code
			if name == "element lock" && write == "add" {
				want = ""
			}
			err := do(i)
			if code(err) != want || want != "" && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s, %s: %v, want code %q", name, write, err, want)
			}
			if changed := !reflect.DeepEqual(i, before); changed != (want == "") {
				t.Errorf("%s, %s: changed %v", name, write, changed)
			}
		}
	}
}

func TestAddData(t *testing.T) {
	app := newApplication(application.DataType{FormID: "default", MaxCount: 2}, application.DataType{FormID: "attachment"})
	i := stored(t, app)
	b := Content{ContentType: "application/xml", FileName: "skjema.xml", Size: 20001, SHA256: "aa", Revision: "r1"}
	if err := i.AddData(app, "d0", "default", b, "1002", noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	stamp := TruncateTime(noon.Add(time.Minute))
	want := DataElement{ID: "d0", FormID: "default", ContentType: "application/xml", FileName: "skjema.xml", FileSize: 20001, SHA256: "aa", Revision: "r1",
		CreatedDateTime: stamp, CreatedBy: "1002", LastChangedDateTime: stamp, LastChangedBy: "1002"}
	if !reflect.DeepEqual(i.Data, []DataElement{want}) || i.LastChangedBy != "1002" || !i.LastChangedDateTime.Equal(stamp) || i.EventCount != 1 {
		t.Errorf("%+v", i)
	}
	if err := i.AddData(app, "d1", "default", b, "1002", noon); err != nil {
		t.Error(err)
	}
	if err := i.AddData(app, "d2", "default", b, "1002", noon); code(err) != "data-count" || !strings.Contains(err.Error(), "2") {
		t.Errorf("AddData of a third element, with MaxCount 2: %v", err)
	}
	for n := len(i.Data); n < MaxDataElements; n++ {
		if err := i.AddData(app, fmt.Sprint("a", n), "attachment", b, "1002", noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.AddData(app, "more", "attachment", b, "1002", noon); code(err) != "data-count" || len(i.Data) != MaxDataElements {
		t.Errorf("more than MaxDataElements: %v", err)
	}
	if i.Element("a7") == nil || i.Element("a7").ID != "a7" || i.Element("none") != nil {
		t.Error("Element does not find elements by id")
	}
}

// TestReplaceDataResetsDownloads: the owner's downloads and confirmation were of the old content.
func TestReplaceDataResetsDownloads(t *testing.T) {
	app := newApplication()
	i := in(t, app, "FormFilling")
	if err := errors.Join(i.RecordDownload("d", noon), i.ConfirmDownload("d", noon)); err != nil {
		t.Fatal(err)
	}
	created := i.Data[0].CreatedDateTime
	if err := i.ReplaceData(app, "d", Content{ContentType: "text/csv", Size: 2, SHA256: "bb", Revision: "r2"}, "1002", noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	d := i.Data[0]
	if d.ApplicationOwner != nil || d.Revision != "r2" || d.SHA256 != "bb" || d.FileSize != 2 || d.ContentType != "text/csv" {
		t.Errorf("%+v", d)
	}
	if d.FileName != "d.xml" || d.CreatedBy != "1001" || d.LastChangedBy != "1002" || !d.LastChangedDateTime.Equal(i.LastChangedDateTime) ||
		!d.CreatedDateTime.Equal(created) || !i.LastChangedDateTime.Equal(TruncateTime(noon.Add(time.Hour))) || i.LastChangedBy != "1002" {
		t.Errorf("%+v", d)
	}
	if err := i.ReplaceData(app, "d", Content{FileName: "new.csv"}, "1002", noon); err != nil || i.Data[0].FileName != "new.csv" {
		t.Errorf("%+v, %v", i.Data[0], err)
	}
	for _, step := range []struct{ given, contentType, want string }{
		{"", "application/json", "new.csv"},
		{"default.json", "application/json", "default.json"},
		{"", "text/xml; charset=utf-8", "default.xml"}, // a default name follows the content type
		{"", "application/xml", "default.xml"},
		{"", "application/x-unheard-of", "default"},
		{"", "application/pdf", "default.pdf"},
		{"default.xml", "application/pdf", "default.xml"}, // another name does not
		{"", "application/json", "default.xml"},
	} {
		err := i.ReplaceData(app, "d", Content{FileName: step.given, ContentType: step.contentType}, "1002", noon)
		if err != nil || i.Data[0].FileName != step.want {
			t.Errorf("replaced by %s named %q: %q, %v, want %q", step.contentType, step.given, i.Data[0].FileName, err, step.want)
		}
	}
	if err := i.ReplaceData(app, "none", Content{}, "1002", noon); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestRemoveData(t *testing.T) {
	app := newApplication()
	i := in(t, app, "FormFilling")
	if err := i.AddData(app, "e", "default", Content{}, "1001", noon); err != nil {
		t.Fatal(err)
	}
	if err := i.RemoveData(app, "d", "1002", noon.Add(time.Hour)); err != nil || len(i.Data) != 1 || i.Data[0].ID != "e" || i.LastChangedBy != "1002" {
		t.Errorf("%+v, %v", i, err)
	}
	if err := i.RemoveData(app, "d", "1002", noon); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if err := i.RemoveData(app, "e", "1002", noon); err != nil || i.Data == nil {
		t.Errorf("removing the last element fails or leaves Data nil: %v", err)
	}
}

// TestClockGoesBack: a change never moves an instance behind the position of a client that polls by
// time, and two changes in one microsecond get different times.
func TestClockGoesBack(t *testing.T) {
	app := newApplication()
	i := in(t, app, "FormFilling")
	for n, change := range []func(now time.Time) error{
		func(now time.Time) error { return i.AddData(app, "e", "default", Content{}, "1001", now) },
		func(now time.Time) error { return i.ReplaceData(app, "d", Content{}, "1001", now) },
		func(now time.Time) error { return i.RemoveData(app, "e", "1001", now) },
		func(now time.Time) error {
			_, err := i.Transition(app, "Submit", application.User, "1001", now)
			return err
		},
	} {
		before := i.LastChangedDateTime
		if err := change(noon.Add(-time.Duration(n) * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if !i.LastChangedDateTime.After(before) || i.LastChangedDateTime.Sub(before) > time.Millisecond {
			t.Errorf("change %d: from %v to %v", n, before, i.LastChangedDateTime)
		}
		for _, d := range i.Data {
			if d.LastChangedDateTime.Before(d.CreatedDateTime) {
				t.Errorf("change %d: an element was changed at %v, before it was created at %v", n, d.LastChangedDateTime, d.CreatedDateTime)
			}
		}
	}
}

// TestChangeMovesToShard: after indexShards is raised, an instance moves to its new shard with its
// next change.
func TestChangeMovesToShard(t *testing.T) {
	app := newApplication()
	i := stored(t, app)
	for ShardOf(i.ID, 8) == 0 {
		i = stored(t, app)
	}
	app.IndexShards = 8
	if i.Shard != 0 {
		t.Fatal("the instance is not in shard 0")
	}
	if err := i.AddData(app, "d", "default", Content{}, "1001", noon); err != nil || i.Shard != ShardOf(i.ID, 8) {
		t.Errorf("shard %d, %v, want %d", i.Shard, err, ShardOf(i.ID, 8))
	}
}

func TestDefaultFileName(t *testing.T) {
	for contentType, want := range map[string]string{
		"application/xml": "default.xml", "Application/XML; charset=utf-8": "default.xml", "application/pdf": "default.pdf",
		"application/x-unheard-of": "default", "": "default",
	} {
		if got := DefaultFileName("default", contentType); got != want {
			t.Errorf("%q: %q", contentType, got)
		}
	}
	for contentType, extension := range extensions {
		if !application.ValidContentType(contentType) || !strings.HasPrefix(extension, ".") || slices.Contains([]string{".exe", ".html"}, extension) {
			t.Errorf("%q: %q", contentType, extension)
		}
	}
}
