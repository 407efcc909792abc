package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/rfc3339"
)

// body is a JSON merge patch: a member that is absent is left as it is, one that is null is removed.
type body struct {
	Labels            json.RawMessage `json:"labels"`
	DueDateTime       json.RawMessage `json:"dueDateTime"`
	VisibleDateTime   json.RawMessage `json:"visibleDateTime"`
	PresentationField json.RawMessage `json:"presentationField"`
}

// maxBody is the largest patch, in bytes.
const maxBody = 32 << 10

type store interface {
	Mutate(ctx context.Context, instanceOwnerID, id string, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, instances store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeMergePatch(r, maxBody, &b); err != nil {
			return err
		}
		i, err := instances.Mutate(r.Context(), access.InstanceOwnerID, access.Guid, func(i *instance.Instance) (*event.Event, error) {
			if err := access.Check(i); err != nil {
				return nil, err
			}
			if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
				return nil, err
			}
			description, err := b.applyTo(i.Metadata())
			if err != nil {
				return nil, err
			}
			return nil, i.UpdateMetadata(description)
		})
		if err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}

func (b *body) applyTo(d instance.Metadata) (instance.Metadata, error) {
	due, visible := (*rfc3339.Time)(d.DueDateTime), (*rfc3339.Time)(d.VisibleDateTime)
	for _, err := range []error{
		replace("labels", b.Labels, &d.Labels),
		replace("dueDateTime", b.DueDateTime, &due),
		replace("visibleDateTime", b.VisibleDateTime, &visible),
		replace("presentationField", b.PresentationField, &d.PresentationField),
	} {
		if err != nil {
			return d, err
		}
	}
	d.DueDateTime, d.VisibleDateTime = (*time.Time)(due), (*time.Time)(visible)
	return d, nil
}

// replace puts what the patch says of a member in place of its value; null makes it empty.
func replace[T []string | *rfc3339.Time | string](name string, patch json.RawMessage, value *T) error {
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
