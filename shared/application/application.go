// Package application provides the registered application: its data types, its workflow, and the
// rules that a registration must keep. It has no I/O.
package application

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// Application is a registered application, as its owner reads and writes it.
type Application struct {
	ID                   string            `json:"id"`  // "nav/app2018"
	Org                  string            `json:"org"` // "nav"
	Title                map[string]string `json:"title,omitempty"`
	DataTypes            []DataType        `json:"dataTypes"`            // never null; empty: any formId is accepted, unchecked
	Workflow             Workflow          `json:"workflow"`             // DefaultWorkflow if the owner defines none
	CheckIdentityNumbers bool              `json:"checkIdentityNumbers"` // enforce check digits of ssn and organizationNumber
	IndexShards          int               `json:"indexShards"`          // index partitions per step; at least 1
	Events               []string          `json:"events,omitempty"`     // optional types of events that the application has
	LabelsFor            string            `json:"labelsFor,omitempty"`  // who sees the labels of new instances; "" means LabelsForBoth
	Retention            *Retention        `json:"retention,omitempty"`  // nil: nothing is deleted automatically
	Deadline             *Deadline         `json:"deadline,omitempty"`   // nil: dueDateTime has no effect

	Version int64 `json:"-"` // number of writes of this document, from 1
}

// The values of Application.LabelsFor.
const (
	LabelsForBoth  = "both"
	LabelsForOwner = "owner" // users do not see labels
)

// DataType holds the rules for data elements of one formId.
type DataType struct {
	FormID              string          `json:"formId"`
	AllowedContentTypes []string        `json:"allowedContentTypes,omitempty"` // media types or ranges; nil: any
	MaxSize             int64           `json:"maxSize,omitempty"`             // bytes; 0: no limit
	MinCount            int             `json:"minCount"`                      // elements that a valid instance must have
	MaxCount            int             `json:"maxCount"`                      // elements an instance may have; 0: no limit
	Read                []Role          `json:"read,omitempty"`                // who may see elements; nil: both roles; never without Owner
	Write               []Role          `json:"write,omitempty"`               // who may add, replace and delete elements; nil: both roles
	Steps               []string        `json:"steps,omitempty"`               // steps in which elements can change although the step locks or archives
	Scan                string          `json:"scan,omitempty"`                // whether content is scanned for malware; "" means ScanBlock
	Unscannable         string          `json:"unscannable,omitempty"`         // whether content that cannot be scanned is handed out; "" means UnscannableBlock
	Schema              json.RawMessage `json:"schema,omitempty"`              // a JSON Schema object with members; nil: none
	SchemaID            string          `json:"-"`                             // set instead of Schema in applications that a store returns
	XSD                 json.RawMessage `json:"xsd,omitempty"`                 // an XML Schema as a string, or as an object of strings by document name
	XSDRoot             string          `json:"xsdRoot,omitempty"`             // name of the root document in such an object
	XSDID               string          `json:"-"`                             // set instead of XSD in applications that a store returns
	RootElement         string          `json:"rootElement,omitempty"`         // local name of the root element of XML data; "": any that XSD allows
}

// Listed returns the part of an application that a store's List returns: what a query of instances
// needs.
func (a *Application) Listed() *Application {
	listed := &Application{ID: a.ID, Org: a.Org, Version: a.Version, IndexShards: a.IndexShards}
	for _, s := range a.Workflow.Steps {
		listed.Workflow.Steps = append(listed.Workflow.Steps, Step{Name: s.Name, LocksData: s.LocksData, Completes: s.Completes, Archives: s.Archives})
	}
	return listed
}

// ErrVersionMismatch is returned by a store's Put if the stored version is not the expected one.
var ErrVersionMismatch = errors.New("the application has another version")

// Limits of a registration.
const (
	MaxDataTypes   = 100
	MaxIndexShards = 64
	MaxSchemaBytes = 256 << 10 // of a JSON Schema

	MaxXSDBytes      = 1 << 20 // of a document of an XML Schema
	MaxXSDTotalBytes = 2 << 20 // of its documents together
	MaxXSDDocuments  = 32

	maxIssues = 100 // maximum number of reported issues
)

