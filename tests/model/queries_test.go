package model

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// query draws a query and follows its pages.
func (r *run) query() {
	c := r.callers[0]
	if r.chance(50, "another caller") {
		c = rapid.SampledFrom(r.callers).Draw(r.T, "caller")
	}
	var q Query
	v := url.Values{}
	text := func(name string, into *string, of ...string) {
		if r.chance(30, name) {
			*into = draw(r, "value", of...)
			v.Set(name, *into)
		}
	}
	flag := func(name string, percent int, into **bool) {
		if r.chance(percent, name) {
			is := draw(r, "value", true, false)
			*into = &is
			v.Set(name, strconv.FormatBool(is))
		}
	}
	text("appId", &q.AppID, append(r.apps, r.callers[0].Org+"/ukjent")...)
	text("org", &q.Org, r.callers[0].Org, r.callers[5].Org)
	if r.chance(25, "by party") {
		q.Owner = "999999999"
		if i := r.latest(); i != nil {
			q.Owner = i.Owner
		}
		v.Set("instanceOwnerId", q.Owner)
	}
	text("workflow.currentStep", &q.Step, "FormFilling", "Submit", "Archived", "Utfylling", "Ukjent")
	if r.chance(15, "status.readStatus") {
		q.ReadStatus = draw(r, "value", "Read", "Unread", "UpdatedSinceLastReview")
		v.Set("status.readStatus", q.ReadStatus)
	}
	flag("workflow.isCompleted", 15, &q.Completed)
	flag("status.isArchived", 15, &q.Archived)
	flag("status.isSoftDeleted", 20, &q.Deleted)
	if r.chance(30, "labels") {
		q.Labels = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"gr", "x2", "Gr", "år 2026", "a&b=c+d%/?#", "12\u00a0500", "zz"}), 1, 2, rapid.ID).Draw(r.T, "labels")
		if r.chance(50, "with a comma") {
			v.Set("label", strings.Join(q.Labels, draw(r, "separator", ",", ", ")))
		} else {
			v["label"] = q.Labels
		}
	}
	if q.Unconfirmed = r.chance(20, "unconfirmed"); q.Unconfirmed {
		v.Set("downloadConfirmed", "false")
	}
	for range draw(r, "periods", 0, 0, 1, 2) {
		p, value := r.period()
		q.Periods = append(q.Periods, p)
		v.Add(p.Of, value)
	}
	size := r.page(v, &q)
	rows, rejections := r.model.Find(c, q)
	r.walk(c, "/storage/instances", v, size, rows, rejections, !q.Desc)
}

func (r *run) latest() *Instance {
	if n := len(r.model.Instances); n > 0 {
		return r.model.Instances[n-1]
	}
	return nil
}

// page draws order and size, and returns the size.
func (r *run) page(v url.Values, q *Query) int {
	if order := draw(r, "order", "", "asc", "desc"); order != "" {
		v.Set("order", order)
		q.Desc = order == "desc"
	}
	size := draw(r, "size", 100, 1, 2, 3, 1000)
	if size != 100 {
		v.Set("size", strconv.Itoa(size))
	}
	return size
}

// period draws a condition on a time, often on a time of an instance.
func (r *run) period() (Period, string) {
	p := Period{
		Of:   draw(r, "time", "lastChangedDateTime", "createdDateTime", "dueDateTime", "visibleDateTime"),
		Verb: draw(r, "verb", "after", "before", "between", "gt", "gte", "lt", "lte"),
	}
	moment := func() time.Time {
		t := time.Date(draw(r, "year", 2099, 2026), 6, 2, 12, 0, 0, 0, time.UTC)
		if n := len(r.model.Instances); n > 0 && r.chance(70, "of an instance") {
			i := rapid.SampledFrom(r.model.Instances).Draw(r.T, "instance")
			switch {
			case p.Of == "createdDateTime":
				t = i.Created
			case p.Of == "lastChangedDateTime":
				t = i.lastChange(draw(r, "as seen by", Caller{}, r.callers[0])).at
			case p.Of == "dueDateTime" && i.Due != nil:
				t = *i.Due
			case p.Of == "visibleDateTime" && i.Visible != nil:
				t = *i.Visible
			}
		}
		return t
	}
	write := func(t *time.Time) string {
		switch draw(r, "written", "UTC", "in lower case", "with an offset", "as a date") {
		case "with an offset":
			return t.In(time.FixedZone("", 2*3600)).Format(time.RFC3339Nano)
		case "in lower case":
			return strings.ToLower(t.Format(time.RFC3339Nano))
		case "as a date":
			*t = t.Truncate(24 * time.Hour)
			return t.Format(time.DateOnly)
		}
		return t.Format(time.RFC3339Nano)
	}
	p.A = moment()
	value := write(&p.A)
	switch p.Verb {
	case "after", "before":
		return p, p.Verb + "(" + value + ")"
	case "between":
		p.B = moment()
		other := write(&p.B)
		if p.B.Before(p.A) && !r.chance(20, "reversed") {
			p.A, p.B, value, other = p.B, p.A, other, value
		}
		return p, "between(" + value + "," + other + ")"
	}
	return p, p.Verb + ":" + value
}

func (r *run) ownInstances() {
	c := r.callers[1]
	if r.chance(50, "another caller") {
		c = rapid.SampledFrom(r.callers).Draw(r.T, "caller")
	}
	owner := "999999999"
	if number := r.model.party(c); number != "" {
		owner = number
	}
	if i := r.latest(); i != nil && r.chance(20, "another's") {
		owner = i.Owner
	}
	var q Query
	v := url.Values{}
	size := r.page(v, &q)
	rows, rejections := r.model.OwnInstances(c, owner, q)
	r.walk(c, "/storage/instances/"+owner, v, size, rows, rejections, !q.Desc)
}

