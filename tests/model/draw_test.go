package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// draw returns one of the values. Failures shrink to the first values.
func draw[T any](r *run, name string, of ...T) T {
	return rapid.SampledFrom(of).Draw(r.T, name)
}

// chance returns true with a probability of percent %.
func (r *run) chance(percent int, name string) bool {
	return rapid.IntRange(0, 99).Draw(r.T, name) >= 100-percent
}

// caller draws a caller, mostly one that has access to i, which may be nil.
func (r *run) caller(i *Instance) Caller {
	if r.chance(15, "any caller") {
		return rapid.SampledFrom(r.callers).Draw(r.T, "caller")
	}
	authorized := slices.Concat(r.callers[:5], r.callers[7:10])
	if i != nil {
		authorized = nil
		for _, c := range r.callers[:10] {
			if r.model.owns(c, i) {
				authorized = append(authorized, c)
			}
		}
		if i.Owner != "" && i.app.Org == r.callers[0].Org {
			authorized = append(authorized, Caller{Name: "party " + i.Owner, Party: i.Owner, UserID: "1001", Read: true, Write: true})
		}
	}
	return rapid.SampledFrom(authorized).Draw(r.T, "caller")
}

// owner draws the owner of an application, and rarely any caller.
func (r *run) owner(app string) Caller {
	if r.chance(15, "any caller") {
		return rapid.SampledFrom(r.callers).Draw(r.T, "caller")
	}
	if strings.HasPrefix(app, r.callers[0].Org+"/") {
		return r.callers[0]
	}
	return r.callers[5]
}

// instance draws an existing instance, or skips the operation if there is none.
func (r *run) instance() *Instance {
	var existing []*Instance
	for _, i := range r.model.Instances {
		if !i.Gone {
			existing = append(existing, i)
		}
	}
	if len(existing) == 0 {
		r.Skip("no instance yet")
	}
	if r.chance(60, "latest") {
		return existing[len(existing)-1]
	}
	return rapid.SampledFrom(existing).Draw(r.T, "instance")
}

// path draws the path of an instance, and rarely a wrong path.
func (r *run) path(i *Instance) Path {
	p := i.At()
	if r.chance(6, "astray") {
		switch draw(r, "how", "guid", "owner", "application", "gone") {
		case "guid":
			p.ID = "01923e5a-0000-7000-8000-000000000000"
		case "owner":
			p.Owner = "999999999"
		case "application":
			p.App = draw(r, "application", r.apps...)
		case "gone":
			for _, other := range r.model.Instances {
				if other.Gone {
					p = other.At()
				}
			}
		}
	}
	return p
}

// element draws the path of a data element of an instance. The element is nil if the path is wrong.
func (r *run) element(i *Instance, p Path) (Path, *Element) {
	if len(i.Data) == 0 || r.chance(4, "no element") {
		p.Data = "01923e5a-0000-7000-8000-00000000000d"
		return p, nil
	}
	e := rapid.SampledFrom(i.Data).Draw(r.T, "element")
	p.Data = e.ID
	return p, e
}

// match draws an If-Match: mostly none, else the current ETag, *, or a stale ETag.
func (r *run) match(present string) string {
	if r.chance(75, "unconditional") {
		return ""
	}
	stale := `"stale"`
	for _, tag := range r.old {
		if tag != present {
			stale = tag
		}
	}
	if present == "" {
		present = "*"
	}
	return draw(r, "If-Match", present, "*", stale)
}

func header(pairs ...string) map[string]string {
	h := map[string]string{}
	for n := 0; n < len(pairs); n += 2 {
		if pairs[n+1] != "" {
			h[pairs[n]] = pairs[n+1]
		}
	}
	return h
}

func (r *run) labels() []string {
	if r.chance(6, "wrong labels") {
		many := []string{}
		for n := range 21 {
			many = append(many, fmt.Sprint(n))
		}
		return draw(r, "labels", []string{"gr", "gr"}, []string{""}, []string{"a,b"}, []string{"x2 "}, []string{strings.Repeat("å", 65)}, many)
	}
	all := []string{"gr", "x2", "Gr", "år 2026", "a&b=c+d%/?#", "12\u00a0500"}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 4, rapid.ID).Draw(r.T, "labels")
}