// reservedOrgs are first path segments of the platform. The Application API paths of an org with
// such a name would look like paths of another API.
var reservedOrgs = []string{"storage", "platform", "instances", "applications", "authentication", "register", "events", "api"}

// ValidOrg reports whether org can be an application owner: a lower-case letter followed by 1 to 30
// lower-case letters, digits and hyphens, and not a reserved word.
func ValidOrg(org string) bool {
	return isName(org, 2, 31, lower, "-") && !slices.Contains(reservedOrgs, org)
}

// ValidID reports whether org/app can be the id of an application.
func ValidID(org, app string) bool { return ValidOrg(org) && isName(app, 2, 60, lower, "-") }

// SplitID returns the org and the app of an application id. ok is false if id is invalid.
func SplitID(id string) (org, app string, ok bool) {
	org, app, ok = strings.Cut(id, "/")
	return org, app, ok && ValidID(org, app)
}

// The letters that a name may begin with.
const (
	lower = "abcdefghijklmnopqrstuvwxyz"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// isName reports whether s has min to max characters: first one of letters, then only letters,
// digits and others. It uses no regular expression, because every cold start would compile the
// expression.
func isName(s string, min, max int, letters, others string) bool {
	if len(s) < min || len(s) > max || !strings.Contains(letters, s[:1]) {
		return false
	}
	return strings.Trim(s, letters+"0123456789"+others) == ""
}

func validFormID(id string) bool { return isName(id, 1, 64, lower+upper, "_.-") }

// DataType returns the rules for a formId. An application without data types accepts every valid
// formId, without rules.
func (a *Application) DataType(formID string) (DataType, bool) {
	if len(a.DataTypes) == 0 {
		return DataType{FormID: formID}, validFormID(formID)
	}
	for _, t := range a.DataTypes {
		if t.FormID == formID {
			return t, true
		}
	}
	return DataType{}, false
}

// OnlyWriter returns the only role that may write elements of the type, or "" if both may.
func (t DataType) OnlyWriter() Role {
	if len(t.Write) == 1 {
		return t.Write[0]
	}
	return ""
}

// OwnerOnly reports whether only the application owner may see elements of the type.
func (t DataType) OwnerOnly() bool { return len(t.Read) == 1 }

// OpenIn reports whether elements of the type can change in the step, whatever the step locks.
func (t DataType) OpenIn(step string) bool { return slices.Contains(t.Steps, step) }

// formIDs lists the declared formIds, for an error that names the allowed values.
func (a *Application) formIDs() string {
	names := make([]string, 0, len(a.DataTypes))
	for _, t := range a.DataTypes {
		names = append(names, t.FormID)
	}
	return strings.Join(names, ", ")
}

// CheckUpload returns nil if the application accepts content of this type and size under formID. It
// returns Invalid for an undeclared formId or empty content, UnsupportedMediaType for a content
// type that is not allowed, and TooLarge for content over maxSize.
func (a *Application) CheckUpload(formID, contentType string, size int64) error {
	t, declared := a.DataType(formID)
	switch {
	case !declared && len(a.DataTypes) == 0:
		return fault.New(fault.Invalid, "form-id-invalid", "formId must be a letter followed by up to 63 letters, digits and _ . -")
	case !declared:
		return fault.New(fault.Invalid, "form-id-unknown", "The application %s has no data type with this formId. It has: %s.", a.ID, a.formIDs())
	case !ValidContentType(contentType):
		return fault.New(fault.UnsupportedMediaType, "content-type-invalid", "Send a Content-Type that names the format of the data, such as application/xml.")
	case isForm(contentType): // a mistake of the client: the form itself would be stored
		return fault.New(fault.UnsupportedMediaType, "content-type-invalid", "Send the content of the data element as the body, with its own Content-Type. A form is only accepted when you create an instance.")
	case len(t.AllowedContentTypes) > 0 && !AllowsContentType(t.AllowedContentTypes, contentType):
		return fault.New(fault.UnsupportedMediaType, "content-type-not-allowed", "Data with formId %q must have one of these content types: %s.", formID, strings.Join(t.AllowedContentTypes, ", "))
	case !AllowsContentType(nil, contentType): // a range does not name a format
		return fault.New(fault.UnsupportedMediaType, "content-type-invalid", "Send a Content-Type that names the format of the data, such as application/xml, not a media range.")
	case !t.AcceptsFormat(contentType):
		return fault.New(fault.UnsupportedMediaType, "content-type-not-allowed", "%s", t.FormatRule())
	case t.MaxSize > 0 && size > t.MaxSize:
		return fault.New(fault.TooLarge, "data-too-large", "Data with formId %q can be at most %d bytes.", formID, t.MaxSize)
	case size == 0:
		return fault.New(fault.Invalid, "data-empty", "The data element is empty. Send its content as the body.")
	}
	return nil
}

// SetDefaults sets the members that the owner has omitted: the default workflow, one shard, empty
// lists. It removes schemas that are null or without members, which generated clients send in place
// of an omitted schema.
func (a *Application) SetDefaults() {
	if len(a.Workflow.Steps) == 0 && len(a.Workflow.Transitions) == 0 {
		a.Workflow = DefaultWorkflow()
	}
	if a.Workflow.Transitions == nil {
		a.Workflow.Transitions = []Transition{}
	}
	if a.IndexShards == 0 {
		a.IndexShards = 1
	}
	if a.DataTypes == nil {
		a.DataTypes = []DataType{}
	}
	for n := range a.DataTypes {
		t := &a.DataTypes[n]
		if isEmptyObject(t.Schema) || isNull(t.Schema) {
			t.Schema = nil
		}
		if isNull(t.XSD) {
			t.XSD = nil
		}
	}
}

func isNull(text json.RawMessage) bool { return string(text) == "null" }

// isEmptyObject reports whether a JSON text is an object without members.
func isEmptyObject(text json.RawMessage) bool {
	inner, opens := bytes.CutPrefix(bytes.TrimSpace(text), []byte("{"))
	inner, closes := bytes.CutSuffix(inner, []byte("}"))
	return opens && closes && len(bytes.TrimSpace(inner)) == 0
}

// Validate returns an Invalid fault, code "application-invalid", with one issue for each rule that
// the registration breaks, or nil. Call SetDefaults first.
func (a *Application) Validate() error {
	var c checker
	for language, text := range a.Title {
		c.require(len(language) >= 2 && len(language) <= 8 && len(text) <= 1000, "/title", "a title is at most 1000 bytes under a language code such as nb")
	}
	c.require(a.IndexShards >= 1 && a.IndexShards <= MaxIndexShards, "/indexShards", "must be 1 to %d", MaxIndexShards)
	c.require(len(a.DataTypes) <= MaxDataTypes, "/dataTypes", "at most %d data types", MaxDataTypes)
	seen := map[string]bool{}
	for n, t := range a.DataTypes {
		at := fmt.Sprintf("/dataTypes/%d", n)
		c.require(validFormID(t.FormID), at+"/formId", "must be a letter followed by up to 63 letters, digits and _ . -")
		c.require(!seen[t.FormID], at+"/formId", "is declared twice")
		seen[t.FormID] = true
		c.require(t.MaxSize >= 0, at+"/maxSize", "must not be negative (bytes; 0: no limit)")
		c.require(t.MinCount >= 0, at+"/minCount", "must not be negative")
		c.require(t.MaxCount >= 0, at+"/maxCount", "must not be negative (0: no limit)")
		c.require(t.MaxCount == 0 || t.MinCount <= t.MaxCount, at+"/minCount", "must not exceed maxCount")
		c.requireRoles(t.Read, at+"/read")
		c.require(len(t.Read) == 0 || slices.Contains(t.Read, Owner), at+"/read", "must contain owner, because the application owner sees all data")
		c.requireRoles(t.Write, at+"/write")
		for m, name := range t.Steps {
			_, exists := a.Workflow.Step(name)
			c.require(exists && !slices.Contains(t.Steps[:m], name), fmt.Sprintf("%s/steps/%d", at, m), "must be the name of a step, each once")
		}
		c.require(slices.Contains([]string{"", ScanOff, ScanBlock}, t.Scan), at+"/scan", "must be %s or %s", ScanOff, ScanBlock)
		c.require(slices.Contains([]string{"", UnscannableBlock, UnscannableAllow}, t.Unscannable), at+"/unscannable", "must be %s or %s", UnscannableBlock, UnscannableAllow)
		c.require(t.AllowedContentTypes == nil || len(t.AllowedContentTypes) > 0, at+"/allowedContentTypes",
			"must not be empty; omit it to allow every media type")
		for m, contentType := range t.AllowedContentTypes {
			c.require(ValidContentType(contentType), fmt.Sprintf("%s/allowedContentTypes/%d", at, m), "must be a media type such as application/xml, or a range such as */*")
		}
		c.require(len(t.Schema) <= MaxSchemaBytes, at+"/schema", "at most %d bytes", MaxSchemaBytes)
		c.require(len(t.Schema) == 0 || t.Schema[0] == '{', at+"/schema", "must be a JSON Schema object")
		c.require(len(t.Schema) == 0 || t.matchesFormat(), at+"/allowedContentTypes", "must allow a JSON or XML type because the data type has a schema")
		c.require(len(t.XSD) == 0 || t.Schema != nil || t.matchesFormat(), at+"/allowedContentTypes", "must allow an XML type because the data type has an XML Schema")
		c.require(len(t.XSD) == 0 || t.XSD[0] == '"' || t.XSD[0] == '{', at+"/xsd", "must be a string with an XML Schema document, or an object with such strings by name")
		c.require(t.XSDRoot == "" || len(t.XSD) > 0, at+"/xsdRoot", "must be absent without xsd")
		c.require(t.RootElement == "" || len(t.XSD) > 0, at+"/rootElement", "must be absent without xsd")
		c.require(isStorable(t.Schema), at+"/schema", "has more than %d bytes after compression", MaxPackedBytes)
		c.require(isStorable(t.XSD), at+"/xsd", "has more than %d bytes after compression", MaxPackedBytes)
	}
	c.require(slices.Contains([]string{"", LabelsForBoth, LabelsForOwner}, a.LabelsFor), "/labelsFor", "must be %s or %s", LabelsForBoth, LabelsForOwner)
	a.Workflow.check(&c)
	a.checkLifecycle(&c)
	return c.fault()
}

// InvalidRegistration returns the fault for a registration that breaks the rules named by issues.
func InvalidRegistration(issues []fault.Issue) *fault.Error {
	f := fault.New(fault.Invalid, "application-invalid", "The registration is invalid. See issues for the reasons.")
	f.Issues = issues
	return f
}

// checker collects an issue for each rule that the registration breaks.
type checker struct{ issues []fault.Issue }

// fault returns the fault for the collected issues, or nil if there are none.
func (c *checker) fault() error {
	if len(c.issues) == 0 {
		return nil
	}
	return InvalidRegistration(c.issues)
}

// requireRoles requires a list of roles, each once. nil is valid, and an empty list is not.
func (c *checker) requireRoles(roles []Role, field string) {
	c.require(roles == nil || len(roles) > 0, field, "must contain user, owner or both; omit it to allow both")
	for n, role := range roles {
		c.require((role == User || role == Owner) && !slices.Contains(roles[:n], role), fmt.Sprintf("%s/%d", field, n), "must be user or owner, each once")
	}
}

func (c *checker) require(holds bool, field, rule string, args ...any) {
	if !holds && len(c.issues) < maxIssues {
		c.issues = append(c.issues, fault.Issue{
			Severity: fault.SeverityError, Code: "InvalidRegistration", Field: field, Description: fmt.Sprintf(rule, args...),
		})
	}
}
