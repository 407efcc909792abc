package instancehttp

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/appendjson"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/logging"
)

// queryPage is a page of instances as a HAL document.
type queryPage struct {
	Links    pageLinks     `json:"_links"`
	Embedded pageInstances `json:"_embedded"`
}

type pageLinks struct {
	Self   pageLink  `json:"self"`
	Next   *pageLink `json:"next,omitempty"`   // absent on the last page
	Last   *pageLink `json:"last"`             // the last page, read from the end
	Resume *pageLink `json:"resume,omitempty"` // later changes; only on the last page in ascending order
}

type pageLink struct {
	Href string `json:"href"`
}

type pageInstances struct {
	Instances []*instance.Instance `json:"instances"` // never null
}

// AppendJSON appends the page as httpapi.Marshal would encode it.
func (p queryPage) AppendJSON(b []byte) ([]byte, error) {
	links, err := httpapi.Marshal(p.Links)
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, `{"_links":`...), links...), `,"_embedded":{"instances":[`...)
	for n, i := range p.Embedded.Instances {
		before := len(b)
		if b, err = i.AppendJSON(append(b, appendjson.Separator(n)...)); err != nil {
			return nil, err
		}
		if n == 0 { // the others have a similar length
			b = slices.Grow(b, (len(b)-before)*len(p.Embedded.Instances)*5/4)
		}
	}
	return append(b, "]}}"...), nil
}

// ApplicationStore finds applications; *applicationtable.Table is one.
type ApplicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	List(ctx context.Context, org string) ([]*application.Application, error)
}

// QueryEndpoint serves queries of instances.
type QueryEndpoint struct {
	Authorizer   Authorizer
	Applications ApplicationStore // nil if only QueryOwn is used
	Index        instancequery.Index
	View         View

	appCache appCache
}

// Query responds with a page of the instances that match the filter and that the caller has access
// to.
func (e *QueryEndpoint) Query(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Authorizer.Authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	return e.serve(w, r, caller, instancequery.Parameters(), "")
}

// QueryOwn responds with a page of the instances of the party that the path names, for users of
// that party. Other users get an empty page, as for any query of another party. Application owners
// get Forbidden.
func (e *QueryEndpoint) QueryOwn(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Authorizer.Authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	if caller.IsOwner() {
		return fault.New(fault.Forbidden, "user-only",
			"Only users can list the instances of a party here. As an application owner, use /storage/instances?instanceOwnerId=… instead.")
	}
	parameters := slices.DeleteFunc(instancequery.Parameters(), func(name string) bool {
		return name == instancequery.ParamInstanceOwnerID
	})
	return e.serve(w, r, caller, parameters, r.PathValue("instanceOwnerId"))
}

// serve responds to a query that may have the given parameters. party is the party in the path, or
// "".
func (e *QueryEndpoint) serve(w http.ResponseWriter, r *http.Request, caller auth.Caller, parameters []string, party string) error {
	if err := caller.MayRead(); err != nil {
		return err
	}
	query, err := parseQuery(r, parameters)
	if err != nil {
		return err
	}
	if party != "" {
		query.Filter.InstanceOwnerID = party
	}
	apps, err := e.restrictToCaller(r.Context(), caller, &query)
	if err != nil {
		return err
	}
	return e.render(w, r, query, apps, e.View.For(caller))
}

// parseQuery returns the query that the request's parameters describe. Parameters other than the
// given ones are Invalid.
func parseQuery(r *http.Request, parameters []string) (instancequery.Query, error) {
	var q instancequery.Query
	var err error
	if q.Values, err = httpapi.ParseQuery(r, parameters...); err != nil {
		return q, err
	}
	if q.Filter, err = instancequery.ParseFilter(q.Values); err != nil {
		return q, err
	}
	if q.Size, err = httpapi.PageSize(q.Values); err != nil {
		return q, err
	}
	page, err := httpapi.SingleValue(q.Values, instancequery.ParamPage)
	if err != nil {
		return q, err
	}
	return q, q.SetPage(page)
}

// noParty is an instanceOwnerId that no party has.
const noParty = "0"

// restrictToCaller restricts the query to the instances that the caller has access to, and returns
// the applications that it covers. A filter for another caller's instances matches nothing and is
// not an error.
func (e *QueryEndpoint) restrictToCaller(ctx context.Context, caller auth.Caller, q *instancequery.Query) (appSelector, error) {
	f := &q.Filter
	if !caller.IsOwner() {
		own, found, err := auth.ResolveParty(ctx, caller, e.Authorizer.Parties)
		if err != nil {
			return appSelector{}, err
		}
		if !found || f.InstanceOwnerID != "" && f.InstanceOwnerID != own {
			own = noParty
		}
		f.InstanceOwnerID, f.VisibleAt = own, time.Now()
		if f.IsSoftDeleted == nil { // only its owner's queue has deleted submissions
			f.IsSoftDeleted = new(bool)
		}
		return appSelector{}, nil
	}
	if f.Org != "" && f.Org != caller.Org {
		f.InstanceOwnerID, f.AppIDs = "", nil
		return appSelector{}, nil // no application, so no instance
	}
	f.Org = caller.Org
	if f.InstanceOwnerID != "" {
		return appSelector{}, nil // reads that party's partition and filters by org
	}
	if len(f.AppIDs) == 0 {
		return appSelector{org: caller.Org}, nil
	}
	own := slices.DeleteFunc(slices.Clone(f.AppIDs), func(id string) bool { return !strings.HasPrefix(id, caller.Org+"/") })
	return appSelector{ids: own}, nil
}

// render runs the query over the applications and responds with the page.
func (e *QueryEndpoint) render(w http.ResponseWriter, r *http.Request, q instancequery.Query, apps appSelector, view CallerView) error {
	// The restricted filter identifies the caller by an org or a party.
	q.Scope = r.URL.Path + " " + q.Filter.Org + " " + q.Filter.InstanceOwnerID
	page, err := e.query(r.Context(), q, apps)
	if err != nil {
		return err
	}
	logging.Add(r.Context(), slog.Int("found", len(page.Instances)), slog.Int("examined", page.Examined))
	if len(page.Unreadable) > 0 {
		logging.Add(r.Context(), slog.String("unreadable", errors.Join(page.Unreadable...).Error()))
	}
	response := queryPage{
		Links:    pageLinks{Self: pageLink{e.View.Base.PlatformURL(r, q.Values.Encode())}},
		Embedded: pageInstances{Instances: page.Instances},
	}
	for _, i := range page.Instances {
		view.AddLinks(i)
	}
	linkTo := func(page string) *pageLink {
		if page == "" {
			return nil
		}
		values := maps.Clone(q.Values)
		values.Set(instancequery.ParamPage, page)
		return &pageLink{e.View.Base.PlatformURL(r, values.Encode())}
	}
	response.Links.Next, response.Links.Resume, response.Links.Last = linkTo(page.Next), linkTo(page.Resume), linkTo(instancequery.LastPage)
	w.Header().Set("Vary", "Accept")
	if httpapi.Accepts(r, "application/hal+json") {
		w.Header().Set("Content-Type", "application/hal+json")
	}
	return httpapi.WriteJSON(w, http.StatusOK, response)
}
