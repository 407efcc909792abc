package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/instance"
)

const path = "/storage/instances"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /storage/instances", handler(api.Authorizer, api.Applications, api.Instances, api.View))
	return api
}

type page struct {
	Links struct {
		Self, Next, Last, Resume struct{ Href string }
	} `json:"_links"`
	Embedded struct {
		Instances []*instance.Instance
	} `json:"_embedded"`
}

func (p page) ids() []string { return apitest.IDs(p.Embedded.Instances...) }

// query runs a query and checks that the links are absolute and repeat its parameters.
func query(t *testing.T, api *apitest.API, caller, filter string) page {
	t.Helper()
	target := path
	if filter != "" {
		target += "?" + filter
	}
	response := api.Do(t, caller, "GET", target).Want(200, "")
	var p page
	response.JSON(&p)
	if p.Embedded.Instances == nil || response.Header().Get("Vary") != "Accept" {
		t.Errorf("%s: %v %s", filter, response.Header(), response.Body)
	}
	if !strings.Contains(response.Body.String(), `"`+p.Links.Self.Href+`"`) { // the JSON must not escape the link
		t.Errorf("%s: the link %s is escaped in %s", filter, p.Links.Self.Href, response.Body)
	}
	parameters, _ := url.ParseQuery(filter)
	for name, href := range map[string]string{"self": p.Links.Self.Href, "next": p.Links.Next.Href, "last": p.Links.Last.Href, "resume": p.Links.Resume.Href} {
		if href == "" && name != "self" {
			continue
		}
		link, err := url.Parse(href)
		if err != nil || link.Scheme+"://"+link.Host+link.Path != "https://platform.altinn.no"+path {
			t.Errorf("%s: %s is %s", filter, name, href)
			continue
		}
		kept := link.Query()
		if name != "self" {
			if to := kept.Get("page"); to == "" || len(to) > 64 || url.QueryEscape(to) != to {
				t.Errorf("%s: %s has the page %q", filter, name, to)
			}
			kept.Set("page", parameters.Get("page"))
			if !parameters.Has("page") {
				kept.Del("page")
			}
		}
		if kept.Encode() != parameters.Encode() {
			t.Errorf("%s: %s keeps %s", filter, name, kept.Encode())
		}
	}
	return p
}

// next returns the filter in the link to the next page, or "" on the last page.
func (p page) next() string {
	_, filter, _ := strings.Cut(p.Links.Next.Href, "?")
	return filter
}

var may = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

// known holds the instances of most tests, in the order of their last change and also of their
// creation.
type known struct {
	filling, submitted, archived, other, olas, skds *instance.Instance
}

func add(t *testing.T, api *apitest.API) known {
	form := []string{"default"}
	due := may.AddDate(0, 1, 0)
	day := func(n int) time.Time { return may.AddDate(0, 0, n) }
	return known{
		filling:   api.Add(t, apitest.InstanceSpec{At: day(0), Labels: []string{"gr", "x2"}, Due: &due}),
		submitted: api.Add(t, apitest.InstanceSpec{At: day(1), Labels: []string{"gr"}, Forms: form, Path: []string{"Submit"}}),
		archived:  api.Add(t, apitest.InstanceSpec{At: day(2), Labels: []string{"x2"}, Forms: form, Path: []string{"Submit", "Archived"}}),
		other:     api.Add(t, apitest.InstanceSpec{At: day(3), App: apitest.Other, Labels: []string{"gr", "x2", "ø æ"}}),
		olas:      api.Add(t, apitest.InstanceSpec{At: day(4), Party: apitest.OlaParty, Labels: []string{"gr"}}),
		skds:      api.Add(t, apitest.InstanceSpec{At: day(5), App: apitest.SkdApp, Labels: []string{"gr", "x2"}}),
	}
}

