package instancequery

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

// The names of the query parameters.
const (
	paramAppID             = "appId"
	paramOrg               = "org"
	paramCurrentStep       = "workflow.currentStep"
	paramIsCompleted       = "workflow.isCompleted"
	paramIsArchived        = "status.isArchived"
	paramIsSoftDeleted     = "status.isSoftDeleted"
	paramReadStatus        = "status.readStatus"
	paramLabel             = "label"
	paramLastChanged       = "lastChangedDateTime"
	paramCreated           = "createdDateTime"
	paramDue               = "dueDateTime"
	paramVisible           = "visibleDateTime"
	paramDownloadConfirmed = "downloadConfirmed"
	paramOrder             = "order"

	// ParamInstanceOwnerID is the name of the parameter that selects the instances of one party.
	ParamInstanceOwnerID = "instanceOwnerId"
	// ParamPage is the name of the parameter that selects the page.
	ParamPage = "page"
	// ParamSize is the name of the parameter with the maximum number of instances on a page.
	ParamSize = "size"
)

// Parameters returns the names of all query parameters.
func Parameters() []string {
	return []string{paramAppID, paramOrg, ParamInstanceOwnerID, paramCurrentStep, paramIsCompleted, paramIsArchived,
		paramIsSoftDeleted, paramReadStatus, paramLabel, paramLastChanged, paramCreated, paramDue, paramVisible, paramDownloadConfirmed,
		paramOrder, ParamSize, ParamPage}
}

// maxApps is the maximum number of applications in a filter. Each costs a read of its registration.
const maxApps = 20

// Filter selects the instances of the result. An instance must match all fields. The zero value
// matches every instance that is not marked for hard delete.
type Filter struct {
	AppIDs          []string // one of these; empty: any
	Org             string   // "": any
	InstanceOwnerID string   // "": any
	Step            string   // "": any
	Labels          []string // all of these
	IsCompleted     *bool    // nil: both
	IsArchived      *bool    // nil: both
	IsSoftDeleted   *bool    // nil: both
	ReadStatus      string   // "": any
	Unconfirmed     bool     // only instances in their owner's work queue

	// VisibleAt is the time of a user's query, or zero for an owner's. The filter then omits the
	// instances that do not exist for users at that time, and matches what users see: no hidden
	// label, and the last change that they may see.
	VisibleAt time.Time

	LastChanged, Created, Due, Visible TimeRange
	Order                              merge.Order
}

// ParseFilter returns the filter that the parameters describe. Without status.isSoftDeleted it
// matches no deleted instance, except in the owner's work queue. It returns an Invalid fault with
// the name of the first parameter that has an invalid value.
func ParseFilter(values url.Values) (Filter, error) {
	var f Filter
	p := parser{values: values}
	f.AppIDs = p.list(paramAppID, "use application ids such as nav/app2018", func(s string) bool {
		_, _, ok := application.SplitID(s)
		return ok
	})
	if len(f.AppIDs) > maxApps {
		p.reject(paramAppID, "use at most "+strconv.Itoa(maxApps)+" applications, or none to query all applications of the org")
	}
	f.Org = p.single(paramOrg, "use the name of one organisation", application.ValidOrg)
	f.InstanceOwnerID = p.single(ParamInstanceOwnerID, "use one instanceOwnerId, a decimal number", instance.ValidInstanceOwnerID)
	f.Step = p.single(paramCurrentStep, "use the name of one step", func(s string) bool { return s != "" })
	f.Labels = p.list(paramLabel, "use at most "+strconv.Itoa(instance.MaxLabels)+" labels of 1 to "+
		strconv.Itoa(instance.MaxLabelLength)+" characters; repeat the parameter or separate labels by commas", func(s string) bool {
		_, err := instance.CheckLabels([]string{s})
		return err == nil
	})
	if len(f.Labels) > instance.MaxLabels {
		p.reject(paramLabel, "use at most "+strconv.Itoa(instance.MaxLabels)+" labels")
	}
	f.IsCompleted = p.boolean(paramIsCompleted)
	f.IsArchived = p.boolean(paramIsArchived)
	f.IsSoftDeleted = p.boolean(paramIsSoftDeleted)
	f.ReadStatus = p.single(paramReadStatus, "use one of "+strings.Join(instance.ReadStatuses(), ", "), func(s string) bool {
		return slices.Contains(instance.ReadStatuses(), s)
	})
	f.Unconfirmed = p.single(paramDownloadConfirmed, "use the value false, once; it selects submitted instances that the owner has not confirmed",
		func(s string) bool { return s == "false" }) != ""
	if f.IsSoftDeleted == nil && !f.Unconfirmed { // a deletion does not remove a submission from the work queue
		f.IsSoftDeleted = new(bool)
	}
	f.Order = merge.Order(p.single(paramOrder, "use asc or desc, once", func(s string) bool { return s == "asc" || s == "desc" }) == "desc")
	f.LastChanged = p.timeRange(paramLastChanged)
	f.Created = p.timeRange(paramCreated)
	f.Due = p.timeRange(paramDue)
	f.Visible = p.timeRange(paramVisible)
	return f, p.err
}

