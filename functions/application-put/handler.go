package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/xsd"
)

// Limits of a registration in bytes.
const (
	maxBody   = blob.InlineLimit // as sent
	maxStored = 380_000          // without its schemas; leaves room for the keys within DynamoDB's limit of 400 KB per item
	maxShown  = 5_000_000        // as a response, in which Lambda escapes quotes and line breaks; Lambda's limit is 6 MB
)

// checkFor is the time after which checkSchemas starts no other compilation. A compilation takes at
// most five seconds.
const checkFor = 8 * time.Second

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	Schema(ctx context.Context, id string) (json.RawMessage, error)
	Put(ctx context.Context, app *application.Application) error
}

// backfills schedules agenda notes for existing instances; *instancetable.Table is one.
type backfills interface {
	PutBackfill(ctx context.Context, appID string, now time.Time) error
}

func handler(authenticator instancehttp.Authenticator, applications applicationStore, instances backfills, base httpapi.BaseURLs) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := authenticator.Authenticate(r)
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
				"The org must have 2 to 31 characters, and the application 2 to 60: lower-case letters, digits and hyphens, starting with a letter. Some orgs are reserved.")
		}
		if _, err := httpapi.ParseQuery(r); err != nil {
			return err
		}
		app, err := readRegistration(r, org, name)
		if err != nil {
			return err
		}
		status, err := storeApplication(r, applications, instances, app)
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

// registration is the body of a request. It distinguishes an absent member, which gets its default,
// from a zero value, which must be valid. A null is an absent member.
type registration struct {
	application.Application
	ID          *string               `json:"id"`
	Org         *string               `json:"org"`
	Workflow    *application.Workflow `json:"workflow"`
	IndexShards *int                  `json:"indexShards"`
}

// readRegistration returns the registration in the body. Its id and org are optional, because a
// response to GET contains them; if present, they must match the path.
func readRegistration(r *http.Request, org, name string) (*application.Application, error) {
	var body registration
	if err := httpapi.DecodeJSON(r, maxBody, &body); err != nil {
		return nil, err
	}
	id := org + "/" + name
	if body.ID != nil && *body.ID != id || body.Org != nil && *body.Org != org {
		return nil, fault.New(fault.Invalid, "application-id-mismatch", "id and org must match the path, or be absent.")
	}
	app := &body.Application
	app.ID, app.Org = id, org
	app.SetDefaults()
	if body.Workflow != nil {
		app.Workflow.Steps = body.Workflow.Steps
		app.Workflow.Transitions = append([]application.Transition{}, body.Workflow.Transitions...)
	}
	if body.IndexShards != nil {
		app.IndexShards = *body.IndexShards
	}
	if err := checkSchemas(r.Context(), app); err != nil {
		return nil, err
	}
	return app, checkSize(app)
}