func TestFilters(t *testing.T) {
	api := newAPI(t)
	x := add(t, api)
	deleted := api.Add(t, apitest.InstanceSpec{At: may, Labels: []string{"gr"}})
	api.Change(t, deleted, func(i *instance.Instance) error { i.Status.IsSoftDeleted = true; return nil })
	withdrawn := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{At: may.AddDate(0, 0, 1).Add(time.Hour), Forms: []string{"default"}, Path: []string{"Submit"}}))
	hardDeleted := api.Add(t, apitest.InstanceSpec{At: may, Labels: []string{"gr"}})
	api.Change(t, hardDeleted, func(i *instance.Instance) error {
		i.Status.IsSoftDeleted, i.Status.IsMarkedForHardDelete = true, true
		return nil
	})
	type found = []*instance.Instance
	for _, test := range []struct {
		who, caller, filter string
		want                found
	}{
		// With any filter, an owner gets only instances of its own applications, and a user only
		// instances of the user's party.
		{"nav", apitest.NavReader, "", found{x.filling, x.submitted, x.archived, x.other, x.olas}},
		{"skd", apitest.Skd, "", found{x.skds}},
		{"kari", apitest.KariReader, "", found{x.filling, x.submitted, x.archived, x.other, x.skds}},
		{"kari by SSN", apitest.KariBySSN, "", found{x.filling, x.submitted, x.archived, x.other, x.skds}},
		{"ola", apitest.Ola, "", found{x.olas}},
		{"newcomer", apitest.Newcomer, "", nil},
		{"nav", apitest.Nav, "org=skd", nil},
		{"nav", apitest.Nav, "appId=skd/app2018", nil},
		{"nav", apitest.Nav, "appId=skd/app2018,nav/other", found{x.other}},
		{"nav", apitest.Nav, "appId=nav/app2018&org=skd", nil},
		{"nav", apitest.Nav, "instanceOwnerId=5000000001", found{x.filling, x.submitted, x.archived, x.other}},
		{"nav", apitest.Nav, "instanceOwnerId=5000000001&appId=skd/app2018", nil},
		{"skd", apitest.Skd, "label=gr", found{x.skds}},
		{"kari", apitest.Kari, "instanceOwnerId=5000000002", nil},
		{"kari", apitest.Kari, "instanceOwnerId=5000000001&org=skd", found{x.skds}},
		{"kari", apitest.Kari, "org=nav&label=gr,x2", found{x.filling, x.other}},
		{"newcomer", apitest.Newcomer, "instanceOwnerId=5000000001", nil},

		{"nav", apitest.Nav, "org=nav&appId=nav%2Fapp2018", found{x.filling, x.submitted, x.archived, x.olas}},
		{"nav", apitest.Nav, "appId=nav/app2018&appId=nav/other", found{x.filling, x.submitted, x.archived, x.other, x.olas}},
		{"nav", apitest.Nav, "appId=nav/none", nil},
		{"nav", apitest.Nav, "label=gr", found{x.filling, x.submitted, x.other, x.olas}},
		{"nav", apitest.Nav, "label=gr,x2", found{x.filling, x.other}},
		{"nav", apitest.Nav, "label=x2&label=gr", found{x.filling, x.other}},
		{"nav", apitest.Nav, "label=gr,x2&label=%C3%B8+%C3%A6", found{x.other}},
		{"nav", apitest.Nav, "label=gr,none", nil},
		{"nav", apitest.Nav, "label=GR", nil},
		{"nav", apitest.Nav, "label=x2&appId=nav/app2018&workflow.currentStep=Archived", found{x.archived}},
		{"nav", apitest.Nav, "workflow.currentStep=Submit", found{x.submitted}},
		{"nav", apitest.Nav, "workflow.currentStep=Nowhere", nil},
		{"nav", apitest.Nav, "workflow.isCompleted=true", found{x.archived}},
		{"nav", apitest.Nav, "status.isArchived=false", found{x.filling, x.submitted, x.other, x.olas}},
		{"nav", apitest.Nav, "status.isSoftDeleted=false&label=gr", found{x.filling, x.submitted, x.other, x.olas}},
		{"nav", apitest.Nav, "status.isSoftDeleted=true", found{deleted, withdrawn}},
		{"kari", apitest.Kari, "status.isSoftDeleted=true", found{deleted, withdrawn}},
		{"nav", apitest.Nav, "downloadConfirmed=false", found{x.submitted, withdrawn, x.archived}},
		{"nav", apitest.Nav, "downloadConfirmed=false&status.isSoftDeleted=false", found{x.submitted, x.archived}},
		{"nav", apitest.Nav, "downloadConfirmed=false&status.isSoftDeleted=true", found{withdrawn}},
		{"nav", apitest.Nav, "downloadConfirmed=false&instanceOwnerId=" + apitest.KariParty, found{x.submitted, x.archived, withdrawn}},
		{"kari", apitest.Kari, "downloadConfirmed=false", found{x.submitted, x.archived}},
		{"kari", apitest.Kari, "downloadConfirmed=false&org=nav", found{x.submitted, x.archived}},
		{"nav", apitest.Nav, "downloadConfirmed=false&label=x2", found{x.archived}},
		{"nav", apitest.Nav, "order=desc", found{x.olas, x.other, x.archived, x.submitted, x.filling}},
		{"kari", apitest.Kari, "order=desc&size=2", found{x.skds, x.other}},
		{"nav", apitest.Nav, "lastChangedDateTime=after(2026-05-03)", found{x.archived, x.other, x.olas}},
		{"nav", apitest.Nav, "lastChangedDateTime=gt:2026-05-04", found{x.olas}},
		{"nav", apitest.Nav, "lastChangedDateTime=gte:2026-05-04&lastChangedDateTime=before(2026-05-05)", found{x.other}},
		{"nav", apitest.Nav, "createdDateTime=between(2026-05-01,2026-05-02T02:00:00%2B02:00)", found{x.filling, x.submitted}},
		{"nav", apitest.Nav, "dueDateTime=lte:2026-06-01", found{x.filling}},
		{"nav", apitest.Nav, "visibleDateTime=after(2000-01-01)", nil},
	} {
		t.Run(test.who+" "+test.filter, func(t *testing.T) {
			if got := query(t, api, test.caller, test.filter).ids(); !slices.Equal(got, apitest.IDs(test.want...)) {
				t.Errorf("got %v, want %v", got, apitest.IDs(test.want...))
			}
		})
	}
}

