package main

import (
	"encoding/json"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/rfc3339"
)

// body is a JSON merge patch (RFC 7396): absent members stay unchanged, and null removes a
// member. "" removes a date too.
type body struct {
	Labels            json.RawMessage `json:"labels"`
	DueDateTime       json.RawMessage `json:"dueDateTime"`
	VisibleDateTime   json.RawMessage `json:"visibleDateTime"`
	PresentationField json.RawMessage `json:"presentationField"`
}

// maxBody is the maximum size of the patch, in bytes.
const maxBody = 32 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ScheduledStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeMergePatch(r, maxBody, &b); err != nil {
			return err
		}
		return access.ServeChange(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			now, before := time.Now(), i.Metadata()
			metadata, err := b.applyTo(before)
			if err != nil {
				return nil, err
			}
			if err := i.UpdateMetadata(metadata, now); err != nil {
				return nil, err
			}
			return i.MetadataEvent(app, before, access.ActorName(), now, view.Links(i)), nil
		})
	})
}

// applyTo returns d with the patch applied, or an Invalid fault if a member has the wrong form.
func (b *body) applyTo(d instance.Metadata) (instance.Metadata, error) {
	for _, err := range []error{
		replace("labels", b.Labels, &d.Labels),
		replaceTime("dueDateTime", b.DueDateTime, &d.DueDateTime),
		replaceTime("visibleDateTime", b.VisibleDateTime, &d.VisibleDateTime),
		replace("presentationField", b.PresentationField, &d.PresentationField),
	} {
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

// replace sets value to the patch of a member. An absent patch changes nothing; null sets the empty
// value. It fails if the patch has the wrong form.
func replace[T []string | rfc3339.Optional | string](name string, patch json.RawMessage, value *T) error {
	if patch == nil {
		return nil
	}
	var v T
	if err := json.Unmarshal(patch, &v); err != nil {
		return fault.New(fault.Invalid, "body-invalid", "The body is invalid: member %q has the wrong form.", "/"+name)
	}
	*value = v
	return nil
}

// replaceTime is replace for a time.
func replaceTime(name string, patch json.RawMessage, value **time.Time) error {
	if patch == nil {
		return nil
	}
	var t rfc3339.Optional
	err := replace(name, patch, &t)
	*value = t.Pointer()
	return err
}
