package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/schema"
)

// maxBody is the largest registration, in bytes, as it is sent and as it is stored: what one DynamoDB item holds, less
// its keys.
const maxBody = 380_000

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	Schema(ctx context.Context, id string) (json.RawMessage, error)
	Put(ctx context.Context, app *application.Application) error
}

func handler(tokens instancehttp.Authenticator, applications applicationStore, base httpapi.BaseURLs) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := tokens.Authenticate(r)
		if err != nil {
			return err
		}
		if err := caller.MustBeOwner(); err != nil {
			return err
		}
		if err := caller.MayWrite(); err != nil {
			return err
		}
		org, name := r.PathValue("org"), r.PathValue("app")
		if org != caller.Org {
			return fault.NoSuchResource()
		}
		if !application.ValidID(org, name) {
			return fault.New(fault.Invalid, "application-id-invalid",
				"An org is 2 to 31 and an application 2 to 60 lower-case letters, digits and hyphens, a letter first; some orgs are reserved.")
		}
		if _, err := httpapi.ParseQuery(r); err != nil {
			return err
		}
		app, err := readRegistration(r, org, name)
		if err != nil {
			return err
		}
		status, err := storeApplication(r, applications, app)
		if err != nil {
			return err
		}
		w.Header().Set("ETag", httpapi.VersionTag(app.Version))
		if status == http.StatusCreated {
			w.Header().Set("Location", base.PlatformURL(r, ""))
		}
		return httpapi.WriteJSON(w, status, app)
	})
}

// readRegistration returns the registration in the body. Its id and org, which an owner has from the answer to a GET, may be
// left out; otherwise they are what the path says.
func readRegistration(r *http.Request, org, name string) (*application.Application, error) {
	app := &application.Application{}
	if err := httpapi.DecodeJSON(r, maxBody, app); err != nil {
		return nil, err
	}
	id := org + "/" + name
	if app.ID != "" && app.ID != id || app.Org != "" && app.Org != org {
		return nil, fault.New(fault.Invalid, "application-id-mismatch", "id and org are what the path says, or left out.")
	}
	app.ID, app.Org = id, org
	app.SetDefaults()
	if err := checkSchemas(r.Context(), app); err != nil {
		return nil, err
	}
	if text, err := json.Marshal(app); err != nil || len(text) > maxBody {
		return nil, fault.New(fault.TooLarge, "body-too-large",
			"The registration is over the limit of %d bytes as it is stored, where each of < > & takes six.", maxBody).WithCause(err)
	}
	return app, nil
}

// checkSchemas returns the fault for a registration that breaks rules, those of its schemas included.
func checkSchemas(ctx context.Context, app *application.Application) error {
	var issues []fault.Issue
	if broken := (*fault.Error)(nil); errors.As(app.Validate(), &broken) {
		issues = broken.Issues
	}
	for n, t := range app.DataTypes {
		if len(t.Schema) == 0 || t.Schema[0] != '{' || len(t.Schema) > application.MaxSchemaBytes { // the last two are issues by now
			continue
		}
		broken, err := schema.Check(ctx, t.Schema, fmt.Sprintf("/dataTypes/%d/schema", n))
		if err != nil {
			return err
		}
		issues = append(issues, broken...)
	}
	if len(issues) == 0 {
		return nil
	}
	return application.InvalidRegistration(schema.Limit(issues))
}

// storeApplication puts the registration in place of the one that is there. The same registration again is answered like the
// first time and changes nothing.
func storeApplication(r *http.Request, applications applicationStore, app *application.Application) (status int, err error) {
	for {
		stored, err := applications.Get(r.Context(), app.ID)
		if err != nil {
			return 0, err
		}
		status, app.Version = http.StatusCreated, 0
		etag := ""
		if stored != nil {
			status, app.Version = http.StatusOK, stored.Version
			etag = httpapi.VersionTag(stored.Version)
		}
		if stored == nil && httpapi.HasIfMatch(r) { // "*" included: it asks that there be something
			return 0, fault.New(fault.PreconditionFailed, "version-stale", "The application is not registered yet, and If-Match asks that it be.")
		}
		if err := httpapi.CheckIfMatch(r, etag); err != nil {
			return 0, err
		}
		if stored != nil && httpapi.NotModified(r, etag) { // a write may not happen when If-None-Match names what is there
			return 0, fault.New(fault.PreconditionFailed, "application-exists", "The application is registered already, and If-None-Match asks that it not be.")
		}
		if stored != nil {
			if err := stored.LoadSchemas(r.Context(), applications.Schema); err != nil {
				return 0, err
			}
			if same(stored, app) {
				return status, nil
			}
		}
		if stored != nil && app.IndexShards < stored.IndexShards {
			return 0, fault.New(fault.Conflict, "index-shards-lowered",
				"indexShards is %d and can only be raised: instances in the shards above would no longer be found.", stored.IndexShards)
		}
		if err := app.ValidateReplacement(stored); err != nil {
			return 0, err
		}
		if err := applications.Put(r.Context(), app); !errors.Is(err, application.ErrVersionMismatch) {
			return status, err
		}
	}
}

// same reports whether two registrations say the same. They are compared as they are stored and answered: white space
// in a schema, or an empty list for one left out, is no difference.
func same(a, b *application.Application) bool {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