func (r *run) date(name string) *time.Time {
	if r.chance(60, "no "+name) {
		return nil
	}
	year := draw(r, "year", 2026, 2026, 2099)
	if name == "due" {
		year = draw(r, "year", 2099, 2099, 2026)
	}
	t := time.Date(year, 6, draw(r, name, 1, 2, 3), 12, 0, 0, draw(r, "fraction", 0, 120_000_000), time.UTC)
	if r.chance(5, "soon") {
		t = r.soon(0)
		if name == "due" {
			t = draw(r, "passes", t, t.Add(day)) // the deadline, or a reminder
		}
	}
	return &t
}

// blob draws content and its metadata. formID is "" if the endpoint has none.
func (r *run) blob() Blob {
	b := Blob{
		FormID:      draw(r, "formId", "default", "attachment", "default", "other"),
		ContentType: draw(r, "type", "application/json", "application/xml", "application/json", "text/plain", "application/pdf"),
		FileName:    draw(r, "fileName", "", "", "", "søknad 1.pdf", "a b.txt"),
	}
	var content string
	switch b.ContentType {
	case "application/json":
		content = draw(r, "content", `{"navn":"x"}`, `{}`, `[1]`, `{"navn":`, `{"navn":"x","fyll":"over førti tegn i alt sammen"}`)
	case "application/xml":
		content = draw(r, "content", `<m><navn>x</navn></m>`, `<m><b>1</b></m>`, `nei`)
	case "application/pdf":
		content = draw(r, "content", "%PDF", "\x00\xff\r\n", "")
	default: // text content must be UTF-8
		content = draw(r, "content", "tekst", "\x00\r\n", "", "over førti tegn, som er mer enn noen tar imot")
	}
	b.Bytes = []byte(content)
	return b
}

// application draws a registration. A replacement mostly keeps the steps and shards, as it must.
func (r *run) application(current *Application) Application {
	a := Application{
		Title:       map[string]string{"nb": draw(r, "title", "Melding", "Sak")},
		IndexShards: draw(r, "shards", 0, 0, 0, 1, 2, 4), CheckIdentity: r.chance(10, "check digits"),
	}
	a.LabelsFor = draw(r, "labelsFor", "", "", "both", "owner")
	form := DataType{FormID: "default", MinCount: draw(r, "minCount", 0, 1, 0, 2), MaxCount: draw(r, "maxCount", 0, 1, 2)}
	form.Allowed = draw(r, "allowed", []string{"application/json", "application/xml"}, nil, []string{"application/*"}, []string{"*/*"})
	form.MaxSize = draw(r, "maxSize", 0, 40)
	if r.chance(40, "schema") {
		form.Schema = map[string]any{"type": "object", "required": draw(r, "required", []string{"navn"}, []string{"navn", "b"})}
	}
	attachment := DataType{FormID: "attachment", Allowed: draw(r, "allowed", []string{"*/*"}, []string{"application/pdf", "text/*"})}
	attachment.Read = draw(r, "read", nil, []string{"owner"}, nil, []string{"user", "owner"}, nil)
	if r.chance(15, "the form for the owner") {
		form.Read = draw(r, "read", []string{"owner"}, []string{"owner"}, []string{"user"})
	}
	if r.chance(40, "rights") {
		attachment.Write = draw(r, "write", []string{"owner"}, []string{"user"}, []string{"user", "owner"})
		attachment.Steps = draw(r, "open steps", []string{"Submit", "Archived"}, []string{"Submit"}, nil, []string{"Feil"})
		attachment.MinCount = draw(r, "minimum", 0, 1)
	}
	switch draw(r, "data types", "both", "both", "form", "none") {
	case "both":
		a.DataTypes = []DataType{form, attachment}
	case "form":
		a.DataTypes = []DataType{form}
	}
	r.lifecycle(&a, current)
	if current != nil && !r.chance(40, "other steps") {
		a.Workflow, a.IndexShards = current.Workflow, current.IndexShards
		return a
	}
	switch draw(r, "workflow", "", "", "default", "short", "long", "stricter", "endless") {
	case "default":
		a.Workflow = Default()
	case "short":
		a.Workflow = &Workflow{[]Step{{Name: "Utfylling"}, {Name: "Ferdig", Completes: true}}, []Transition{
			{"Utfylling", "Ferdig", []string{"owner"}, false}, {"Ferdig", "Utfylling", []string{"owner"}, false},
		}}
	case "long": // the default steps, with more steps and transitions
		a.Workflow = Default()
		a.Workflow.Steps = append(a.Workflow.Steps, Step{Name: "Signering", Locks: true, Validates: true})
		a.Workflow.Transitions = append(a.Workflow.Transitions, Transition{"FormFilling", "Signering", []string{"user"}, false}, Transition{"Signering", "Archived", []string{"user"}, false})
	case "endless": // no instance can be submitted
		a.Workflow = &Workflow{[]Step{{Name: "Utfylling"}, {Name: "Ferdig"}}, []Transition{{"Utfylling", "Ferdig", []string{"user"}, false}, {"Ferdig", "Utfylling", []string{"user"}, false}}}
	case "stricter": // Submit no longer locks, which is a conflict with existing instances
		a.Workflow = Default()
		a.Workflow.Steps[1].Locks = false
	}
	if a.Workflow != nil && r.chance(40, "requiresReason") {
		last := len(a.Workflow.Transitions) - 1
		for n := max(0, last-1); n <= last; n++ {
			a.Workflow.Transitions[n].RequiresReason = true
		}
	}
	return a
}

