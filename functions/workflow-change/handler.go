package main

import (
	"context"
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
)

// body names the step to be in.
type body struct {
	CurrentStep string `json:"currentStep"`
}

// maxBody is the largest request, in bytes.
const maxBody = 4 << 10

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type store interface {
	instancehttp.Reader
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, applications applicationStore, instances store, data *validation.Checker, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(ctx, instances, applications)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
			return err
		}
		if b.CurrentStep == "" {
			return fault.New(fault.Invalid, "body-invalid", `Name the step to be in, as in {"currentStep": "Submit"}.`)
		}
		move := &transition{r, access, app, b.CurrentStep, data, view}
		i, err = move.do(i, instances)
		if err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
