// Package querycost measures the cost of queries of instances as DynamoDB reports it: read units,
// calls, and sequential calls, for every combination of parameters that the indexes serve. It
// measures requests to the endpoint, over tables whose contents differ only in size.
package querycost

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/party/partytest"
	"altinn.no/instanceapi/tests/local/tables"
)

// PageSize is the number of instances in a measured page.
const PageSize = 100

// Combination is a combination of parameters, and the bounds of the cost of a page.
type Combination struct {
	Name   string
	Query  string // query string of the URL
	Caller string // Authorization header
	Own    bool   // GET /storage/instances/{instanceOwnerId}
	Second bool   // measure the second page

	Units  float64 // read units, including those for the applications
	Rounds int     // sequential calls; the one for cached applications runs in parallel
	From   int     // size of the smallest table in which the page's reads do not reach the end of a range
}

// Combinations returns all measured combinations. The rows of a page of a hundred are about 60 KB,
// which is seven units. A combination may cost more: half a unit for each merged range, the
// buffered rows that remain when the page is full, and the rows that labels or the filter exclude.
// The application costs half a unit and one call. A party's own partition is read consistently, at
// twice the units.
func Combinations() []Combination {
	nav, skd, user := authtest.Owner("nav"), authtest.Owner("skd"), authtest.ByNumber(bigParty)
	app, form, label := "appId="+alpha, "&workflow.currentStep=FormFilling", "&label="+often
	const unconfirmed = "&downloadConfirmed=false"
	since := func(t time.Time) string {
		return url.QueryEscape("between(" + t.Format(time.RFC3339Nano) + ",2027-12-31)")
	}
	return []Combination{
		{Name: "app, step", Query: app + form, Caller: nav, Units: 9, Rounds: 1},
		{Name: "app, step, label", Query: app + form + label, Caller: nav, Units: 9, Rounds: 1},
		{Name: "app, step, label; second page", Query: app + form + label, Caller: nav, Second: true, Units: 9, Rounds: 1},
		{Name: "app, step, label; order=desc", Query: app + form + label + "&order=desc", Caller: nav, Units: 9, Rounds: 1},
		{Name: "app, step, label; page=last", Query: app + form + label + "&page=last", Caller: nav, Units: 9, Rounds: 1},
		{Name: "app, step, lastChangedDateTime", Query: app + form + "&lastChangedDateTime=" + since(createdAt(200).Add(changeAfter)), Caller: nav, Units: 9, Rounds: 1},
		{Name: "app, step, createdDateTime", Query: app + form + "&createdDateTime=" + since(createdAt(40)), Caller: nav, Units: 12, Rounds: 2},
		{Name: "app", Query: app, Caller: nav, Units: 15, Rounds: 2},
		{Name: "app, workflow.isCompleted=false", Query: app + "&workflow.isCompleted=false", Caller: nav, Units: 15, Rounds: 2},
		{Name: "app, label", Query: app + label, Caller: nav, Units: 15, Rounds: 2, From: 10_000},
		{Name: "app, two frequent labels", Query: app + label + "," + half, Caller: nav, Units: 21, Rounds: 3, From: 10_000},
		{Name: "app, frequent and rare label", Query: app + label + "," + rare, Caller: nav, Units: 23, Rounds: 4},
		{Name: "app, rare and frequent label", Query: app + "&label=" + rare + "," + often, Caller: nav, Units: 23, Rounds: 4},
		{Name: "app, a label that no instance has", Query: app + "&label=" + unused, Caller: nav, Units: 2.5, Rounds: 1},
		{Name: "app, step, downloadConfirmed=false", Query: app + "&workflow.currentStep=Submit" + unconfirmed, Caller: nav, Units: 9, Rounds: 1, From: 10_000},
		{Name: "app, downloadConfirmed=false", Query: app + unconfirmed, Caller: nav, Units: 15, Rounds: 2, From: 10_000},
		{Name: "app, label, downloadConfirmed=false", Query: app + label + unconfirmed, Caller: nav, Units: 22, Rounds: 4, From: 10_000},
		{Name: "org", Query: "org=nav", Caller: nav, Units: 16, Rounds: 2},
		{Name: "org; second page", Query: "org=nav", Caller: nav, Second: true, Units: 16, Rounds: 2},
		{Name: "org, step", Query: "org=nav" + form, Caller: nav, Units: 13, Rounds: 2},
		{Name: "org, label", Query: "org=nav" + label, Caller: nav, Units: 16, Rounds: 2, From: 10_000},
		{Name: "org, downloadConfirmed=false", Query: "org=nav" + unconfirmed, Caller: nav, Units: 16, Rounds: 2, From: 10_000},
		{Name: "app on 8 shards, step", Query: "appId=" + wide + form, Caller: skd, Units: 16, Rounds: 2},
		{Name: "app on 8 shards, step, label", Query: "appId=" + wide + form + label, Caller: skd, Units: 16, Rounds: 2, From: 10_000},
		{Name: "app on 8 shards", Query: "appId=" + wide, Caller: skd, Units: 22, Rounds: 3, From: 10_000},
		{Name: "a party's own", Caller: user, Own: true, Units: 15, Rounds: 1},
		{Name: "a party's own, step", Query: "workflow.currentStep=FormFilling", Caller: user, Own: true, Units: 22, Rounds: 3},
		{Name: "a party's, for an application owner", Query: "instanceOwnerId=" + bigParty, Caller: nav, Units: 22, Rounds: 3},
	}
}

