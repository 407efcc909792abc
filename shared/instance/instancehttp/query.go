package instancehttp

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/appendjson"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/logging"
)

// render is a page in the form of HAL, as the proposal has it.
type queryPage struct {
	Links    pageLinks     `json:"_links"`
	Embedded pageInstances `json:"_embedded"`
}

type pageLinks struct {
	Self   pageLink  `json:"self"`
	Next   *pageLink `json:"next,omitempty"`   // if and only if there is more
	Last   *pageLink `json:"last"`             // the last page, read from the other end
	Resume *pageLink `json:"resume,omitempty"` // on the last page in ascending order: what changes from now on
}

type pageLink struct {
	Href string `json:"href"`
}

type pageInstances struct {
	Instances []*instance.Instance `json:"instances"` // never null
}

// AppendJSON appends the page as httpapi.Marshal would write it.
func (a queryPage) AppendJSON(b []byte) ([]byte, error) {
	links, err := httpapi.Marshal(a.Links)
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, `{"_links":`...), links...), `,"_embedded":{"instances":[`...)
	for n, i := range a.Embedded.Instances {
		before := len(b)
		if b, err = i.AppendJSON(append(b, appendjson.Separator(n)...)); err != nil {
			return nil, err
		}
		if n == 0 { // the others are about as long
			b = slices.Grow(b, (len(b)-before)*len(a.Embedded.Instances)*5/4)
		}
	}
	return append(b, "]}}"...), nil
}

// ApplicationStore finds applications; *applicationtable.Table is one.
type ApplicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	List(ctx context.Context, org string) ([]*application.Application, error)
}

// QueryEndpoint is what a query needs.
type QueryEndpoint struct {
	Authorizer   Authorizer
	Applications ApplicationStore // nil where only a party's own instances are asked for
	Index        instancequery.Index
	View         View

	appCache appCache
}

// Query answers a request with the instances of the caller's that the filter holds for.
func (e *QueryEndpoint) Query(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Authorizer.Authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	return e.serve(w, r, caller, instancequery.Parameters(), "")
}

// QueryOwn answers a request that names a party in its path, for the users of that party. For others the answer is
// empty, as any query for what is another's.
func (e *QueryEndpoint) QueryOwn(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Authorizer.Authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	if caller.IsOwner() {
		return fault.New(fault.Forbidden, "user-only",
			"Only users can list a party here. As an application owner, ask for /storage/instances?instanceOwnerId=… instead.")
	}
	parameters := slices.DeleteFunc(instancequery.Parameters(), func(name string) bool {
		return name == instancequery.ParamInstanceOwnerID
	})
	return e.serve(w, r, caller, parameters, r.PathValue("instanceOwnerId"))
}

// serve answers a query with the parameters named; party is the one that the path names, or "".
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
	return e.render(w, r, query, apps)
}

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

// noParty is an instanceOwnerId that is never assigned.
const noParty = "0"

// restrictToCaller narrows the query to what the caller may see, and returns where in the register its applications are. A filter for what
// is another's finds nothing, and is no error.
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
		f.InstanceOwnerID = own
		return appSelector{}, nil
	}
	if f.Org != "" && f.Org != caller.Org {
		f.InstanceOwnerID, f.AppIDs = "", nil
		return appSelector{}, nil // no applications to look at
	}
	f.Org = caller.Org
	if f.InstanceOwnerID != "" {
		return appSelector{}, nil // that party's partition is read, and what is not the org's left out
	}
	if len(f.AppIDs) == 0 {
		return appSelector{org: caller.Org}, nil
	}
	own := slices.DeleteFunc(slices.Clone(f.AppIDs), func(id string) bool { return !strings.HasPrefix(id, caller.Org+"/") })
	return appSelector{ids: own}, nil
}

func (e *QueryEndpoint) render(w http.ResponseWriter, r *http.Request, q instancequery.Query, apps appSelector) error {
	// Narrowed, the filter says who the caller is: an org, or a party.
	q.Scope = r.URL.Path + " " + q.Filter.Org + " " + q.Filter.InstanceOwnerID
	page, err := e.query(r.Context(), q, apps)
	if err != nil {
		return err
	}
	logging.Add(r.Context(), slog.Int("found", len(page.Instances)), slog.Int("examined", page.Examined))
	if len(page.Unreadable) > 0 {
		logging.Add(r.Context(), slog.String("damaged", errors.Join(page.Unreadable...).Error()))
	}
	a := queryPage{
		Links:    pageLinks{Self: pageLink{e.View.Base.PlatformURL(r, q.Values.Encode())}},
		Embedded: pageInstances{Instances: page.Instances},
	}
	for _, i := range page.Instances {
		e.View.AddLinks(i)
	}
	to := func(page string) *pageLink {
		if page == "" {
			return nil
		}
		values := maps.Clone(q.Values)
		values.Set(instancequery.ParamPage, page)
		return &pageLink{e.View.Base.PlatformURL(r, values.Encode())}
	}
	a.Links.Next, a.Links.Resume, a.Links.Last = to(page.Next), to(page.Resume), to(instancequery.LastPage)
	w.Header().Set("Vary", "Accept")
	if httpapi.Accepts(r, "application/hal+json") {
		w.Header().Set("Content-Type", "application/hal+json")
	}
	return httpapi.WriteJSON(w, http.StatusOK, a)
}
