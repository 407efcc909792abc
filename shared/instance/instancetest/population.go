package instancetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
)

// Population is a set of random instances for property tests. They differ in every queried member
// and have few different times. Its applications and parties are new, so the store may be shared.
type Population struct {
	Org       string
	VisibleAt time.Time // the time of the queries of a user; zero: an application owner queries
	Apps      []*application.Application
	Owners    []string
	Instances []*instance.Instance

	rand *rand.Rand
}

// Labels are the labels in a population. The first is on every instance, later ones on ever fewer,
// and the last on none.
var Labels = []string{"gr", "x2", "æ #1", "2024/05", "none"}

// TB is a test, or one case of a property test.
type TB interface {
	rapid.TB
	Context() context.Context
}

// NewPopulation stores n random instances of three applications.
func NewPopulation(t TB, store Store, seed uint64, n int) *Population {
	p := &Population{Org: "nav", rand: rand.New(rand.NewPCG(seed, 0))}
	for _, shards := range []int{1, 3, 1} {
		p.Apps = append(p.Apps, NewApplication(shards))
	}
	for range 3 {
		p.Owners = append(p.Owners, newInstanceOwnerID())
	}
	for range n {
		p.Add(t, store, p.time())
	}
	return p
}

// Add stores another random instance, last changed at the given time.
func (p *Population) Add(t TB, store Store, changed time.Time) *instance.Instance {
	t.Helper()
	i := p.random(changed)
	if err := store.Create(t.Context(), i, EventOf(i)); err != nil {
		t.Fatal(err)
	}
	p.Instances = append(p.Instances, i)
	return i
}

// time returns one of a few times, some of which are a microsecond apart.
func (p *Population) time() time.Time {
	return At.Add(time.Duration(p.rand.IntN(3))*time.Hour + time.Duration(p.rand.IntN(3))*time.Microsecond)
}

// age returns the time between the creation and the last change of an instance, which is often
// zero.
func (p *Population) age() time.Duration {
	return time.Duration(p.rand.IntN(2))*time.Hour + time.Duration(p.rand.IntN(2))*time.Microsecond
}

func (p *Population) chance(of int) bool { return p.rand.IntN(of) == 0 }

func (p *Population) random(changed time.Time) *instance.Instance {
	app := p.Apps[p.rand.IntN(len(p.Apps))]
	step := app.Workflow.Steps[p.rand.IntN(len(app.Workflow.Steps))]
	i := &instance.Instance{
		ID: p.id(), AppID: app.ID, InstanceOwnerID: p.Owners[p.rand.IntN(len(p.Owners))],
		Labels: []string{}, Data: []instance.DataElement{},
		CreatedDateTime: changed.Add(-p.age()), LastChangedDateTime: changed, StepEntered: changed, EventCount: 1,
		Workflow:  instance.Workflow{CurrentStep: step.Name, IsCompleted: step.Completes},
		Status:    instance.Status{IsArchived: step.Archives, IsSoftDeleted: p.chance(5), ReadStatus: instance.ReadStatuses()[p.rand.IntN(3)]},
		Shard:     p.rand.IntN(app.IndexShards), // may be from before shards were added
		Submitted: step.Submits(),
	}
	if submitted := p.time(); i.Submitted || p.chance(4) { // or sent back
		i.Workflow.SubmittedDateTime = &submitted
	}
	if p.chance(2) {
		i.AllConfirmed = p.time()
	}
	for n, label := range Labels[:len(Labels)-1] {
		if p.chance(n + 1) {
			i.Labels = append(i.Labels, label)
		}
	}
	for _, date := range []**time.Time{&i.DueDateTime, &i.VisibleDateTime} {
		if p.chance(2) {
			t := p.time()
			*date = &t
		}
	}
	for n := range p.rand.IntN(3) {
		d := instance.DataElement{ID: p.id(), FormID: "default", CreatedDateTime: changed, LastChangedDateTime: changed, LastChangedBy: "1001", Revision: strconv.Itoa(n)}
		if p.chance(4) {
			d.LastChangedBy = p.Org
		}
		if p.chance(2) {
			d.ApplicationOwner = &instance.ApplicationOwner{Downloaded: []time.Time{At}, DownloadConfirmed: []time.Time{p.time()}}
		}
		i.Data = append(i.Data, d)
	}
	if p.chance(12) {
		_ = i.HardDelete(nil, application.Owner, changed) // never fails for an owner without a hold
	}
	return i
}

