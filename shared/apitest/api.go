// Package apitest provides a complete API in memory for the tests of handlers: stores with the
// applications of two owners, callers with tokens, and checks for every endpoint. The tokens pass
// the real verification. The stores are fakes that pass the conformance suites of the real stores.
package apitest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"
	"uuid"

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
	"altinn.no/instanceapi/shared/rfc3339"
)

// The parties of a new API. Kari and Ola have party numbers; the newcomer has none yet.
const (
	KariSSN     = "12247918309"
	OlaSSN      = "20116012345"
	NewcomerSSN = "01017012345"

	KariParty = "5000000001"
	OlaParty  = "5000000002"
)

// The callers, each as an Authorization header; "" sends no header. Kari and Ola are users with the
// user id 1001 and an SSN in their tokens. The tokens of the next three contain only an SSN. The
// last token contains the user id and the party number, but no identity.
var (
	Nobody = ""
	Forged = "Bearer eyJhbGciOiJub25lIn0.eyJ1cm46YWx0aW5uOm9yZyI6Im5hdiJ9."

	Nav       = authtest.Owner("nav") // owns App and Other
	NavReader = authtest.Owner("nav", "altinn:serviceowner/instances.read")
	NavWriter = authtest.Owner("nav", "altinn:serviceowner/instances.write")
	Skd       = authtest.Owner("skd") // owns SkdApp

	Kari       = authtest.User(ssn(KariSSN))
	KariReader = authtest.User(ssn(KariSSN), "altinn:instances.read")
	KariWriter = authtest.User(ssn(KariSSN), "altinn:instances.write")
	Ola        = authtest.User(ssn(OlaSSN))

	KariBySSN = authtest.Person(ssn(KariSSN))
	OlaBySSN  = authtest.Person(ssn(OlaSSN))
	Newcomer  = authtest.Person(ssn(NewcomerSSN))

	KariByNumber = authtest.ByNumber(KariParty)
)

func ssn(value string) party.Identity { return party.Identity{Kind: party.SSN, Value: value} }

// The applications of a new API. App is registered with Registration, the others with all defaults.
const (
	App    = "nav/app2018"
	Other  = "nav/other"
	SkdApp = "skd/app2018"
)

// Registration is the registration of App: one form, as XML or JSON, and any number of attachments
// of any content type.
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

// Content is the content of every data element that Add creates, with the type application/xml.
const Content = "<melding>hei</melding>"

// API holds the stores that handlers use, and the routes to the handlers.
type API struct {
	Authorizer   instancehttp.Authorizer
	View         instancehttp.View
	Applications *applicationtest.Memory
	Parties      *partytest.Memory
	Instances    *instancetest.Memory
	Blobs        *blobtest.Memory
	Malware      instancehttp.MalwareScan // of handlers that a test creates afterwards; the zero value: no scan

	routes *http.ServeMux
}

// New returns an API with the parties and applications above, and no instances or routes.
func New(t *testing.T) *API {
	t.Helper()
	api := &API{
		View:         instancehttp.View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"}},
		Applications: &applicationtest.Memory{}, Parties: &partytest.Memory{}, Instances: &instancetest.Memory{}, Blobs: &blobtest.Memory{},
		routes: http.NewServeMux(),
	}
	api.Authorizer = instancehttp.Authorizer{Authenticator: authtest.Verifier(), Parties: api.Parties}
	if err := errors.Join(api.Parties.Assign(KariParty, ssn(KariSSN)), api.Parties.Assign(OlaParty, ssn(OlaSSN))); err != nil {
		t.Fatal(err)
	}
	api.Register(t, App, Registration)
	api.Register(t, Other, `{}`)
	api.Register(t, SkdApp, `{}`)
	return api
}