// walk requests a page and follows its links: next to the end, last to the other end, and resume.
// Or it requests a page by its number.
func (r *run) walk(c Caller, path string, v url.Values, size int, rows []*Instance, rejections Rejections, ascending bool) {
	fetch := func(target string) (rows []any, links map[string]any) {
		g := r.send("query", c, request{method: "GET", path: target, header: header("Accept", draw(r, "Accept", "", "application/hal+json"))})
		r.check(g, Response{Rejections: rejections, Status: 200})
		links, _ = g.object()["_links"].(map[string]any)
		embedded, _ := g.object()["_embedded"].(map[string]any)
		rows, ok := embedded["instances"].([]any)
		if !ok && rejections == nil {
			r.Fatalf("no list: %s", g.body)
		}
		return rows, links
	}
	link := func(links map[string]any, name string) string {
		l, _ := links[name].(map[string]any)
		href, _ := l["href"].(string)
		return href
	}
	same := func(is []any, want []*Instance) {
		r.Helper()
		if len(is) != len(want) {
			r.Fatalf("the page has %d instances, want %d of %d: %s", len(is), len(want), len(rows), pretty(is))
		}
		for n := range want {
			r.sameInstance(is[n], want[n], c, r.model.Listed)
		}
	}
	number := 0
	if r.chance(20, "by number") {
		number = draw(r, "number", 0, 1, 2, 5)
		v.Set("page", strconv.Itoa(number))
	}
	target := path
	if len(v) > 0 {
		target += "?" + v.Encode()
	}
	at := min(number*size, len(rows))
	page, links := fetch(target)
	if rejections != nil {
		return
	}
	last := link(links, "last")
	for {
		end := min(at+size, len(rows))
		same(page, rows[at:end])
		if self := link(links, "self"); !strings.HasPrefix(self, system.BaseURL+path) {
			r.Errorf("the self link of the page is %q", self)
		}
		next := link(links, "next")
		if (next != "") != (end < len(rows)) {
			r.Fatalf("next is %q at %d of %d", next, end, len(rows))
		}
		if next == "" {
			break
		}
		at = end
		page, links = fetch(next)
	}
	if last != "" && r.chance(50, "last") {
		page, links := fetch(last)
		same(page, rows[max(0, len(rows)-size):])
		if next := link(links, "next"); next != "" {
			r.Errorf("the last page has the next link %s", next)
		}
	} else if last == "" && len(rows) > size {
		r.Errorf("%d instances in pages of %d, without a last link", len(rows), size)
	}
	resume := link(links, "resume")
	if (resume != "") != ascending {
		r.Errorf("resume is %q at the end of a query with ascending=%v", resume, ascending)
	}
	if resume != "" && r.chance(30, "resume") {
		r.resume(func() ([]any, map[string]any) { return fetch(resume) }, rows, c)
	}
}

// resume follows a resume link. It finds a suffix of the earlier result, in the same order.
func (r *run) resume(fetch func() ([]any, map[string]any), rows []*Instance, c Caller) {
	page, _ := fetch()
	if len(page) == 0 {
		return
	}
	for n := range rows {
		if page[0].(map[string]any)["id"] == rows[n].ID {
			for k, each := range page {
				if n+k >= len(rows) {
					r.Fatalf("the resume link finds too many instances: %v", pretty(page))
				}
				r.sameInstance(each, rows[n+k], c, r.model.Listed)
			}
			return
		}
	}
	r.Fatalf("the resume link finds an unknown instance: %v", pretty(page))
}

// wrongQueries get a problem that names the parameter, for every authorized caller.
var wrongQueries = map[string]string{
	"labels=gr": "parameter-unknown", "size=0": "parameter-invalid", "size=1001": "parameter-invalid", "size=10&size=20": "parameter-invalid",
	"lastChangedDateTime=2019-05-01": "parameter-invalid", "dueDateTime=after(2019-02-30)": "parameter-invalid", "createdDateTime=gt:2019-05-01T12:00:00": "parameter-invalid",
	"downloadConfirmed=true": "parameter-invalid", "order=up": "parameter-invalid", "page=AAAA": "parameter-invalid", "page=-1": "parameter-invalid",
	"appId=melding": "parameter-invalid", "instanceOwnerId=x": "parameter-invalid", "workflow.isCompleted=yes": "parameter-invalid", "label=": "parameter-invalid",
	"status.readStatus=read": "parameter-invalid", "status.readStatus=Read&status.readStatus=Unread": "parameter-invalid",
	"status.isSoftDeleted=true&status.isSoftDeleted=false": "parameter-invalid", "size=100&page=101": "parameter-invalid",
}

func (r *run) wrongQuery() {
	var all []string
	for text := range wrongQueries {
		all = append(all, text)
	}
	text := rapid.SampledFrom(sorted(all)).Draw(r.T, "query")
	c := draw(r, "caller", r.callers...)
	g := r.send("wrong query", c, request{method: "GET", path: "/storage/instances?" + text})
	rejections := authorize(c, both, false)
	if rejections == nil {
		rejections = Rejections{{400, wrongQueries[text]}}
	}
	r.check(g, Response{Rejections: rejections})
	name, _, _ := strings.Cut(text, "=")
	if detail := fmt.Sprint(g.object()["detail"]); g.status == 400 && !strings.Contains(detail, name) && !strings.Contains(text, "page=") {
		r.Errorf("the response does not name %s: %s", name, detail)
	}
}

// equal compares JSON values.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }
