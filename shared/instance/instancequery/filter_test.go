package instancequery

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/merge"
)

func TestParseFilter(t *testing.T) {
	yes, no := true, false
	for query, want := range map[string]Filter{
		"":                                 {IsSoftDeleted: &no},
		"appId=nav/app2018":                {AppIDs: []string{"nav/app2018"}, IsSoftDeleted: &no},
		"appId=nav/a1,nav/b2&appId=nav/a1": {AppIDs: []string{"nav/a1", "nav/b2"}, IsSoftDeleted: &no},
		"org=nav":                          {Org: "nav", IsSoftDeleted: &no},
		"instanceOwnerId=50012":            {InstanceOwnerID: "50012", IsSoftDeleted: &no},
		"workflow.currentStep=Submit":      {Step: "Submit", IsSoftDeleted: &no},
		"workflow.isCompleted=true&status.isArchived=false":  {IsCompleted: &yes, IsArchived: &no, IsSoftDeleted: &no},
		"status.isSoftDeleted=true":                          {IsSoftDeleted: &yes},
		"status.isSoftDeleted=false":                         {IsSoftDeleted: &no},
		"status.readStatus=Unread":                           {IsSoftDeleted: &no, ReadStatus: instance.Unread},
		"label=gr":                                           {Labels: []string{"gr"}, IsSoftDeleted: &no},
		"label=gr,x2":                                        {Labels: []string{"gr", "x2"}, IsSoftDeleted: &no},
		"label=gr&label=x2,gr":                               {Labels: []string{"gr", "x2"}, IsSoftDeleted: &no},
		"label=gr,%20x2":                                     {Labels: []string{"gr", "x2"}, IsSoftDeleted: &no},
		"label=%20gr%20,gr":                                  {Labels: []string{"gr"}, IsSoftDeleted: &no},
		"label=12%C2%A0500":                                  {Labels: []string{"12\u00a0500"}, IsSoftDeleted: &no},
		"appId=nav/a1,+nav/b2":                               {AppIDs: []string{"nav/a1", "nav/b2"}, IsSoftDeleted: &no},
		"label=%C3%A6%20%231":                                {Labels: []string{"æ #1"}, IsSoftDeleted: &no},
		"downloadConfirmed=false":                            {Unconfirmed: true},
		"downloadConfirmed=false&status.isSoftDeleted=false": {Unconfirmed: true, IsSoftDeleted: &no},
		"order=asc":                                          {IsSoftDeleted: &no},
		"order=desc":                                         {Order: merge.Descending, IsSoftDeleted: &no},
		"size=7&page=x":                                      {IsSoftDeleted: &no}, // not part of the filter
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseFilter(values); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", query, got, err, want)
		}
	}
}