// checkSize returns a TooLarge fault if the registration cannot be stored or sent in a response.
func checkSize(app *application.Application) error {
	bare, _, err := app.WithoutSchemas()
	if err != nil {
		return err
	}
	if text, err := json.Marshal(bare); err != nil || len(text) > maxStored {
		return fault.New(fault.TooLarge, "body-too-large",
			"The stored registration without its schemas exceeds the limit of %d bytes. Each of < > & is stored as six bytes.", maxStored).WithCause(err)
	}
	text, err := httpapi.Marshal(app)
	if err != nil {
		return err
	}
	if len(text)+bytes.Count(text, []byte(`"`))+bytes.Count(text, []byte(`\`)) > maxShown {
		return fault.New(fault.TooLarge, "body-too-large", "The registration is too large for a response. Register smaller schemas, or an application with fewer of them.")
	}
	return nil
}

// checkSchemas returns an Invalid fault if the registration or one of its schemas breaks a rule.
func checkSchemas(ctx context.Context, app *application.Application) error {
	var issues []fault.Issue
	if invalid := (*fault.Error)(nil); errors.As(app.Validate(), &invalid) {
		issues = invalid.Issues
	}
	if d := app.Deadline; d != nil && d.Label != "" {
		if _, err := instance.CheckLabels([]string{d.Label}); err != nil {
			issues = append(issues, fault.Issue{
				Severity: fault.SeverityError, Code: "InvalidRegistration", Field: "/deadline/label",
				Description: fmt.Sprintf("must be a label: 1 to %d characters of text without a comma and without white space or an invisible character at its ends", instance.MaxLabelLength),
			})
		}
	}
	start := time.Now()
	for n, t := range app.DataTypes {
		if time.Since(start) > checkFor {
			issues = append(issues, fault.Issue{Severity: fault.SeverityError, Code: schema.CodeRegistration, Field: "/dataTypes",
				Description: "has schemas that take too long to compile; simplify them"})
			break
		}
		at := fmt.Sprintf("/dataTypes/%d", n)
		if len(t.Schema) > 0 && t.Schema[0] == '{' && len(t.Schema) <= application.MaxSchemaBytes { // Validate has reported the last two conditions
			found, err := schema.Check(ctx, t.Schema, at+"/schema")
			if err != nil {
				return err
			}
			issues = append(issues, found...)
		}
		if len(t.XSD) > 0 && (t.XSD[0] == '"' || t.XSD[0] == '{') { // likewise
			found, err := xsd.Check(ctx, t, at)
			if err != nil {
				return err
			}
			issues = append(issues, found...)
		}
	}
	if len(issues) == 0 {
		return nil
	}
	return application.InvalidRegistration(schema.Limit(issues))
}

// storeApplication creates or replaces the registration and returns the status, 201 or 200. Storing
// the same registration again changes nothing. It fails if a condition of the request is false, the
// replacement is not allowed, or concurrent requests keep replacing the registration.
func storeApplication(r *http.Request, applications applicationStore, instances backfills, app *application.Application) (status int, err error) {
	ctx := busy.WithBudget(r.Context())
	for {
		stored, err := applications.Get(ctx, app.ID)
		if err != nil {
			return 0, err
		}
		status, app.Version = http.StatusCreated, 0
		etag := ""
		if stored != nil {
			status, app.Version = http.StatusOK, stored.Version
			etag = httpapi.VersionTag(stored.Version)
		}
		if stored == nil && httpapi.HasIfMatch(r) { // including "*", which requires a registration
			return 0, fault.New(fault.PreconditionFailed, "version-stale", "The application is not registered yet. Omit If-Match to register it.")
		}
		if err := httpapi.CheckIfMatch(r, etag); err != nil {
			return 0, err
		}
		if stored != nil && httpapi.NotModified(r, etag) { // RFC 9110: If-None-Match that matches forbids the write
			return 0, fault.New(fault.PreconditionFailed, "application-exists", "The application is already registered. Omit If-None-Match to replace the registration.")
		}
		if stored != nil {
			if err := stored.LoadSchemas(ctx, applications.Schema); err != nil {
				return 0, err
			}
			if sameRegistration(stored, app) {
				return status, nil
			}
		}
		if stored != nil && app.IndexShards < stored.IndexShards {
			return 0, fault.New(fault.Conflict, "index-shards-lowered",
				"indexShards is %d and cannot be lowered: queries would miss the instances in the shards above the new value.", stored.IndexShards)
		}
		if err := app.ValidateReplacement(stored); err != nil {
			return 0, err
		}
		if app.NeedsBackfill(stored) { // before the registration, so that a crash cannot lose it
			if err := instances.PutBackfill(ctx, app.ID, time.Now()); err != nil {
				return 0, err
			}
		}
		if err := applications.Put(ctx, app); !errors.Is(err, application.ErrVersionMismatch) {
			return status, err
		}
		if err := busy.Race(ctx); err != nil {
			return 0, err
		}
	}
}

// sameRegistration reports whether two registrations are stored as the same JSON. White space in a
// schema makes no difference, nor does an empty list instead of an absent one.
func sameRegistration(a, b *application.Application) bool {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