// Register registers an application with the given document, or replaces its registration.
func (api *API) Register(t *testing.T, id, document string) {
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
	stored, err := api.Applications.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if stored != nil {
		app.Version = stored.Version
	}
	if err := api.Applications.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

// application returns the registration of an application.
func (api *API) application(t *testing.T, id string) *application.Application {
	t.Helper()
	app, err := api.Applications.Get(t.Context(), id)
	if err != nil || app == nil {
		t.Fatalf("no application %s: %v", id, err)
	}
	return app
}

// Serve adds a route, such as "GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}". As in
// the template, a GET route also serves HEAD.
func (api *API) Serve(route string, h http.Handler) { api.routes.Handle(route, h) }

// InstanceSpec describes an instance for Add. The zero value is an instance of Kari in App, in the
// step FormFilling, without data.
type InstanceSpec struct {
	App, Party string
	Forms      []string // one data element for each formId
	Labels     []string
	Path       []string // the steps after FormFilling; the owner makes the transitions
	At         time.Time
	Due        *time.Time
	Visible    *time.Time
}

// Add stores an instance and the content of its data elements.
func (api *API) Add(t *testing.T, spec InstanceSpec) *instance.Instance {
	t.Helper()
	ctx := t.Context()
	if spec.App == "" {
		spec.App = App
	}
	if spec.Party == "" {
		spec.Party = KariParty
	}
	if spec.At.IsZero() {
		spec.At = time.Now()
	}
	app := api.application(t, spec.App)
	draft := instance.Draft{Application: app, InstanceOwnerID: spec.Party, Labels: spec.Labels, DueDateTime: spec.Due, VisibleDateTime: spec.Visible}
	i, err := instance.New(draft, "1001", spec.At)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range spec.Forms {
		id := uuid.New().String()
		if err := i.AddData(app, id, form, api.Upload(t, i, id, Content), "1001", spec.At); err != nil {
			t.Fatal(err)
		}
	}
	if err := api.Instances.Create(ctx, i, i.StepEvent("", "1001", api.View.Links(i))); err != nil {
		t.Fatal(err)
	}
	for n, step := range spec.Path {
		i = api.transition(t, i, step, spec.At.Add(time.Duration(n+1)*time.Second))
	}
	return i
}

// Upload stores content as a new revision of an existing or future data element of i.
func (api *API) Upload(t *testing.T, i *instance.Instance, elementID, content string) instance.Content {
	t.Helper()
	key := blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID)
	info, err := api.Blobs.Put(t.Context(), key, "application/xml", "", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return instance.Content{ContentType: "application/xml", FileName: "skjema.xml", Size: info.Size, SHA256: info.SHA256, Revision: key.Revision()}
}

// Announce stores an upload of XML content with the formId default, like upload-create. change,
// if not nil, changes the upload first.
func (api *API) Announce(t *testing.T, i *instance.Instance, content string, change func(*instance.Upload)) *instance.Upload {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	u := &instance.Upload{
		ID: instance.NewUploadID(), AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, FormID: "default",
		Content: instance.Content{
			ContentType: "application/xml", FileName: "søknad.xml", Size: int64(len(content)),
			SHA256: hex.EncodeToString(sum[:]), Revision: blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID).Revision(),
		},
		Expires: rfc3339.Time{Time: time.Now().Add(time.Hour)},
	}
	if change != nil {
		change(u)
	}
	if err := api.Instances.AddUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

// Send stores the content of an upload, as a client does with the presigned request.
func (api *API) Send(t *testing.T, u *instance.Upload, content string) {
	t.Helper()
	key := blob.KeyOf(u.AppID, u.InstanceOwnerID, u.InstanceID, u.Content.Revision)
	if _, err := api.Blobs.Put(t.Context(), key, u.Content.ContentType, "", []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// Change changes a stored instance as a concurrent request would, but without an event.
func (api *API) Change(t *testing.T, i *instance.Instance, change func(*instance.Instance) error) *instance.Instance {
	t.Helper()
	changed, err := api.Instances.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		return nil, change(i)
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// Transition moves a stored instance to a step as a concurrent request of the owner would, but
// without an event.
func (api *API) Transition(t *testing.T, i *instance.Instance, step string) *instance.Instance {
	t.Helper()
	return api.transition(t, i, step, time.Now())
}

func (api *API) transition(t *testing.T, i *instance.Instance, step string, now time.Time) *instance.Instance {
	t.Helper()
	app := api.application(t, i.AppID)
	return api.Change(t, i, func(i *instance.Instance) error {
		_, err := i.Transition(app, step, application.Owner, app.Org, now)
		return err
	})
}

// SoftDelete soft-deletes a stored instance as a concurrent request would.
func (api *API) SoftDelete(t *testing.T, i *instance.Instance) *instance.Instance {
	t.Helper()
	return api.Change(t, i, func(i *instance.Instance) error { return i.Delete(application.User, time.Now()) })
}

// HardDelete marks a stored instance for hard deletion as a concurrent request would; no sweep has
// run.
func (api *API) HardDelete(t *testing.T, i *instance.Instance) *instance.Instance {
	t.Helper()
	return api.Change(t, i, func(i *instance.Instance) error { return i.HardDelete(nil, application.Owner, time.Now()) })
}

// Replace replaces the content of a data element of a stored instance as a concurrent request
// would.
func (api *API) Replace(t *testing.T, i *instance.Instance, elementID, content string) *instance.Instance {
	t.Helper()
	app := api.application(t, i.AppID)
	uploaded := api.Upload(t, i, elementID, content)
	return api.Change(t, i, func(i *instance.Instance) error {
		return i.ReplaceData(app, elementID, uploaded, "1001", time.Now())
	})
}

// Stored returns the stored version of an instance.
func (api *API) Stored(t *testing.T, i *instance.Instance) *instance.Instance {
	t.Helper()
	stored, err := api.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// InApp returns the path of an instance on the Application API, followed by rest.
func InApp(i *instance.Instance, rest string) string {
	return "/" + i.AppID + "/instances/" + i.InstanceOwnerID + "/" + i.ID + rest
}

// InStorage returns the path of an instance on the Storage API, followed by rest.
func InStorage(i *instance.Instance, rest string) string {
	return "/storage/instances/" + i.InstanceOwnerID + "/" + i.ID + rest
}

// IDs returns the ids of instances, in order.
func IDs(instances ...*instance.Instance) []string {
	ids := make([]string, 0, len(instances))
	for _, i := range instances {
		ids = append(ids, i.ID)
	}
	return ids
}
