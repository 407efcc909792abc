package instancehttp

import (
	"encoding/json"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

// MetadataPatch is a JSON merge patch (RFC 7396) of an instance's metadata: absent members stay
// unchanged, and null removes a member. "" removes a date too.
type MetadataPatch struct {
	Labels            json.RawMessage `json:"labels"`
	DueDateTime       json.RawMessage `json:"dueDateTime"`
	VisibleDateTime   json.RawMessage `json:"visibleDateTime"`
	PresentationField json.RawMessage `json:"presentationField"`
}

// Apply applies the patch to i and returns the event, or the error of Instance.UpdateMetadata. It
// returns an Invalid fault if a member has the wrong form.
func (p *MetadataPatch) Apply(i *instance.Instance, app *application.Application, by string, now time.Time, view View) ([]event.Event, error) {
	before := i.Metadata()
	metadata, err := p.applyTo(before)
	if err != nil {
		return nil, err
	}
	if err := i.UpdateMetadata(metadata, now); err != nil {
		return nil, err
	}
	return i.MetadataEvent(app, before, by, now, view.Links(i)), nil
}

// applyTo returns d with the patch applied, or an Invalid fault if a member has the wrong form.
func (p *MetadataPatch) applyTo(d instance.Metadata) (instance.Metadata, error) {
	for _, err := range []error{
		replace("labels", p.Labels, &d.Labels),
		replaceTime("dueDateTime", p.DueDateTime, &d.DueDateTime),
		replaceTime("visibleDateTime", p.VisibleDateTime, &d.VisibleDateTime),
		replace("presentationField", p.PresentationField, &d.PresentationField),
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
		return httpapi.InvalidBody("member %q has the wrong form", "/"+name)
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