// Found returns the number of instances in a page of the combination.
func (c Combination) Found() int {
	if strings.Contains(c.Query, "label="+unused) {
		return 0
	}
	return PageSize
}

// Bench is a loaded table and its endpoint.
type Bench struct {
	meter   Meter
	metered http.Handler // the endpoint over a metering client, which is slower
	plain   http.Handler // the endpoint over a client without a meter

	client                  *dynamodb.Client
	instances, applications string // the tables
}

// New creates the tables for a volume of size instances on a server, loads the volume, and
// returns the endpoint over it. size must be a multiple of 1000.
func New(ctx context.Context, endpoint string, size int) (*Bench, error) {
	v, err := newVolume(size)
	if err != nil {
		return nil, err
	}
	b, err := newBench(ctx, endpoint, fmt.Sprint(size), Apps())
	if err != nil {
		return nil, err
	}
	if err := v.load(ctx, instancetable.New(b.client, b.instances, "")); err != nil {
		return nil, err
	}
	return b, b.prime(ctx)
}

// newBench creates the tables with the suffix of their names, registers the applications, and
// returns the endpoint over the tables.
func newBench(ctx context.Context, endpoint, suffix string, apps []*application.Application) (*Bench, error) {
	client := func(options ...func(*dynamodb.Options)) *dynamodb.Client {
		return tables.Client(endpoint, "eu-north-1", "bench", options...)
	}
	plain := client()
	instances, applications := "Instances"+suffix, "Applications"+suffix
	for logicalID, name := range map[string]string{"Instances": instances, "Applications": applications} {
		if err := tables.Create(ctx, plain, logicalID, name); err != nil {
			return nil, err
		}
	}
	applicationTable := applicationtable.New(plain, applications)
	for _, app := range apps {
		if err := applicationTable.Put(ctx, app); err != nil {
			return nil, err
		}
	}
	b := &Bench{client: plain, instances: instances, applications: applications}
	b.metered = b.endpoint(client(b.meter.Attach))
	b.plain = b.endpoint(plain)
	return b, nil
}

// prime queries every application and org once: only the first query waits for the registrations.
func (b *Bench) prime(ctx context.Context) error {
	for _, app := range Apps() {
		for _, filter := range []string{"appId=" + app.ID, "org=" + app.Org} {
			if _, _, err := b.get(ctx, "/storage/instances?size=1&"+filter, authtest.Owner(app.Org)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Bench) endpoint(client *dynamodb.Client) http.Handler {
	e := &instancehttp.QueryEndpoint{
		Authorizer:   instancehttp.Authorizer{Authenticator: authtest.Verifier(), Parties: &partytest.Memory{}},
		Applications: applicationtable.New(client, b.applications), Index: instancetable.New(client, b.instances, ""),
		View: instancehttp.View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.test", Platform: "https://platform.test"}},
	}
	routes := http.NewServeMux()
	routes.Handle("GET /storage/instances", httpapi.HandlerFunc(e.Query))
	routes.Handle("GET /storage/instances/{instanceOwnerId}", httpapi.HandlerFunc(e.QueryOwn))
	return routes
}

// Page is the content and the cost of a page.
type Page struct {
	Cost
	Found  int  // number of instances
	Ranges int  // number of applications' steps that have one of them
	More   bool // there is a next page
}

// Measure requests a page of a combination.
func (b *Bench) Measure(ctx context.Context, c Combination) (Page, error) {
	address := "/storage/instances"
	if c.Own {
		address += "/" + bigParty
	}
	page, next, err := b.get(ctx, address+"?"+c.Query+fmt.Sprint("&size=", PageSize), c.Caller)
	if err != nil || !c.Second {
		return page, err
	}
	u, err := url.Parse(next)
	if err != nil || next == "" {
		return page, fmt.Errorf("no second page: %q, %w", next, err)
	}
	page, _, err = b.get(ctx, u.RequestURI(), c.Caller)
	return page, err
}

func (b *Bench) get(ctx context.Context, address, caller string) (page Page, next string, err error) {
	b.meter.Take()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	r.Header.Set("Authorization", caller)
	b.metered.ServeHTTP(w, r)
	var response struct {
		Links struct {
			Next struct {
				Href string `json:"href"`
			} `json:"next"`
		} `json:"_links"`
		Embedded struct {
			Instances []struct {
				AppID    string `json:"appId"`
				Workflow struct {
					CurrentStep string `json:"currentStep"`
				} `json:"workflow"`
			} `json:"instances"`
		} `json:"_embedded"`
	}
	if w.Code != http.StatusOK {
		return page, "", fmt.Errorf("%s: %d %s", address, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &response); err != nil {
		return page, "", err
	}
	ranges := map[any]bool{}
	for _, i := range response.Embedded.Instances {
		ranges[i] = true
	}
	next = response.Links.Next.Href
	return Page{Cost: b.meter.Take(), Found: len(response.Embedded.Instances), Ranges: len(ranges), More: next != ""}, next, nil
}