// Matches reports whether the filter matches an instance. It never matches an instance that is
// marked for hard delete.
func (f *Filter) Matches(i *instance.Instance) bool {
	org, _, _ := strings.Cut(i.AppID, "/")
	changed := i.LastChangedFor(f.role())
	equals := func(want *bool, value bool) bool { return want == nil || *want == value }
	return !i.Status.IsMarkedForHardDelete && equals(f.IsSoftDeleted, i.Status.IsSoftDeleted) &&
		(len(f.AppIDs) == 0 || slices.Contains(f.AppIDs, i.AppID)) &&
		(f.Org == "" || f.Org == org) &&
		(f.InstanceOwnerID == "" || f.InstanceOwnerID == i.InstanceOwnerID) &&
		(f.Step == "" || f.Step == i.Workflow.CurrentStep) &&
		!slices.ContainsFunc(f.Labels, func(label string) bool { return !slices.Contains(i.Labels, label) }) &&
		(len(f.Labels) == 0 || f.role() == application.Owner || !i.LabelsHidden) &&
		equals(f.IsCompleted, i.Workflow.IsCompleted) && equals(f.IsArchived, i.Status.IsArchived) &&
		(f.ReadStatus == "" || f.ReadStatus == i.Status.ReadStatus) &&
		(!f.Unconfirmed || i.InQueue()) &&
		f.isVisible(i) &&
		f.LastChanged.Contains(&changed) && f.Created.Contains(&i.CreatedDateTime) &&
		f.Due.Contains(i.DueDateTime) && f.Visible.Contains(i.VisibleDateTime)
}

// role returns the role of the caller.
func (f *Filter) role() application.Role {
	if f.VisibleAt.IsZero() {
		return application.Owner
	}
	return application.User
}

// isVisible reports whether the instance exists for the caller at the time of the query.
func (f *Filter) isVisible(i *instance.Instance) bool {
	return f.VisibleAt.IsZero() || !i.Hidden(f.VisibleAt)
}

// parser reads parameters and keeps the first error.
type parser struct {
	values url.Values
	err    error
}

// reject records that a parameter is invalid; allowed says what to send instead.
func (p *parser) reject(name, allowed string) {
	if p.err == nil {
		p.err = fault.InvalidParameter(name, "%s", allowed)
	}
}

// single returns the value of a parameter that may occur once, or "" if it is absent.
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

// list returns the values of a parameter that may be repeated and whose values may be separated by
// commas. It drops repeated values, and white space around the values, which clients write after
// commas.
func (p *parser) list(name, allowed string, valid func(string) bool) []string {
	var all []string
	for _, given := range p.values[name] {
		for value := range strings.SplitSeq(given, ",") {
			value = strings.TrimSpace(value)
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

// boolean returns the value of a boolean parameter, or nil if it is absent.
func (p *parser) boolean(name string) *bool {
	switch p.single(name, "use true or false, once", func(s string) bool { return s == "true" || s == "false" }) {
	case "true":
		yes := true
		return &yes
	case "false":
		no := false
		return &no
	}
	return nil
}

// timeRange returns the range of a date parameter.
func (p *parser) timeRange(name string) TimeRange {
	timeRange, err := parseTimeRange(name, p.values[name])
	if err != nil && p.err == nil {
		p.err = err
	}
	return timeRange
}
