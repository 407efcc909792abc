package model

import (
	"reflect"
	"slices"
	"strings"
)

// Application is what an owner has registered.
type Application struct {
	ID   string `json:"-"`
	Org  string `json:"-"`
	ETag string `json:"-"`

	Title         map[string]string `json:"title,omitempty"`
	DataTypes     []DataType        `json:"dataTypes,omitempty"`
	Workflow      *Workflow         `json:"workflow,omitempty"`
	CheckIdentity bool              `json:"checkIdentityNumbers,omitempty"`
	IndexShards   int               `json:"indexShards,omitempty"`
}

// DataType is a kind of data element.
type DataType struct {
	FormID   string         `json:"formId"`
	Allowed  []string       `json:"allowedContentTypes,omitempty"`
	MaxSize  int            `json:"maxSize,omitempty"`
	MinCount int            `json:"minCount"`
	MaxCount int            `json:"maxCount"`
	Schema   map[string]any `json:"schema,omitempty"`
}

// Workflow is the steps, the first of which is where an instance starts, and who may go from where to where.
type Workflow struct {
	Steps       []Step       `json:"steps"`
	Transitions []Transition `json:"transitions"`
}

// Step is one step and what being in it means.
type Step struct {
	Name      string `json:"name"`
	Validates bool   `json:"validateOnExit,omitempty"`
	Locks     bool   `json:"locksData,omitempty"`
	Completes bool   `json:"completes,omitempty"`
	Archives  bool   `json:"archives,omitempty"`
}

// Transition is a way from one step to another.
type Transition struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	By   []string `json:"by"`
}

// Default is the workflow of an application that names none.
func Default() *Workflow {
	return &Workflow{
		Steps: []Step{{Name: "FormFilling", Validates: true}, {Name: "Submit", Locks: true}, {Name: "Archived", Completes: true, Archives: true}},
		Transitions: []Transition{
			{"FormFilling", "Submit", []string{"user", "owner"}}, {"Submit", "Archived", []string{"user", "owner"}}, {"Submit", "FormFilling", []string{"owner"}},
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

// reachable are the steps that a caller may name next.
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

// PutApplication registers an application or replaces its registration. ifMatch is "" when the request names no version.
func (w *World) PutApplication(c Caller, id string, next Application, ifMatch string) Answer {
	if r := door(c, owners, true); r != nil {
		return Answer{Refusals: r}
	}
	org, _, _ := strings.Cut(id, "/")
	if org != c.Org {
		return refused(404, "not-found")
	}
	if next.Workflow == nil {
		next.Workflow = Default()
	}
	next.IndexShards = max(next.IndexShards, 1)
	was := w.Applications[id]
	var r Refusals
	for _, d := range next.DataTypes {
		r.add(d.MaxCount > 0 && d.MinCount > d.MaxCount, 400, "application-invalid")
	}
	r.add(ifMatch != "" && (was == nil || ifMatch != was.ETag && ifMatch != "*"), 412, "version-stale")
	if was != nil {
		r.add(next.IndexShards < was.IndexShards, 409, "index-shards-lowered")
		for _, s := range was.Workflow.Steps {
			now := next.Workflow.step(s.Name)
			r.add(now == nil, 409, "step-removed")
			r.add(now != nil && (now.Locks != s.Locks || now.Completes != s.Completes || now.Archives != s.Archives), 409, "step-changed")
		}
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	next.ID, next.Org = id, org
	if was == nil {
		w.Applications[id] = &next
		return Answer{Status: 201, Changed: true, Location: w.Platform + "/storage/applications/" + id}
	}
	next.ETag = was.ETag
	changed := !reflect.DeepEqual(*was, next)
	*was = next
	return Answer{Status: 200, Changed: changed}
}

// GetApplication returns a registration to anybody who may read something.
func (w *World) GetApplication(c Caller, id string) (*Application, Answer) {
	if r := door(c, both, false); r != nil {
		return nil, Answer{Refusals: r}
	}
	if w.Applications[id] == nil {
		return nil, refused(404, "not-found")
	}
	return w.Applications[id], Answer{Status: 200}
}

// dataType returns the kind with this formId. An application that names no kinds takes all, unchecked.
func (a *Application) dataType(formID string) (DataType, bool) {
	for _, d := range a.DataTypes {
		if d.FormID == formID {
			return d, true
		}
	}
	return DataType{FormID: formID}, len(a.DataTypes) == 0
}

// takes reports whether bytes of a type can be of this kind. A schema is for JSON and XML, and nothing else gets around it.
func (d DataType) takes(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, "/")
	allowed := len(d.Allowed) == 0 || slices.Contains(d.Allowed, contentType) || slices.Contains(d.Allowed, kind+"/*") || slices.Contains(d.Allowed, "*/*")
	return allowed && (d.Schema == nil || contentType == "application/json" || contentType == "application/xml")
}

// refuses says what is wrong with bytes, whatever the instance.
func (a *Application) refuses(formID, contentType string, size int) (r Refusals) {
	d, known := a.dataType(formID)
	r.add(!known, 400, "form-id-unknown")
	r.add(known && !d.takes(contentType), 415, "content-type-not-allowed")
	r.add(d.MaxSize > 0 && size > d.MaxSize, 413, "data-too-large")
	r.add(size == 0, 400, "data-empty")
	return r
}