func (p *Population) id() string {
	var id uuid.UUID
	for n := range id {
		id[n] = byte(p.rand.Uint32())
	}
	return id.String()
}

// condition is the condition of one value of a parameter.
type condition struct {
	name  string // of the parameter
	holds func(*instance.Instance) bool
}

// query is a random query, and a filter that selects its result from all instances.
type query struct {
	values map[string][]string
	holds  []condition
	appIDs []string // values of the appId parameter
	owner  bool     // restricted to one party
	desc   bool

	impossible map[string]bool // the date parameters whose conditions exclude every time
}

func (q *query) add(name, value string, holds func(*instance.Instance) bool) {
	q.values[name] = append(q.values[name], value)
	q.holds = append(q.holds, condition{name, holds})
}

// expected returns the ids of all matching instances, in order.
func (q *query) expected(p *Population) []string {
	found := slices.DeleteFunc(slices.Clone(p.Instances), func(i *instance.Instance) bool {
		return slices.ContainsFunc(q.holds, func(c condition) bool { return !c.holds(i) })
	})
	slices.SortFunc(found, func(a, b *instance.Instance) int {
		if q.desc {
			a, b = b, a
		}
		if byTime := a.LastChangedDateTime.Compare(b.LastChangedDateTime); byTime != 0 && !q.owner {
			return byTime
		}
		return strings.Compare(a.ID, b.ID)
	})
	ids := make([]string, len(found))
	for n, i := range found {
		ids[n] = i.ID
	}
	return ids
}

// drawQuery draws a combination of parameters.
func (p *Population) drawQuery(t *rapid.T) *query {
	q := &query{values: map[string][]string{}, impossible: map[string]bool{}}
	sometimes := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, "with "+name) == 0 }
	one := func(from ...string) string { return rapid.SampledFrom(from).Draw(t, "value") }
	if rapid.IntRange(0, 2).Draw(t, "with appId") == 0 {
		all := []string{p.Apps[0].ID, p.Apps[1].ID, p.Apps[2].ID, "nav/not-registered"}
		q.appIDs = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, rapid.ID[string]).Draw(t, "appId")
		q.add("appId", strings.Join(q.appIDs, ","), func(i *instance.Instance) bool { return slices.Contains(q.appIDs, i.AppID) })
	}
	if q.owner = sometimes("instanceOwnerId"); q.owner {
		owner := one(append([]string{"7"}, p.Owners...)...)
		q.add("instanceOwnerId", owner, func(i *instance.Instance) bool { return i.InstanceOwnerID == owner })
	}
	if sometimes("step") {
		step := one("FormFilling", "Submit", "Archived", "Elsewhere")
		q.add("workflow.currentStep", step, func(i *instance.Instance) bool { return i.Workflow.CurrentStep == step })
	}
	deleted, both := false, false
	if sometimes("isCompleted") {
		want := rapid.Bool().Draw(t, "value")
		q.add("workflow.isCompleted", strconv.FormatBool(want), func(i *instance.Instance) bool { return i.Workflow.IsCompleted == want })
	}
	if sometimes("isArchived") {
		want := rapid.Bool().Draw(t, "value")
		q.add("status.isArchived", strconv.FormatBool(want), func(i *instance.Instance) bool { return i.Status.IsArchived == want })
	}
	if sometimes("readStatus") {
		want := rapid.SampledFrom(instance.ReadStatuses()).Draw(t, "value")
		q.add("status.readStatus", want, func(i *instance.Instance) bool { return i.Status.ReadStatus == want })
	}
	if sometimes("isSoftDeleted") {
		deleted = rapid.Bool().Draw(t, "value")
		q.values["status.isSoftDeleted"] = []string{strconv.FormatBool(deleted)}
	}
	q.holds = append(q.holds, condition{"status.isSoftDeleted", func(i *instance.Instance) bool {
		return (both || i.Status.IsSoftDeleted == deleted) && !i.Status.IsMarkedForHardDelete
	}})
	for range rapid.IntRange(0, 2).Draw(t, "labels") {
		labels := rapid.SliceOfN(rapid.SampledFrom(Labels), 1, 2).Draw(t, "label")
		q.add("label", strings.Join(labels, ","), func(i *instance.Instance) bool {
			return !slices.ContainsFunc(labels, func(label string) bool { return !slices.Contains(i.Labels, label) })
		})
	}
	if sometimes("downloadConfirmed") {
		both = q.values["status.isSoftDeleted"] == nil // the work queue includes deleted submissions
		q.add("downloadConfirmed", "false", p.inQueue)
	}
	p.drawTimeRanges(t, q)
	if order := one("", "asc", "desc"); order != "" {
		q.values["order"], q.desc = []string{order}, order == "desc"
	}
	return q
}

