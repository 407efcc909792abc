package instancehttp

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// For any query: an error has a code, and an accepted query matches an instance if and only if each
// of its parameters does. So no parameter disables or widens another. A link with the same
// parameters is the same query.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "appId=nav/app2018&workflow.currentStep=Submit&lastChangedDateTime=after(2019-05-01)&label=gr&order=desc",
		"org=nav&instanceOwnerId=50012&workflow.isCompleted=true&status.isArchived=true&status.isSoftDeleted=false",
		"label=gr,x2&label=x3&downloadConfirmed=false&size=7&page=3", "appId=nav/a1,skd/b2&appId=nav/app2018",
		"createdDateTime=between(2019-01-01,2019-12-31)&dueDateTime=gte:2019-05-01T12:00:00%2B02:00&visibleDateTime=lt:2020-01-01",
		"lastChangedDateTime=gt:2019-05-01T12:00:00+02:00&lastChangedDateTime=lte:2019-06-01", "status.isSoftDeleted=true&page=last",
		"page=AQAAAAAABkRpc2sAAAGTUR5KTH1firU_L1ofbw4AAAAAAAAAAA", "size=1001", "size=0", "label=%ff", "label=%C3%A6", "org=nav&org=nav", "x=1", "%zz",
		"createdDateTime=between(2027-01-01,2026-01-01)", "dueDateTime=gt:2026-01-01&dueDateTime=lt:2026-01-01",
		"a;b", "label=a%2Cb", "workflow.currentStep=%23", "dueDateTime=between(0001-01-01,9999-12-31T23:59:59.9999999Z)", "page=-1", "page=10000&size=1000",
	} {
		f.Add(seed)
	}
	samples := instances()
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		q, err := parseQuery(r, instancequery.Parameters())
		if err != nil {
			var appErr *fault.Error
			if !errors.As(err, &appErr) || appErr.Kind != fault.Invalid || appErr.Code == "" || appErr.Detail == "" || len(appErr.Detail) > 700 {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if q.Size < 1 || q.Size > 1000 {
			t.Errorf("%q: size %d", query, q.Size)
		}
		again, err := parseQuery(&http.Request{URL: &url.URL{RawQuery: q.Values.Encode()}}, instancequery.Parameters())
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%q is %+v, but its link is %+v (%v)", query, q, again, err)
		}
		for n, i := range samples {
			if got, want := q.Filter.Matches(i), eachMatches(t, q.Values, i); got != want {
				t.Errorf("%q matches instance %d: %v, but each of its parameters: %v", query, n, got, want)
			}
		}
	})
}

// eachMatches reports whether i matches every query that has only one of the values, and the values
// that decide about deleted instances.
func eachMatches(t *testing.T, values url.Values, i *instance.Instance) bool {
	const deleted, confirmed = "status.isSoftDeleted", "downloadConfirmed"
	for name, given := range values {
		for _, value := range given {
			alone := url.Values{name: {value}}
			for _, decisive := range []string{deleted, confirmed} {
				if values.Has(decisive) {
					alone[decisive] = values[decisive]
				}
			}
			if name == "appId" { // values combine with OR
				alone[name] = given
			}
			filter, err := instancequery.ParseFilter(alone)
			if err != nil {
				t.Fatalf("%v is valid, but %v is not: %v", values, alone, err)
			}
			if !filter.Matches(i) {
				return false
			}
		}
	}
	return !i.Status.IsMarkedForHardDelete && (values.Has(deleted) || values.Has(confirmed) || !i.Status.IsSoftDeleted)
}

// instances returns instances of every kind that a filter distinguishes.
func instances() []*instance.Instance {
	var all []*instance.Instance
	for n, at := range []time.Time{
		time.Date(2019, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2019, 5, 1, 10, 0, 0, 1000, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		for m, labels := range [][]string{{}, {"gr"}, {"gr", "x2", "\uFFFD"}} {
			i := &instance.Instance{
				AppID: []string{"nav/app2018", "nav/a1", "skd/b2"}[m], Labels: labels, InstanceOwnerID: []string{"50012", "50013", "1"}[n],
				CreatedDateTime: at, LastChangedDateTime: at.Add(time.Hour), Workflow: instance.Workflow{CurrentStep: []string{"FormFilling", "Submit", "Archived"}[n], IsCompleted: n == 2},
				Status: instance.Status{IsArchived: n == 2, IsSoftDeleted: n == 1 && m == 1, IsMarkedForHardDelete: n == 1 && m == 2},
			}
			if i.Submitted = n > 0; i.Submitted {
				i.Workflow.SubmittedDateTime = &at
			}
			if m > 0 {
				i.DueDateTime, i.Data = &at, []instance.DataElement{{ID: "d"}}
			}
			if m > 1 {
				i.VisibleDateTime = &at
				i.Data[0].ApplicationOwner = &instance.ApplicationOwner{DownloadConfirmed: []time.Time{at}}
			}
			all = append(all, i)
		}
	}
	return all
}