func TestPages(t *testing.T) {
	api := newAPI(t)
	x := add(t, api)
	want := apitest.IDs(x.filling, x.submitted, x.archived, x.other, x.olas)
	for filter, sizes := range map[string][]int{
		"": {5}, "size=1000": {5}, "size=5": {5}, "size=4": {4, 1}, "size=2": {2, 2, 1}, "size=1": {1, 1, 1, 1, 1}, // next only if there are more
		"size=2&createdDateTime=after(2026-04-01)&label=gr,x2": {2}, "size=2&label=gr&order=asc": {2, 2},
		"size=1&dueDateTime=lte:2026-06-01": {1}, "size=2&page=1": {2, 1}, "size=5&page=1": {0},
	} {
		seen, got := []string{}, []int{}
		for at := filter; at != "" || len(got) == 0; {
			p := query(t, api, apitest.Nav, at)
			seen, got = append(seen, p.ids()...), append(got, len(p.ids()))
			if (p.Links.Resume.Href == "") != (p.next() != "") {
				t.Errorf("%q: next %q, resume %q", filter, p.Links.Next.Href, p.Links.Resume.Href)
			}
			if at = p.next(); len(got) > 9 {
				t.Fatalf("%q never ends", filter)
			}
		}
		if !slices.Equal(got, sizes) {
			t.Errorf("%q: pages of %v, want %v", filter, got, sizes)
		}
		if !strings.ContainsAny(filter, "&") && !slices.Equal(seen, want) {
			t.Errorf("%q: %v, want %v", filter, seen, want)
		}
	}
	for at := "order=desc&size=3"; at != ""; {
		p := query(t, api, apitest.Nav, at)
		if at = p.next(); p.Links.Resume.Href != "" {
			t.Error("a descending query has a resume link")
		}
	}
	if got := query(t, api, apitest.Nav, "size=2&page=last").ids(); !slices.Equal(got, want[3:]) {
		t.Errorf("the last page is %v, want %v", got, want[3:])
	}
}

// TestResume checks that the resume link returns exactly the instances that have changed since.
func TestResume(t *testing.T) {
	api := newAPI(t)
	add(t, api)
	_, resume, _ := strings.Cut(query(t, api, apitest.Nav, "label=gr").Links.Resume.Href, "?")
	if got := query(t, api, apitest.Nav, resume); len(got.ids()) != 0 || got.Links.Resume.Href == "" {
		t.Errorf("got %v, resume %s", got.ids(), got.Links.Resume.Href)
	}
	late := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr"}})
	if got := query(t, api, apitest.Nav, resume).ids(); !slices.Equal(got, apitest.IDs(late)) {
		t.Errorf("got %v, want %s", got, late.ID)
	}
}

func TestRejectedParameters(t *testing.T) {
	api := newAPI(t)
	add(t, api)
	const invalid, unknown = "parameter-invalid", "parameter-unknown"
	cursor := func(caller, filter string) string {
		next, err := url.ParseQuery(query(t, api, caller, filter).next())
		if err != nil || next.Get("page") == "" {
			t.Fatalf("%s has no next page", filter)
		}
		return "page=" + next.Get("page")
	}
	navs, karis := cursor(apitest.Nav, "size=1"), cursor(apitest.Kari, "size=1")
	labels := strings.Join(strings.Split("abcdefghijklmnopqrstu", ""), ",")
	for filter, test := range map[string]struct{ name, code string }{
		"appid=nav/app2018": {"appid", unknown}, "labels=gr": {"labels", unknown}, "lastChanged=after(2019-05-01)": {"lastChanged", unknown},
		"size=0": {"size", invalid}, "size=1001": {"size", invalid}, "size=-1": {"size", invalid}, "size=ten": {"size", invalid},
		"size=": {"size", invalid}, "size=01": {"size", invalid}, "size=1&size=1": {"size", invalid},
		"appId=nav": {"appId", invalid}, "appId=": {"appId", invalid}, "appId=nav/app2018,": {"appId", invalid},
		"org=NAV": {"org", invalid}, "org=nav&org=skd": {"org", invalid},
		"instanceOwnerId=kari": {"instanceOwnerId", invalid}, "instanceOwnerId=": {"instanceOwnerId", invalid},
		"workflow.currentStep=": {"workflow.currentStep", invalid}, "workflow.currentStep=A&workflow.currentStep=B": {"workflow.currentStep", invalid},
		"workflow.isCompleted=yes": {"workflow.isCompleted", invalid}, "status.isArchived=": {"status.isArchived", invalid},
		"status.isSoftDeleted=1": {"status.isSoftDeleted", invalid},
		"label=":                 {"label", invalid}, "label=gr,": {"label", invalid}, "label=" + labels: {"label", invalid}, "label=" + strings.Repeat("a", 65): {"label", invalid},
		"lastChangedDateTime=2019-05-01": {"lastChangedDateTime", invalid}, "createdDateTime=after(2019-02-30)": {"createdDateTime", invalid},
		"dueDateTime=between(2019-05-01)": {"dueDateTime", invalid}, "visibleDateTime=gt:2019-05-01T12:00:00": {"visibleDateTime", invalid},
		"downloadConfirmed=true": {"downloadConfirmed", invalid}, "order=ASC": {"order", invalid},
		"page=x": {"page", invalid}, "page=": {"page", invalid}, "page=-1": {"page", invalid}, "page=101": {"page", invalid}, "page=11&size=1000": {"page", invalid},
		navs + "&page=0": {"page", invalid}, navs + "A": {"page", invalid}, navs + "&label=gr": {"page", invalid}, // a cursor for another filter
		navs + "&order=desc": {"page", invalid}, karis: {"page", invalid}, navs + "&instanceOwnerId=5000000001": {"page", invalid},
		"label=%zz": {"", "query-invalid"}, "a;b": {"", "query-invalid"},
	} {
		problem := api.Do(t, apitest.Nav, "GET", path+"?"+filter).Want(400, test.code).Problem()
		if test.name != "" && !strings.Contains(problem.Detail, `"`+test.name+`"`) {
			t.Errorf("%q: the detail does not name %s: %s", filter, test.name, problem.Detail)
		}
	}
	api.Do(t, apitest.Kari, "GET", path+"?"+navs).Want(400, invalid)
}

func TestWhoMayQuery(t *testing.T) {
	api := newAPI(t)
	for caller, code := range map[string]string{apitest.Nobody: "token-missing", apitest.Forged: "token-invalid"} {
		api.Do(t, caller, "GET", path+"?size=x").Want(401, code)
	}
	for _, caller := range []string{apitest.NavWriter, apitest.KariWriter} {
		api.Do(t, caller, "GET", path+"?size=x").Want(403, "scope-missing")
	}
}

func TestMediaTypes(t *testing.T) {
	api := newAPI(t)
	x := add(t, api)
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "application/json": "application/json",
		"application/hal+json": "application/hal+json", "text/html, application/hal+json;q=0.9": "application/hal+json",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := api.Do(t, apitest.Nav, method, path+"?appId=nav/other", apitest.Header("Accept", accept)).Want(200, "")
			if got.Header().Get("Content-Type") != want || got.Header().Get("Vary") != "Accept" {
				t.Errorf("%s Accept %q: %v", method, accept, got.Header())
			}
		}
	}
	one, err := api.View.For(auth.Caller{Org: "nav"}).Render(api.Stored(t, x.other)).AppendJSON(nil) // the complete instance, with its links
	body := api.Do(t, apitest.Nav, "GET", path+"?appId=nav/other").Want(200, "").Body.String()
	if err != nil || !strings.Contains(body, `"_embedded":{"instances":[`+string(one)+`]}`) {
		t.Errorf("%s (%v)", body, err)
	}
	empty := api.Do(t, apitest.Newcomer, "GET", path).Want(200, "").Body.String()
	if !strings.Contains(empty, `"_embedded":{"instances":[]}`) {
		t.Errorf("the empty result is %s", empty)
	}
}

// TestHiddenInstances queries instances that do not exist for users yet. Only owners find them.
func TestHiddenInstances(t *testing.T) {
	api := newAPI(t)
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	shown := api.Add(t, apitest.InstanceSpec{Visible: &past, Labels: []string{"gr"}}).ID
	hidden := api.Add(t, apitest.InstanceSpec{Visible: &future, Labels: []string{"gr"}}).ID
	for _, filter := range []string{"", "label=gr", "appId=" + apitest.App, "workflow.currentStep=FormFilling", "instanceOwnerId=" + apitest.KariParty, "page=last", "org=nav"} {
		for caller, want := range map[string][]string{apitest.Kari: {shown}, apitest.KariBySSN: {shown}, apitest.Nav: {shown, hidden}} {
			got := query(t, api, caller, filter).ids()
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("%q: %v, want %v", filter, got, want)
			}
		}
	}
}

// TestReasonOfHold queries a held instance. Only its owner sees the reason.
func TestReasonOfHold(t *testing.T) {
	api := newAPI(t)
	api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { return i.Hold("Sak 12", nil, "nav", time.Now()) })
	for caller, want := range map[string]string{apitest.Kari: "", apitest.Nav: "Sak 12"} {
		if found := query(t, api, caller, "").Embedded.Instances; len(found) != 1 || found[0].LegalHold == nil || found[0].LegalHold.Reason != want {
			t.Errorf("got %+v, want the reason %q", found, want)
		}
	}
}