// lifecycle draws events, retention and deadline. A replacement keeps what time depends on: the
// system schedules notes for existing instances only after a minute.
func (r *run) lifecycle(a, current *Application) {
	timed := []string{"InstanceVisible", "DeadlineNear", "DeadlinePassed"}
	for _, eventType := range append([]string{"DataChanged", "InstanceChanged", "DownloadConfirmed", "InstanceDeleted", "InstanceUndeleted", "LegalHoldChanged", "SubstatusChanged", "ReadStatusChanged"}, timed...) {
		emits := r.chance(60, eventType)
		if current != nil && slices.Contains(timed, eventType) {
			emits = slices.Contains(current.Events, eventType)
		}
		if emits {
			a.Events = append(a.Events, eventType)
		}
	}
	switch {
	case current == nil && r.chance(60, "deadline"):
		a.Deadline = &Deadline{Late: draw(r, "late", "", "allow", "refuse"), Label: draw(r, "label", "", "forfalt", "gr")}
		if r.chance(60, "remind") {
			a.Deadline.Remind = []string{"P1D"}
		}
	case current != nil && current.Deadline != nil:
		kept := *current.Deadline
		kept.Late = draw(r, "late", "", "allow", "refuse")
		a.Deadline = &kept
	}
	switch {
	case current == nil && r.chance(50, "retention"):
		a.Retention = &Retention{}
		if r.chance(60, "drafts") {
			a.Retention.Drafts = &Expiry{After: "P90D"}
		}
		if r.chance(60, "deleted") {
			a.Retention.Deleted = &Expiry{After: "P14D"}
		}
		if r.chance(60, "archived") {
			a.Retention.Archived = &Expiry{After: "P400D", Unconfirmed: draw(r, "unconfirmed", "", "keep", "delete")}
		}
	case current != nil && current.Retention != nil:
		kept := *current.Retention
		a.Retention = &kept
	}
	if a.Retention != nil {
		a.Retention.UserMayDelete = draw(r, "userMayDelete", "", "drafts", "confirmed", "always")
	}
}

func pretty(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// differences lists where two JSON values differ, one per line.
func differences(at string, is, want any) (text string) {
	switch w := want.(type) {
	case map[string]any:
		i, _ := is.(map[string]any)
		for name := range i {
			if _, both := w[name]; !both {
				text += fmt.Sprintf("\n%s.%s: %v, want none", at, name, i[name])
			}
		}
		for name := range w {
			text += differences(at+"."+name, i[name], w[name])
		}
		return text
	case []any:
		if i, _ := is.([]any); len(i) == len(w) {
			for n := range w {
				text += differences(fmt.Sprintf("%s[%d]", at, n), i[n], w[n])
			}
			return text
		}
	}
	if !equal(is, want) {
		text = fmt.Sprintf("\n%s: %v, want %v", at, is, want)
	}
	return text
}
