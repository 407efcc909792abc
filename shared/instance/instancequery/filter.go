// Package instancequery provides the query of instances: its parameters, its cursor, and how it is answered from
// the fewest rows of the store's indexes. It reads through the Index it is given and stores nothing. Who may see
// what is part of the filter, and is checked on every row.
package instancequery

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// The parameters, in the words of the API.
const (
	paramAppID             = "appId"
	paramOrg               = "org"
	paramCurrentStep       = "workflow.currentStep"
	paramIsCompleted       = "workflow.isCompleted"
	paramIsArchived        = "status.isArchived"
	paramIsSoftDeleted     = "status.isSoftDeleted"
	paramLabel             = "label"
	paramLastChanged       = "lastChangedDateTime"
	paramCreated           = "createdDateTime"
	paramDue               = "dueDateTime"
	paramVisible           = "visibleDateTime"
	paramDownloadConfirmed = "downloadConfirmed"
	paramOrder             = "order"

	// ParamInstanceOwnerID is the name of the parameter that asks for one party's instances.
	ParamInstanceOwnerID = "instanceOwnerId"
	// ParamPage is the name of the parameter that carries a cursor.
	ParamPage = "page"
	// ParamSize is the name of the parameter that says how many instances a page has.
	ParamSize = "size"
)

// Parameters returns the names of all parameters of the query.
func Parameters() []string {
	return []string{paramAppID, paramOrg, ParamInstanceOwnerID, paramCurrentStep, paramIsCompleted, paramIsArchived,
		paramIsSoftDeleted, paramLabel, paramLastChanged, paramCreated, paramDue, paramVisible, paramDownloadConfirmed,
		paramOrder, ParamSize, ParamPage}
}

// maxApps is how many applications a filter may name: each is looked up.
const maxApps = 20

// Filter is what must hold for an instance to be in the answer. Its zero value holds for every instance that is
// not deleted.
type Filter struct {
	AppIDs          []string // one of these; empty: any
	Org             string   // "" : any
	InstanceOwnerID string   // "" : any
	Step            string   // "" : any
	Labels          []string // all of these
	IsCompleted     *bool    // nil: either
	IsArchived      *bool
	IsSoftDeleted   bool // false: the deleted are left out
	Unconfirmed     bool // true: only those that wait for the owner's confirmation

	LastChanged, Created, Due, Visible TimeRange
	Order                              merge.Order
}

// ParseFilter reads the query's filter. Anything impossible is an Invalid fault that names the parameter.
func ParseFilter(values url.Values) (Filter, error) {
	var f Filter
	p := parser{values: values}
	f.AppIDs = p.list(paramAppID, "applications such as nav/app2018", func(s string) bool {
		_, _, ok := application.SplitID(s)
		return ok
	})
	if len(f.AppIDs) > maxApps {
		p.reject(paramAppID, "at most "+strconv.Itoa(maxApps)+" applications; leave it out for all of the org")
	}
	f.Org = p.single(paramOrg, "the name of an organisation, given once", application.ValidOrg)
	f.InstanceOwnerID = p.single(ParamInstanceOwnerID, "an instanceOwnerId, a decimal number, given once", instance.ValidOwnerID)
	f.Step = p.single(paramCurrentStep, "the name of a step, given once", func(s string) bool { return s != "" })
	f.Labels = p.list(paramLabel, "labels of 1 to "+strconv.Itoa(instance.MaxLabelLength)+" characters, at most "+
		strconv.Itoa(instance.MaxLabels)+", repeated or separated by commas", func(s string) bool {
		_, err := instance.CheckLabels([]string{s})
		return err == nil
	})
	if len(f.Labels) > instance.MaxLabels {
		p.reject(paramLabel, "an instance has at most "+strconv.Itoa(instance.MaxLabels)+" labels")
	}
	f.IsCompleted = p.boolean(paramIsCompleted)
	f.IsArchived = p.boolean(paramIsArchived)
	if deleted := p.boolean(paramIsSoftDeleted); deleted != nil {
		f.IsSoftDeleted = *deleted
	}
	f.Unconfirmed = p.single(paramDownloadConfirmed, "false, given once: what still has a data element that its owner has not confirmed",
		func(s string) bool { return s == "false" }) != ""
	f.Order = merge.Order(p.single(paramOrder, "asc or desc, given once", func(s string) bool { return s == "asc" || s == "desc" }) == "desc")
	f.LastChanged = p.timeRange(paramLastChanged)
	f.Created = p.timeRange(paramCreated)
	f.Due = p.timeRange(paramDue)
	f.Visible = p.timeRange(paramVisible)
	return f, p.err
}

// Matches reports whether the filter holds for an instance as it is.
func (f *Filter) Matches(i *instance.Instance) bool {
	org, _, _ := strings.Cut(i.AppID, "/")
	is := func(want *bool, is bool) bool { return want == nil || *want == is }
	return !i.Status.IsMarkedForHardDelete && i.Status.IsSoftDeleted == f.IsSoftDeleted &&
		(len(f.AppIDs) == 0 || slices.Contains(f.AppIDs, i.AppID)) &&
		(f.Org == "" || f.Org == org) &&
		(f.InstanceOwnerID == "" || f.InstanceOwnerID == i.InstanceOwnerID) &&
		(f.Step == "" || f.Step == i.Workflow.CurrentStep) &&
		!slices.ContainsFunc(f.Labels, func(label string) bool { return !slices.Contains(i.Labels, label) }) &&
		is(f.IsCompleted, i.Workflow.IsCompleted) && is(f.IsArchived, i.Status.IsArchived) &&
		(!f.Unconfirmed || i.HasUnconfirmed()) &&
		f.LastChanged.Contains(&i.LastChangedDateTime) && f.Created.Contains(&i.CreatedDateTime) &&
		f.Due.Contains(i.DueDateTime) && f.Visible.Contains(i.VisibleDateTime)
}

// parser reads parameters and keeps the first fault.
type parser struct {
	values url.Values
	err    error
}

func (p *parser) reject(name, allowed string) {
	if p.err == nil {
		p.err = fault.InvalidParameter(name, "%s", allowed)
	}
}

func (p *parser) single(name, allowed string, valid func(string) bool) string {
	given := p.values[name]
	if len(given) == 0 {
		return ""
	}
	if len(given) > 1 || !valid(given[0]) {
		p.reject(name, allowed)
	}
	return given[0]
}

// list reads a parameter that may be repeated and whose values may be separated by commas. A value given twice
// counts once.
func (p *parser) list(name, allowed string, valid func(string) bool) []string {
	var all []string
	for _, given := range p.values[name] {
		for value := range strings.SplitSeq(given, ",") {
			if !valid(value) {
				p.reject(name, allowed)
			}
			if !slices.Contains(all, value) {
				all = append(all, value)
			}
		}
	}
	return all
}

func (p *parser) boolean(name string) *bool {
	switch p.single(name, "true or false, given once", func(s string) bool { return s == "true" || s == "false" }) {
	case "true":
		yes := true
		return &yes
	case "false":
		no := false
		return &no
	}
	return nil
}

func (p *parser) timeRange(name string) TimeRange {
	timeRange, err := parseTimeRange(name, p.values[name])
	if err != nil && p.err == nil {
		p.err = err
	}
	return timeRange
}