// inQueue reports whether an instance of the population is in its owner's work queue, from the
// elements that the owner did not write.
func (p *Population) inQueue(i *instance.Instance) bool {
	others := slices.DeleteFunc(slices.Clone(i.Data), func(d instance.DataElement) bool { return d.LastChangedBy == p.Org })
	switch {
	case i.Workflow.CurrentStep == "FormFilling":
		return false
	case len(others) == 0:
		return i.AllConfirmed.IsZero() || i.AllConfirmed.Before(*i.Workflow.SubmittedDateTime)
	}
	return slices.ContainsFunc(others, func(d instance.DataElement) bool {
		return d.ApplicationOwner == nil || d.ApplicationOwner.DownloadConfirmed[0].Before(*i.Workflow.SubmittedDateTime)
	})
}

func (p *Population) drawTimeRanges(t *rapid.T, q *query) {
	for _, date := range []struct {
		name string
		of   func(*instance.Instance) *time.Time
	}{
		{"lastChangedDateTime", func(i *instance.Instance) *time.Time { return &i.LastChangedDateTime }},
		{"createdDateTime", func(i *instance.Instance) *time.Time { return &i.CreatedDateTime }},
		{"dueDateTime", func(i *instance.Instance) *time.Time { return i.DueDateTime }},
		{"visibleDateTime", func(i *instance.Instance) *time.Time { return i.VisibleDateTime }},
	} {
		var all []func(time.Time) bool
		for range max(0, rapid.IntRange(-4, 2).Draw(t, "conditions of "+date.name)) {
			text, holds := drawCondition(t)
			q.add(date.name, text, func(i *instance.Instance) bool { return date.of(i) != nil && holds(*date.of(i)) })
			all = append(all, holds)
		}
		if !slices.ContainsFunc(conditionTimes(), func(at time.Time) bool {
			return !slices.ContainsFunc(all, func(holds func(time.Time) bool) bool { return !holds(at) })
		}) {
			q.impossible[date.name] = true
		}
	}
}

// conditionTimes returns all times, in microseconds, near the times of the conditions that
// drawCondition draws. If any time meets several of these conditions, one of them does.
func conditionTimes() (times []time.Time) {
	for hour := range 3 {
		for microsecond := -2; microsecond <= 4; microsecond++ {
			times = append(times, At.Add(time.Duration(hour)*time.Hour+time.Duration(microsecond)*time.Microsecond))
		}
	}
	return times
}

// drawCondition draws a condition on a time near the times of the population, with half
// microseconds.
func drawCondition(t *rapid.T) (text string, holds func(time.Time) bool) {
	draw := func() (time.Time, string) {
		at := At.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "hour"))*time.Hour + time.Duration(rapid.IntRange(-1, 5).Draw(t, "half microseconds"))*500)
		zone := time.FixedZone("", rapid.SampledFrom([]int{0, 7200, -12600}).Draw(t, "offset"))
		return at, strings.Replace(at.In(zone).Format(time.RFC3339Nano), "+", rapid.SampledFrom([]string{"+", " "}).Draw(t, "plus"), 1)
	}
	at, a := draw()
	switch operator := rapid.SampledFrom([]string{"after(%s)", "gt:%s", "gte:%s", "before(%s)", "lt:%s", "lte:%s", "between(%s,%s)"}).Draw(t, "operator"); operator {
	case "after(%s)", "gt:%s":
		return fmt.Sprintf(operator, a), func(t time.Time) bool { return t.After(at) }
	case "before(%s)", "lt:%s":
		return fmt.Sprintf(operator, a), func(t time.Time) bool { return t.Before(at) }
	case "gte:%s":
		return fmt.Sprintf(operator, a), func(t time.Time) bool { return !t.Before(at) }
	case "lte:%s":
		return fmt.Sprintf(operator, a), func(t time.Time) bool { return !t.After(at) }
	default:
		to, b := draw()
		return fmt.Sprintf(operator, a, b), func(t time.Time) bool { return !t.Before(at) && !t.After(to) }
	}
}
