// Package apitest provides, for the tests of the functions, all that is behind and before their handlers: a site in
// memory with two owners' applications, the callers who come to its door, and checks that hold for every endpoint. It
// decides nothing itself: tokens go through the real verification, and the stores are the fakes that pass the real
// ones' conformance suites.
package apitest

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtest"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/party/partytest"
)

// The parties that a new site knows: Kari and Ola have reported before, the newcomer never has.
const (
	KariSSN     = "12247918309"
	OlaSSN      = "20116012345"
	NewcomerSSN = "01017012345"

	KariParty = "50001"
	OlaParty  = "50002"
)

// The callers, each as an Authorization header; Nobody sends none. Kari and Ola are users with the user id 1001 and
// the party that their tokens name; the others after them are known by their SSN alone.
var (
	Nobody = ""
	Forged = "Bearer eyJhbGciOiJub25lIn0.eyJ1cm46YWx0aW5uOm9yZyI6Im5hdiJ9."

	Nav       = authtest.Owner("nav") // owns App and Other
	NavReader = authtest.Owner("nav", "altinn:serviceowner/instances.read")
	NavWriter = authtest.Owner("nav", "altinn:serviceowner/instances.write")
	Skd       = authtest.Owner("skd") // owns SkdApp

	Kari       = authtest.User(KariParty)
	KariReader = authtest.User(KariParty, "altinn:instances.read")
	KariWriter = authtest.User(KariParty, "altinn:instances.write")
	Ola        = authtest.User(OlaParty)

	KariBySSN = authtest.Person(party.Identity{Kind: party.SSN, Value: KariSSN})
	OlaBySSN  = authtest.Person(party.Identity{Kind: party.SSN, Value: OlaSSN})
	Newcomer  = authtest.Person(party.Identity{Kind: party.SSN, Value: NewcomerSSN})
)

// The applications that a new site has. App is registered with Registration, the others with it and no data types.
const (
	App    = "nav/app2018"
	Other  = "nav/other"
	SkdApp = "skd/app2018"
)

// Registration is the body of a PUT of App: one form, as XML or JSON, and any number of attachments of any type.
const Registration = `{ "title": {"nb": "Melding"},
  "dataTypes": [ {"formId": "default", "allowedContentTypes": ["application/xml", "application/json"], "maxSize": 1000000,
                  "minCount": 1, "maxCount": 1, "schema": {"type": "object"}},
                 {"formId": "attachment", "allowedContentTypes": ["*/*"], "minCount": 0, "maxCount": 0} ],
  "workflow": { "steps": [ {"name": "FormFilling", "validateOnExit": true},
                           {"name": "Submit", "locksData": true},
                           {"name": "Archived", "completes": true, "archives": true} ],
                "transitions": [ {"from": "FormFilling", "to": "Submit", "by": ["user", "owner"]},
                                 {"from": "Submit", "to": "Archived", "by": ["user", "owner"]},
                                 {"from": "Submit", "to": "FormFilling", "by": ["owner"]} ] },
  "checkIdentityNumbers": false, "indexShards": 1 }`

// Content is the bytes of every data element that Add makes; their type is application/xml.
const Content = "<melding>hei</melding>"

// API is the stores that handlers work on, and the routes to the handlers.
type API struct {
	Authorizer   instancehttp.Authorizer
	View         instancehttp.View
	Applications *applicationtest.Memory
	Parties      *partytest.Memory
	Instances    *instancetest.Memory
	Blobs        *blobtest.Memory

	routes *http.ServeMux
}

// New returns a site with the parties and applications above, and no instances or routes.
func New(t *testing.T) *API {
	t.Helper()
	s := &API{
		View:         instancehttp.View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"}},
		Applications: &applicationtest.Memory{}, Parties: &partytest.Memory{}, Instances: &instancetest.Memory{}, Blobs: &blobtest.Memory{},
		routes: http.NewServeMux(),
	}
	s.Authorizer = instancehttp.Authorizer{Authenticator: authtest.Verifier(), Parties: s.Parties}
	s.assign(t, KariSSN, KariParty)
	s.assign(t, OlaSSN, OlaParty)
	s.Register(t, App, Registration)
	s.Register(t, Other, `{}`)
	s.Register(t, SkdApp, `{}`)
	return s
}

func (s *API) assign(t *testing.T, ssn, want string) {
	t.Helper()
	got, err := s.Parties.FindOrAssign(t.Context(), party.Identity{Kind: party.SSN, Value: ssn})
	if err != nil || got != want {
		t.Fatalf("the party has the number %s (%v), want %s", got, err, want)
	}
}

