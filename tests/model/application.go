package model

import (
	"reflect"
	"slices"
	"strings"
)

// Application is a registration.
type Application struct {
	ID   string `json:"-"`
	Org  string `json:"-"`
	ETag string `json:"-"`

	Title         map[string]string `json:"title,omitempty"`
	DataTypes     []DataType        `json:"dataTypes,omitempty"`
	Workflow      *Workflow         `json:"workflow,omitempty"`
	CheckIdentity bool              `json:"checkIdentityNumbers,omitempty"`
	IndexShards   int               `json:"indexShards,omitempty"`
	Events        []string          `json:"events,omitempty"`
	LabelsFor     string            `json:"labelsFor,omitempty"`
	Retention     *Retention        `json:"retention,omitempty"`
	Deadline      *Deadline         `json:"deadline,omitempty"`
}

// DataType is a data type of an application.
type DataType struct {
	FormID   string         `json:"formId"`
	Allowed  []string       `json:"allowedContentTypes,omitempty"`
	MaxSize  int            `json:"maxSize,omitempty"`
	MinCount int            `json:"minCount"`
	MaxCount int            `json:"maxCount"`
	Schema   map[string]any `json:"schema,omitempty"`
	Read     []string       `json:"read,omitempty"`
	Write    []string       `json:"write,omitempty"`
	Steps    []string       `json:"steps,omitempty"`
}

// onlyWriter returns the only kind of caller that may write the type, or "".
func (d DataType) onlyWriter() string {
	if len(d.Write) == 1 {
		return d.Write[0]
	}
	return ""
}

// ownerOnly reports whether only the owner sees elements of the type.
func (d DataType) ownerOnly() bool { return len(d.Read) == 1 }

// Workflow is the steps, the first of which is the initial step, and the transitions between them.
type Workflow struct {
	Steps       []Step       `json:"steps"`
	Transitions []Transition `json:"transitions"`
}

// Step is one step and its effects.
type Step struct {
	Name      string `json:"name"`
	Validates bool   `json:"validateOnExit,omitempty"`
	Locks     bool   `json:"locksData,omitempty"`
	Completes bool   `json:"completes,omitempty"`
	Archives  bool   `json:"archives,omitempty"`
}

// submits reports whether an instance in the step is submitted.
func (s Step) submits() bool { return s.Locks || s.Completes }

// Transition is a move from one step to another that a kind of caller may make.
type Transition struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	By   []string `json:"by"`

	RequiresReason bool `json:"requiresReason,omitempty"`
}

// Default returns the workflow of an application that defines none.
func Default() *Workflow {
	return &Workflow{
		Steps: []Step{{Name: "FormFilling", Validates: true}, {Name: "Submit", Locks: true}, {Name: "Archived", Completes: true, Archives: true}},
		Transitions: []Transition{
			{"FormFilling", "Submit", []string{"user", "owner"}, false}, {"Submit", "Archived", []string{"user", "owner"}, false}, {"Submit", "FormFilling", []string{"owner"}, false},
		},
	}
}

func (w *Workflow) step(name string) *Step {
	for n := range w.Steps {
		if w.Steps[n].Name == name {
			return &w.Steps[n]
		}
	}
	return nil
}

// reachable returns the steps that a caller may move to.
func (w *Workflow) reachable(from string, c Caller) []string {
	kind, steps := "user", []string{}
	if c.Org != "" {
		kind = "owner"
	}
	for _, t := range w.Transitions {
		if t.From == from && slices.Contains(t.By, kind) {
			steps = append(steps, t.To)
		}
	}
	return steps
}

// needReason returns the steps that a caller may move to only with a reason.
func (w *Workflow) needReason(from string, c Caller) (steps []string) {
	for _, t := range w.Transitions {
		if t.From == from && t.RequiresReason && slices.Contains(w.reachable(from, c), t.To) {
			steps = append(steps, t.To)
		}
	}
	return steps
}

// PutApplication registers an application or replaces its registration. ifMatch is "" if the
// request has no If-Match.
func (m *Model) PutApplication(c Caller, id string, next Application, ifMatch string) Response {
	if r := authorize(c, owners, true); r != nil {
		return Response{Rejections: r}
	}
	org, _, _ := strings.Cut(id, "/")
	if org != c.Org {
		return rejected(404, "not-found")
	}
	if next.Workflow == nil {
		next.Workflow = Default()
	}
	next.IndexShards = max(next.IndexShards, 1)
	current := m.Applications[id]
	var r Rejections
	for _, d := range next.DataTypes {
		r.add(d.MaxCount > 0 && d.MinCount > d.MaxCount, 400, "application-invalid")
		r.add(len(d.Read) > 0 && !slices.Contains(d.Read, "owner"), 400, "application-invalid")
		for _, s := range d.Steps {
			r.add(next.Workflow.step(s) == nil, 400, "application-invalid")
		}
	}
	r.add(!slices.ContainsFunc(next.Workflow.Steps, Step.submits), 400, "application-invalid")
	r.add(ifMatch != "" && (current == nil || ifMatch != current.ETag && ifMatch != "*"), 412, "version-stale")
	if current != nil {
		r.add(next.IndexShards < current.IndexShards, 409, "index-shards-lowered")
		for _, s := range current.Workflow.Steps {
			now := next.Workflow.step(s.Name)
			r.add(now == nil, 409, "step-removed")
			r.add(now != nil && (now.Locks != s.Locks || now.Completes != s.Completes || now.Archives != s.Archives), 409, "step-changed")
		}
	}
	if r != nil {
		return Response{Rejections: r}
	}
	next.ID, next.Org = id, org
	if current == nil {
		m.Applications[id] = &next
		return Response{Status: 201, Changed: true, Location: m.Platform + "/storage/applications/" + id}
	}
	next.ETag = current.ETag
	changed := !reflect.DeepEqual(*current, next)
	*current = next
	return Response{Status: 200, Changed: changed}
}

// GetApplication returns a registration to every caller with a read scope.
func (m *Model) GetApplication(c Caller, id string) (*Application, Response) {
	if r := authorize(c, both, false); r != nil {
		return nil, Response{Rejections: r}
	}
	if m.Applications[id] == nil {
		return nil, rejected(404, "not-found")
	}
	return m.Applications[id], Response{Status: 200}
}

// dataType returns the data type with this formId. An application without data types accepts every
// formId, unchecked.
func (a *Application) dataType(formID string) (DataType, bool) {
	for _, d := range a.DataTypes {
		if d.FormID == formID {
			return d, true
		}
	}
	return DataType{FormID: formID}, len(a.DataTypes) == 0
}

// accepts reports whether content of a type can be of this data type. Data with a schema must be
// JSON or XML.
func (d DataType) accepts(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, "/")
	allowed := len(d.Allowed) == 0 || slices.Contains(d.Allowed, contentType) || slices.Contains(d.Allowed, kind+"/*") || slices.Contains(d.Allowed, "*/*")
	return allowed && (d.Schema == nil || contentType == "application/json" || contentType == "application/xml")
}

// reject returns the rejections of content, independent of the instance.
func (a *Application) reject(formID, contentType string, size int) (r Rejections) {
	d, known := a.dataType(formID)
	r.add(!known, 400, "form-id-unknown")
	r.add(known && !d.accepts(contentType), 415, "content-type-not-allowed")
	r.add(d.MaxSize > 0 && size > d.MaxSize, 413, "data-too-large")
	r.add(size == 0, 400, "data-empty")
	return r
}