func TestInvalidFilters(t *testing.T) {
	many := make([]string, instance.MaxLabels+1)
	for n := range many {
		many[n] = fmt.Sprint("l", n)
	}
	for name, values := range map[string][]string{ // invalid values; | separates repetitions of the parameter
		"appId": {"", "app2018", "nav/", "/app", "nav/app/x", "NAV/app", "nav/app2018,", "nav/app2018,,nav/b2", "storage/app", "nav app", "*", "nav/*",
			"nav/app2018|", "nav/" + strings.Repeat("a", 61)},
		"org":                  {"", "NAV", "n", "nav|nav", "nav|skd", "nav,skd", "storage", "12345678901"},
		"instanceOwnerId":      {"", "0", "012", "-1", "50012|50012", "50012,50013", "12247918309x", "1234567890123456", "٥", " 50012"},
		"workflow.currentStep": {"", "Submit|Submit", "Submit|Archived"},
		"workflow.isCompleted": {"", "True", "1", "yes", "true|true", "true|false", "null"},
		"status.isArchived":    {"", "TRUE", "0", "true|false"},
		"status.isSoftDeleted": {"", "t", "false|false"},
		"status.readStatus":    {"", "read", "Read|Read", "Read,Unread", "New"},
		"label": {"", " ", "gr, ,x2", "a\u202eb", ",", "gr,", ",gr", "gr||x2", "a\x00b", "a\nb", strings.Repeat("x", 65), strings.Join(many, ","), strings.Join(many, "|"),
			strings.Repeat("æ", 65)},
		"lastChangedDateTime": {"", "2026-05-01", "gt:2026-05-01|eq:2026-05-01"},
		"createdDateTime":     {"", "2026-05-01", "between(2027-01-01,2026-01-01)", "gt:2026-05-01|lt:2026-05-01"},
		"dueDateTime":         {"", "2026-05-01"},
		"visibleDateTime":     {"", "2026-05-01"},
		"downloadConfirmed":   {"", "true", "False", "nav", "false|false"},
		"order":               {"", "ASC", "ascending", "desc:lastChanged", "asc|desc", "asc|asc"},
	} {
		for _, value := range values {
			given := url.Values{name: strings.Split(value, "|")}
			_, err := ParseFilter(given)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"`+name+`"`) {
				t.Errorf("%v: %v, want an Invalid fault that names the parameter", given, err)
				continue
			}
			// Other parameters must not make the filter valid: the query would return too much.
			given["order"] = append(given["order"], "desc")
			given["size"] = []string{"10"}
			if _, err := ParseFilter(given); err == nil {
				t.Errorf("%v is accepted", given)
			}
			if len(value) > 8 && !strings.HasPrefix(value, "2026") && strings.Contains(err.Error(), value) {
				t.Errorf("%s: the error repeats the value: %v", name, err)
			}
		}
	}
}

// TestHiddenLabels filters by a label that users do not see.
func TestHiddenLabels(t *testing.T) {
	i := &instance.Instance{AppID: "nav/app2018", Labels: []string{"gr"}, LabelsHidden: true}
	for query, want := range map[string]bool{"label=gr": false, "": true} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFilter(values)
		if err != nil || !f.Matches(i) {
			t.Errorf("%q does not match for the owner: %v", query, err)
		}
		if f.VisibleAt = time.Now(); f.Matches(i) != want {
			t.Errorf("%q matches for a user: %v, want %v", query, !want, want)
		}
	}
}

// TestChangesThatUsersDoNotSee filters by the time of a change that users do not see, and by the
// time of the last change that they see.
func TestChangesThatUsersDoNotSee(t *testing.T) {
	seen := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	i := &instance.Instance{AppID: "nav/app2018", LastChangedDateTime: seen.Add(time.Hour), SeenChange: &instance.Change{At: seen}}
	for query, byOwner := range map[string]bool{"after(2026-05-02)": true, "lte:2026-05-02": false} {
		f, err := ParseFilter(url.Values{"lastChangedDateTime": {query}})
		if err != nil || f.Matches(i) != byOwner {
			t.Errorf("%s matches for the owner: %v, want %v (%v)", query, !byOwner, byOwner, err)
		}
		if f.VisibleAt = time.Now(); f.Matches(i) == byOwner {
			t.Errorf("%s matches for a user: %v, want %v", query, byOwner, !byOwner)
		}
	}
}

// TestEveryParameterExcludes checks that each filter excludes an instance that it does not match.
func TestEveryParameterExcludes(t *testing.T) {
	day := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	i := &instance.Instance{
		AppID: "nav/app2018", InstanceOwnerID: "50012", Labels: []string{"gr", "x2"}, Data: []instance.DataElement{{ID: "d"}},
		Workflow: instance.Workflow{CurrentStep: "Submit", SubmittedDateTime: &day}, Submitted: true, Status: instance.Status{ReadStatus: instance.Read},
		LastChangedDateTime: day, CreatedDateTime: day, DueDateTime: &day, VisibleDateTime: &day,
	}
	tested := []string{ParamPage, ParamSize, paramOrder}
	for _, test := range []struct{ name, matching, other string }{
		{paramAppID, "skd/app,nav/app2018", "nav/app2019"},
		{paramOrg, "nav", "skd"},
		{ParamInstanceOwnerID, "50012", "50013"},
		{paramCurrentStep, "Submit", "submit"},
		{paramIsCompleted, "false", "true"},
		{paramIsArchived, "false", "true"},
		{paramIsSoftDeleted, "false", "true"},
		{paramReadStatus, "Read", "UpdatedSinceLastReview"},
		{paramLabel, "gr,x2", "gr,x3"},
		{paramLabel, "gr", "GR"},
		{paramLastChanged, "gt:2026-05-01", "lt:2026-05-01"},
		{paramCreated, "gte:2026-05-02", "gt:2026-05-02"},
		{paramDue, "lte:2026-05-02", "lt:2026-05-02"},
		{paramVisible, "between(2026-05-01,2026-05-03)", "between(2026-05-03,2026-05-04)"},
		{paramDownloadConfirmed, "false", ""},
	} {
		tested = append(tested, test.name)
		for value, want := range map[string]bool{test.matching: true, test.other: false} {
			if value == "" {
				continue
			}
			f, err := ParseFilter(url.Values{test.name: {value}})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Matches(i); got != want {
				t.Errorf("%s=%s matches: %v, want %v", test.name, value, got, want)
			}
		}
	}
	for _, name := range Parameters() {
		if !slices.Contains(tested, name) {
			t.Errorf("no test shows that %s has an effect", name)
		}
	}

	unconfirmed := Filter{Unconfirmed: true}
	i.Data[0].ApplicationOwner = &instance.ApplicationOwner{DownloadConfirmed: []time.Time{day}}
	if unconfirmed.Matches(i) {
		t.Error("downloadConfirmed=false matches a confirmed instance")
	}
	i.Data[0].ApplicationOwner, i.Submitted = nil, false
	if unconfirmed.Matches(i) {
		t.Error("downloadConfirmed=false matches an instance that was sent back")
	}
	i.Submitted, i.DueDateTime = true, nil
	if due := (Filter{Due: TimeRange{To: day}}); due.Matches(i) {
		t.Error("dueDateTime matches an instance without one")
	}
	for name, status := range map[string]instance.Status{
		"soft-deleted": {IsSoftDeleted: true}, "hard-deleted": {IsMarkedForHardDelete: true}, "both": {IsSoftDeleted: true, IsMarkedForHardDelete: true},
	} {
		i.Status = status
		for query, want := range map[string]bool{
			"": false, "status.isSoftDeleted=false": false, "status.isSoftDeleted=true": name == "soft-deleted",
			"downloadConfirmed=false": name == "soft-deleted", "downloadConfirmed=false&status.isSoftDeleted=false": false,
			"downloadConfirmed=false&status.isSoftDeleted=true": name == "soft-deleted",
		} {
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			f, err := ParseFilter(values)
			if got := f.Matches(i); err != nil || got != want {
				t.Errorf("%s, %q: %v, want %v (%v)", name, query, got, want, err)
			}
		}
	}
}