// Register registers an application with the document given.
func (s *API) Register(t *testing.T, id, document string) {
	t.Helper()
	app := &application.Application{}
	if err := json.Unmarshal([]byte(document), app); err != nil {
		t.Fatal(err)
	}
	app.ID = id
	app.Org, _, _ = application.SplitID(id)
	app.SetDefaults()
	if err := app.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := s.Applications.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

// Serve adds a route, such as "GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}"; as in the template, GET
// is HEAD too.
func (s *API) Serve(route string, h http.Handler) { s.routes.Handle(route, h) }

// InstanceSpec is an instance to be added. Its zero value is one of Kari's in App, in FormFilling, without data.
type InstanceSpec struct {
	App, Party string
	Forms      []string // a data element of each formId
	Labels     []string
	Path       []string // the steps that it is moved through from FormFilling, by the owner
	At         time.Time
	Due        *time.Time
}

// Add stores the instance, and the bytes of its data elements.
func (s *API) Add(t *testing.T, report InstanceSpec) *instance.Instance {
	t.Helper()
	ctx := t.Context()
	if report.App == "" {
		report.App = App
	}
	if report.Party == "" {
		report.Party = KariParty
	}
	if report.At.IsZero() {
		report.At = time.Now()
	}
	app, err := s.Applications.Get(ctx, report.App)
	if err != nil || app == nil {
		t.Fatalf("no application %s: %v", report.App, err)
	}
	draft := instance.Draft{Application: app, InstanceOwnerID: report.Party, Labels: report.Labels, DueDateTime: report.Due}
	i, err := instance.New(draft, "1001", report.At)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range report.Forms {
		id := uuid.NewString()
		if err := i.AddData(app, id, form, s.Upload(t, i, id, Content), "1001", report.At); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Instances.Create(ctx, i, i.StepEvent("", "1001", s.View.Links(i))); err != nil {
		t.Fatal(err)
	}
	for n, step := range report.Path {
		i = s.Change(t, i, func(i *instance.Instance) error {
			_, err := i.Transition(app, step, application.Owner, app.Org, report.At.Add(time.Duration(n+1)*time.Second))
			return err
		})
	}
	return i
}

// Upload stores bytes as a new revision of a data element that is, or will be, in i.
func (s *API) Upload(t *testing.T, i *instance.Instance, elementID, content string) instance.Content {
	t.Helper()
	key := blob.NewKey(i.AppID, i.ID, elementID)
	info, err := s.Blobs.Put(t.Context(), key, "application/xml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return instance.Content{ContentType: "application/xml", FileName: "skjema.xml", Size: info.Size, SHA256: info.SHA256, Revision: key.Revision()}
}

// Change changes a stored instance without its event, as another request would.
func (s *API) Change(t *testing.T, i *instance.Instance, change func(*instance.Instance) error) *instance.Instance {
	t.Helper()
	changed, err := s.Instances.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) (*event.Event, error) {
		return nil, change(i)
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// Replace gives a data element of a stored instance new bytes, as another request would.
func (s *API) Replace(t *testing.T, i *instance.Instance, elementID, content string) *instance.Instance {
	t.Helper()
	app, err := s.Applications.Get(t.Context(), i.AppID)
	if err != nil {
		t.Fatal(err)
	}
	bytes := s.Upload(t, i, elementID, content)
	return s.Change(t, i, func(i *instance.Instance) error {
		return i.ReplaceData(app, elementID, bytes, "1001", time.Now())
	})
}

// Stored returns an instance as it is now.
func (s *API) Stored(t *testing.T, i *instance.Instance) *instance.Instance {
	t.Helper()
	stored, err := s.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// InApp returns the path of an instance on the Application API, with what follows it.
func InApp(i *instance.Instance, rest string) string {
	return "/" + i.AppID + "/instances/" + i.InstanceOwnerID + "/" + i.ID + rest
}

// InStorage returns the path of an instance on the Storage API, with what follows it.
func InStorage(i *instance.Instance, rest string) string {
	return "/storage/instances/" + i.InstanceOwnerID + "/" + i.ID + rest
}

// IDs returns the ids of instances, in their order.
func IDs(instances ...*instance.Instance) []string {
	ids := make([]string, 0, len(instances))
	for _, i := range instances {
		ids = append(ids, i.ID)
	}
	return ids
}
